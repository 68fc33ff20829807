"""The log against calendars: the embedded one keeps every change, a CalDAV server only what stands. Radicale is a process of its own."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from remit.actions.library import appointments
from remit.actions.library.caldav import CalDAVCalendar
from remit.actions.library.calendar import EmbeddedCalendar
from tests.environments import free_port, server
from tests.runtime.paying import codes, opened

POLICIES = {
    "calls": "policy: calls\nactions: [book_appointment, reschedule_appointment, cancel_appointment]\nrules:\n"
    '  - {id: all, when: "true", then: allow}\n'
}


@pytest.fixture(scope="module")
def radicale(tmp_path_factory):
    port, folder = free_port(), tmp_path_factory.mktemp("radicale")
    argv = ["radicale", "--server-hosts", f"127.0.0.1:{port}", "--auth-type", "none", "--storage-filesystem-folder", str(folder)]
    with server("radicale", argv, port) as url:
        httpx.request("MKCOL", f"{url}/shop/").raise_for_status()
        yield url


def at_desk(world):
    return lambda: datetime.fromtimestamp(world.time.nanos // 10**9, UTC)


def slots(world, how_many=4):
    """Slots of the Monday after next, by the world's own time."""
    today = at_desk(world)().date()
    monday = today + timedelta(days=14 - today.weekday())
    return [f"{monday:%Y%m%d}T{hour:02}00Z" for hour in range(9, 9 + how_many)]


@pytest.fixture
def embedded(world):
    return EmbeddedCalendar(world.folder / "calendar.db", now=at_desk(world))


@pytest.fixture
def url(radicale, request):
    made = f"{radicale}/shop/{abs(hash(request.node.nodeid))}/"
    httpx.request("MKCALENDAR", made).raise_for_status()
    return made


@pytest.fixture
def caldav(world, url):
    return CalDAVCalendar(url, now=at_desk(world))


