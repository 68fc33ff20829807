"""The CalDAV connector against a real Radicale: the server itself decides who has a slot."""

from __future__ import annotations

import asyncio
import itertools

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from remit.actions.library.caldav import CalDAVCalendar
from remit.errors import Refused, Retryable, Unsure
from remit.sandbox.serving import Serving
from tests.environments import free_port, server
from tests.library.appointing import HALF_PAST, NINE, TEN, at, free, now, race

EVENT = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//Somebody else//EN\r
BEGIN:VEVENT\r
UID:{uid}\r
DTSTAMP:20300101T000000Z\r
{times}\r
SUMMARY:Staff meeting\r
END:VEVENT\r
END:VCALENDAR\r
"""


@pytest.fixture(scope="module")
def radicale(tmp_path_factory):
    port, folder = free_port(), tmp_path_factory.mktemp("radicale")
    argv = ["radicale", "--server-hosts", f"127.0.0.1:{port}", "--auth-type", "none", "--storage-filesystem-folder", str(folder)]
    with server("radicale", argv, port) as url:
        httpx.request("MKCOL", f"{url}/shop/").raise_for_status()
        yield url


@pytest.fixture
def url(radicale, request):
    made = f"{radicale}/shop/{abs(hash(request.node.nodeid))}/"
    httpx.request("MKCALENDAR", made).raise_for_status()
    return made


@pytest.fixture
def calendar(url):
    return CalDAVCalendar(url, now=now)


def put(url, uid, times, name="meeting"):
    body = EVENT.format(uid=uid, times=times)
    httpx.put(f"{url}{name}.ics", content=body, headers={"Content-Type": "text/calendar"}).raise_for_status()


async def test_a_slot_is_found_booked_moved_and_cancelled(calendar, url):
    assert NINE in await free(calendar)
    booked = await calendar.book("call_1", NINE, "ada", "New contract, with\r\nATTENDEE:mailto:eve@example.org")
    assert (booked.id, booked.start, booked.end, booked.customer) == ("call_1", at(9), at(9, 30), "ada")
    assert await calendar.find("call_1") == booked
    assert NINE not in await free(calendar)
    kept = httpx.get(f"{url}{NINE}.ics").text
    assert "UID:call_1\r\n" in kept and "\r\nATTENDEE" not in kept  # a topic stays text

    moved = await calendar.move("call_2", "call_1", TEN)
    assert moved == await calendar.find("call_1") and (moved.start, moved.end) == (at(10), at(10, 30))
    assert NINE in await free(calendar) and TEN not in await free(calendar)

    await calendar.cancel("call_3", "call_1")
    assert await calendar.find("call_1") is None
    assert TEN in await free(calendar)


@pytest.mark.parametrize(
    "topic", ["\ufffe", "a\uffffb", "\x00\x0b\x1f", "a\rX-REMIT-CUSTOMER:eve", "a\u2028X-REMIT-CUSTOMER:eve", "\U0001f44d; b, c"]
)
async def test_no_topic_makes_the_calendar_unreadable_or_somebody_elses(calendar, url, topic):
    await calendar.book("call_1", NINE, "ada", topic)
    assert (await calendar.find("call_1")).customer == "ada"
    assert NINE not in await free(calendar)
    assert httpx.get(f"{url}{NINE}.ics").text.count("X-REMIT-CUSTOMER:ada") == 1


@pytest.mark.parametrize("customer", ["cn=ada,ou=shop", "a;b\\,c", "50%25", "a\rX-REMIT-CALL:call_0", "ädä \ufffe"])
async def test_a_customer_is_the_same_after_a_servers_round_trip(calendar, customer):
    await calendar.book("call_1", NINE, customer, "")
    assert (await calendar.find("call_1")).customer == customer
    assert await calendar.changed("call_0", "call_1") is None


async def bookings_of_one_slot(url, callers=4):
    calendars = [CalDAVCalendar(url, now=now) for _ in range(callers)]
    return await race(*(c.book(f"call_{n}", NINE, f"customer_{n}", "") for n, c in enumerate(calendars)))


async def test_of_many_bookings_of_one_slot_exactly_one_wins(url):
    won, refused = await bookings_of_one_slot(url)
    assert (len(won), [(r.definite, r.reason_code) for r in refused]) == (1, [(True, "slot_taken")] * 3)


async def test_control_resources_named_otherwise_than_by_slot_let_several_win(url, monkeypatch):
    write, look, names = CalDAVCalendar._write, CalDAVCalendar._busy, itertools.count()
    looked = asyncio.Barrier(4)  # all look before anybody writes

    async def together(self, *given):
        found = await look(self, *given)
        await looked.wait()
        return found

    async def careless(self, method, url, *given, **headers):
        await write(self, method, url.replace(".ics", f"-{next(names)}.ics"), *given, **headers)

    monkeypatch.setattr(CalDAVCalendar, "_busy", together)
    won, _ = await bookings_of_one_slot(url)
    assert len(won) == 1
    httpx.delete(f"{url}{NINE}.ics").raise_for_status()
    monkeypatch.setattr(CalDAVCalendar, "_write", careless)
    won, _ = await bookings_of_one_slot(url)
    assert len(won) == 4


async def test_two_moves_to_one_slot_one_wins(calendar, monkeypatch):
    await calendar.book("call_1", NINE, "ada", "")
    await calendar.book("call_2", HALF_PAST, "bob", "")
    won, refused = await race(calendar.move("call_3", "call_1", TEN), calendar.move("call_4", "call_2", TEN))
    assert (len(won), [r.reason_code for r in refused]) == (1, ["slot_taken"])
    assert [await calendar.changed(call, appointment) for call, appointment in (("call_3", "call_1"), ("call_4", "call_2"))].count(
        None
    ) == 1


async def test_a_change_is_found_by_its_call_even_when_others_followed(calendar):
    await calendar.book("call_1", NINE, "ada", "")
    await calendar.move("call_2", "call_1", TEN)
    await calendar.move("call_3", "call_1", HALF_PAST)
    for call in ("call_1", "call_2", "call_3"):
        assert (await calendar.changed(call, "call_1")).id == "call_1"
    assert await calendar.changed("call_4", "call_1") is None
    assert await calendar.changed("call", "call") is None  # servers search for a part of a UID; we do not


async def test_a_customer_who_asks_again_gets_the_appointment_that_stands(calendar):
    first = await calendar.book("call_1", NINE, "ada", "")
    assert await calendar.book("call_2", NINE, "ada", "") == first
    assert await calendar.move("call_3", "call_1", NINE) == first


@pytest.mark.parametrize(
    ("times", "busy"),
    [
        ("DTSTART:20300107T091500Z\r\nDTEND:20300107T094500Z", {NINE, HALF_PAST}),
        ("DTSTART:20300107T090000Z\r\nDURATION:PT30M", {NINE}),
        ("DTSTART:20291231T090000Z\r\nDTEND:20291231T093000Z\r\nRRULE:FREQ=WEEKLY", {NINE}),
        ("DTSTART;VALUE=DATE:20300107\r\nDTEND;VALUE=DATE:20300108", {NINE, HALF_PAST, TEN}),
        ("DTSTART:20300107T090000Z\r\nDTEND:20300107T093000Z\r\nTRANSP:TRANSPARENT", set()),
        ("DTSTART:20300107T090000Z\r\nDTEND:20300107T093000Z\r\nSTATUS:CANCELLED", set()),
    ],
)
async def test_what_others_put_into_the_calendar_is_busy(calendar, url, times, busy):
    put(url, "meeting", times)
    assert {NINE, HALF_PAST, TEN} - await free(calendar) == busy
    if NINE in busy:
        with pytest.raises(Refused, match="taken"):
            await calendar.book("call_1", NINE, "ada", "")


async def test_a_move_that_stopped_halfway_is_not_done_and_can_be_finished(calendar, monkeypatch):
    await calendar.book("call_1", NINE, "ada", "")
    write = CalDAVCalendar._write

    async def stops(self, method, *given, **headers):
        if method == "PUT":
            raise Unsure("lost")
        await write(self, method, *given, **headers)

    monkeypatch.setattr(CalDAVCalendar, "_write", stops)
    with pytest.raises(Unsure):
        await calendar.move("call_2", "call_1", TEN)
    monkeypatch.undo()
    assert await calendar.changed("call_2", "call_1") is None
    with pytest.raises(Refused, match="taken"):
        await calendar.book("call_3", TEN, "bob", "")  # the slot is claimed already
    assert (await calendar.move("call_2", "call_1", TEN)).start == at(10)
    assert (await calendar.changed("call_2", "call_1")).start == at(10)


async def test_an_appointment_changed_since_it_was_read_is_not_cancelled(calendar, url, monkeypatch):
    await calendar.book("call_1", NINE, "ada", "")
    write = CalDAVCalendar._write

    async def late(*given, **headers):
        put(url, "call_1", "DTSTART:20300107T090000Z\r\nDTEND:20300107T093000Z", name=NINE)
        await write(*given, **headers)

    monkeypatch.setattr(CalDAVCalendar, "_write", late)
    with pytest.raises(Refused) as refused:
        await calendar.cancel("call_2", "call_1")
    assert (refused.value.definite, refused.value.reason_code) == (True, "changed_meanwhile")


async def test_a_calendar_that_is_not_there_is_never_an_appointment_that_is_not(radicale):
    for url in (f"{radicale}/shop/nothing/", "http://127.0.0.1:9/shop/"):
        lost = CalDAVCalendar(url, now=now)
        for question in (lost.find("call_1"), lost.changed("call_1", "call_1"), lost.book("call_1", NINE, "ada", "")):
            with pytest.raises(Retryable):
                await question


async def test_a_booking_whose_answer_got_lost_is_unsure_sent_once_and_found(url):
    """Stand between us and the server, and cut the connection on the way back from a PUT."""
    seen = []

    async def between(request):
        seen.append(request.method)
        async with httpx.AsyncClient() as client:
            headers = {name: value for name, value in request.headers.items() if name not in {"host", "accept-encoding"}}
            answer = await client.request(
                request.method, url[: url.index("/shop/")] + request.url.path, content=await request.body(), headers=headers
            )
        if request.method == "PUT":
            request.state.abort()
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    route = Route("/{path:path}", between, methods=["REPORT", "PUT"])
    with Serving(Starlette(routes=[route])) as proxy:
        calendar = CalDAVCalendar(proxy.url + url[url.index("/shop/") :], username="shop", password="secret", now=now)
        assert await calendar.changed("call_1", "call_1") is None
        with pytest.raises(Unsure):
            await calendar.book("call_1", NINE, "ada", "")
        assert seen.count("PUT") == 1
        assert (await calendar.changed("call_1", "call_1")).start == at(9)


async def test_a_redirected_booking_is_not_taken_for_a_booking():
    async def elsewhere(request):
        if request.method == "REPORT":
            return Response('<multistatus xmlns="DAV:"/>', 207, media_type="application/xml")
        return Response("welcome", 200) if request.url.path == "/login" else Response(status_code=302, headers={"Location": "/login"})

    route = Route("/{path:path}", elsewhere, methods=["REPORT", "PUT", "GET"])
    with Serving(Starlette(routes=[route])) as portal, pytest.raises(Unsure):
        await CalDAVCalendar(f"{portal.url}/shop/", now=now).book("call_1", NINE, "ada", "")


@pytest.mark.parametrize(
    ("status", "signal"),
    [(401, Refused), (403, Refused), (412, Refused), (409, Unsure), (429, Retryable), (500, Unsure), (503, Unsure), (200, None)],
)
async def test_only_a_definite_answer_to_a_booking_is_a_refusal(status, signal):
    async def answers(request):
        if request.method == "REPORT":
            return Response('<multistatus xmlns="DAV:"/>', 207, media_type="application/xml")
        return Response(status_code=status, headers={"Retry-After": "1"})

    with Serving(Starlette(routes=[Route("/{path:path}", answers, methods=["REPORT", "PUT"])])) as odd:
        booking = CalDAVCalendar(f"{odd.url}/shop/", now=now).book("call_1", NINE, "ada", "")
        if signal is None:
            assert (await booking).id == "call_1"
        else:
            with pytest.raises(signal) as raised:
                await booking
            assert getattr(raised.value, "definite", False) is (signal is Refused)