@pytest.fixture(params=["embedded", "caldav"])
def calendar(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
async def desk(world, calendar):
    async with opened(world, appointments, policies=POLICIES, resources=[calendar]) as desk:
        desk.calendar = calendar
        yield desk


async def test_what_was_booked_moved_and_cancelled_agrees(desk):
    nine, ten, eleven, noon = slots(desk.world)
    stays, moves, goes = [await desk.asks("book_appointment", slot_id=slot, topic="contract") for slot in (nine, ten, eleven)]
    assert (await desk.asks("book_appointment", slot_id=nine)).ok  # it stands already, and this call has booked nothing
    assert (await desk.asks("reschedule_appointment", appointment_id=moves.result["id"], slot_id=noon)).ok
    assert (await desk.asks("reschedule_appointment", appointment_id=moves.result["id"], slot_id=noon)).ok  # it is there already
    assert (await desk.asks("cancel_appointment", appointment_id=goes.result["id"])).ok
    undone = await desk.asks("book_appointment", slot_id=eleven)
    assert (await desk.runtime.undo(undone.call_id, by="fay")).ok
    report = await desk.compare()
    assert (codes(report), report.ok, stays.ok) == ([], True, True)
    assert report.calls + sum(report.not_compared.values()) == 9


async def test_a_booking_that_found_its_slot_booked_already_agrees_also_once_that_was_moved(desk):
    nine, ten, *_ = slots(desk.world)
    booked = await desk.asks("book_appointment", slot_id=nine)
    again = await desk.asks("book_appointment", slot_id=nine)
    assert (again.ok, again.result["id"]) == (True, booked.result["id"])
    assert (await desk.asks("reschedule_appointment", appointment_id=booked.result["id"], slot_id=ten)).ok
    assert codes(await desk.compare()) == []


async def test_control_whoever_does_not_ask_what_other_calls_have_done_since_blames_a_cancellation(desk, monkeypatch):
    async def nothing(*_given):
        return set()

    monkeypatch.setattr("remit.runtime.reconciling._ended", nothing)
    booked = await desk.asks("book_appointment", slot_id=slots(desk.world)[0])
    await desk.asks("cancel_appointment", appointment_id=booked.result["id"])
    assert booked.call_id in [call for _, call, _ in codes(await desk.compare())]


async def test_a_move_that_was_undone_agrees(desk):
    nine, ten, *_ = slots(desk.world)
    booked = await desk.asks("book_appointment", slot_id=nine)
    moved = await desk.asks("reschedule_appointment", appointment_id=booked.result["id"], slot_id=ten)
    assert (await desk.runtime.undo(moved.call_id, by="fay")).ok
    report = await desk.compare()
    assert (codes(report), report.calls) == ([], 3)


async def test_a_booking_in_the_name_of_no_call_is_found(desk):
    nine, *_ = slots(desk.world)
    await desk.calendar.book("call_elsewhere", nine, "eve", "")
    assert codes(await desk.compare()) == [("unknown_to_log", "call_elsewhere", "call_elsewhere")]


async def test_an_appointment_that_was_cancelled_past_remit_is_found(desk):
    nine, *_ = slots(desk.world)
    booked = await desk.asks("book_appointment", slot_id=nine)
    await desk.calendar.cancel("somebody", booked.result["id"])
    found = codes(await desk.compare())
    code = "taken_back_differs" if isinstance(desk.calendar, EmbeddedCalendar) else "missing_at_provider"  # which keeps no trace
    assert (code, booked.call_id, booked.call_id) in found


async def test_an_appointment_that_was_moved_by_hand_is_found(world, caldav, url):
    async with opened(world, appointments, policies=POLICIES, resources=[caldav]) as desk:
        nine, ten, *_ = slots(world)
        booked = await desk.asks("book_appointment", slot_id=nine)
        event = httpx.get(f"{url}{nine}.ics").text
        by_hand = event.replace("T090000", "T100000").replace("T093000", "T103000")
        assert by_hand != event
        httpx.put(f"{url}{nine}.ics", content=by_hand, headers={"Content-Type": "text/calendar"}).raise_for_status()
        assert codes(await desk.compare()) == [("detail_differs", booked.call_id, booked.call_id)]
        assert ten


async def test_what_other_programs_put_into_the_calendar_is_theirs(world, caldav, url):
    async with opened(world, appointments, policies=POLICIES, resources=[caldav]) as desk:
        nine, *_ = slots(world)
        await caldav.book("call_1", nine, "eve", "")
        meeting = "".join(
            line + "\r\n" for line in httpx.get(f"{url}{nine}.ics").text.splitlines() if not line.startswith("X-REMIT")
        ).replace("UID:call_1", "UID:meeting")
        httpx.delete(f"{url}{nine}.ics").raise_for_status()
        httpx.put(f"{url}meeting.ics", content=meeting, headers={"Content-Type": "text/calendar"}).raise_for_status()
        report = await desk.compare()
        assert (report.ok, report.entries) == (True, 0)


async def test_cancellations_are_compared_where_the_calendar_keeps_them_and_else_counted(desk):
    nine, *_ = slots(desk.world)
    booked = await desk.asks("book_appointment", slot_id=nine)
    assert (await desk.asks("cancel_appointment", appointment_id=booked.result["id"])).ok
    report = await desk.compare()
    keeps = isinstance(desk.calendar, EmbeddedCalendar)
    assert (report.ok, report.calls, report.not_compared) == (True, 1 + keeps, {} if keeps else {"cancel_appointment": 1})


async def test_a_calendar_that_is_not_there_makes_it_incomplete(world):
    gone = CalDAVCalendar(f"http://127.0.0.1:{free_port()}/shop/", now=at_desk(world))
    async with opened(world, appointments, policies=POLICIES, resources=[gone]) as desk:
        report = await desk.compare()
        assert (report.ok, report.complete, report.found) == (False, False, 0)
