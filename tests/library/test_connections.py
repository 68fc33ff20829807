"""What is written is written on a connection of its own, once, and its answer proves no more than it does."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from remit.actions.library.appointments import Calendar
from remit.actions.library.caldav import CalDAVCalendar
from remit.actions.library.connections import FreshConnections, retry_after
from remit.actions.library.directory import ScimDirectory
from remit.actions.library.mail import SmtpMail
from remit.errors import Retryable, Unsure
from remit.sandbox.mail import MailServer
from remit.sandbox.serving import Serving
from tests.environments import free_port
from tests.library.appointing import TEN, now

NOW = datetime(2030, 1, 4, 12, tzinfo=UTC)
METHODS = ["GET", "PUT", "PATCH", "DELETE", "MOVE", "REPORT"]


@pytest.fixture
def provider():
    """Keep connections open and note which method came on which; answer as a calendar or a directory would."""
    seen = []
    times = "DTSTAMP:20300101T000000Z\r\nDTSTART:20300107T090000Z\r\nDTEND:20300107T093000Z"
    part = f"BEGIN:VEVENT\r\nUID:call_1\r\n{times}\r\nX-REMIT-CUSTOMER:ada\r\nEND:VEVENT"
    event = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\n{part}\r\nEND:VCALENDAR\r\n"
    found = (
        '<multistatus xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><response><href>/shop/20300107T0900Z.ics</href><propstat><prop>'
        f'<getetag>"1"</getetag><C:calendar-data>{event}</C:calendar-data></prop><status>HTTP/1.1 200 OK</status></propstat></response>'
        "</multistatus>"
    )

    async def answers(request):
        seen.append((request.method, request.client.port))
        match request.method:
            case "REPORT":
                asked = (await request.body()).decode()
                return Response(found if "call_1" in asked else '<multistatus xmlns="DAV:"/>', 207, media_type="application/xml")
            case "GET" if request.url.path.endswith(".ics"):
                return Response(event, headers={"ETag": '"1"'}, media_type="text/calendar")
            case "GET":
                return Response('{"id": "1", "userName": "ada"}')
            case _:
                return Response(status_code=204)

    with Serving(Starlette(routes=[Route("/{path:path}", answers, methods=METHODS)])) as served:
        yield served, seen


def alone(seen) -> bool:
    """Say whether each writing request was the only one of its connection."""
    ports = [port for _, port in seen]
    written = [port for method, port in seen if method not in {"GET", "REPORT"}]
    assert written
    return all(ports.count(port) == 1 for port in written)


async def all_of(calendar: Calendar) -> None:
    await calendar.book("call_2", TEN, "ada", "")
    await calendar.move("call_2", "call_1", TEN)
    await calendar.cancel("call_3", "call_1")


async def test_every_change_of_a_calendar_has_a_connection_of_its_own(provider):
    served, seen = provider
    await all_of(CalDAVCalendar(f"{served.url}/shop/", now=now))
    assert [method for method, _ in seen if method not in {"GET", "REPORT"}] == ["PUT", "MOVE", "PUT", "DELETE"]
    assert alone(seen)


async def test_every_change_of_a_directory_has_a_connection_of_its_own(provider):
    served, seen = provider
    scim = ScimDirectory(served.url)
    for _ in range(3):
        await scim.read("1")
        await scim.unlock("1")
    assert alone(seen)


async def test_control_a_kept_connection_is_noticed(provider, monkeypatch):
    served, seen = provider
    kept = httpx.AsyncClient(trust_env=False)

    class Kept:
        async def __aenter__(self):
            return kept

        async def __aexit__(self, *failure):
            pass

    monkeypatch.setattr(FreshConnections, "_client", lambda _: Kept())
    await all_of(CalDAVCalendar(f"{served.url}/shop/", now=now))
    await kept.aclose()
    assert not alone(seen)


async def test_every_mail_has_a_connection_of_its_own(monkeypatch):
    peers = []
    take = MailServer.handle_DATA

    async def noted(self, server, session, envelope):
        peers.append(session.peer)
        return await take(self, server, session, envelope)

    monkeypatch.setattr(MailServer, "handle_DATA", noted)
    with MailServer() as sink:
        mail = SmtpMail(sink.host, sink.port, "support@example.org")
        for call in ("call_1", "call_2"):
            await mail.send("ada@example.org", "Hello", "Hello", message_id=call)
    assert len(set(peers)) == 2


# What an answer proves


async def wrote(url, **given):
    return await FreshConnections("It", timeout=5).write("PUT", url, content="x", headers={}, **given)


@pytest.mark.parametrize("status", [300, 302, 307, 400, 401, 404, 405, 408, 409, 410, 422, 425, 500, 502, 503, 504, 202, 206, 207])
async def test_what_is_not_definite_is_unsure(status):
    async def answers(request):
        return Response(status_code=status, headers={"Location": "/", "Retry-After": "7"})

    with Serving(Starlette(routes=[Route("/", answers, methods=["PUT", "GET"])])) as odd:
        with pytest.raises(Unsure):
            await wrote(odd.url)
        if status >= 400:
            assert (await wrote(odd.url, definite={status})).status_code == status


@pytest.mark.parametrize(
    ("body", "kind", "known"),
    [("", "text/html", True), ("<a/>", "application/xml", True), ("Log in", "text/html; charset=utf-8", False)],
)
async def test_a_page_is_no_answer(body, kind, known):
    async def answers(request):
        return Response(body, media_type=kind)

    with Serving(Starlette(routes=[Route("/", answers, methods=["PUT"])])) as odd:
        if known:
            assert (await wrote(odd.url)).status_code == 200
        else:
            with pytest.raises(Unsure):
                await wrote(odd.url)


async def test_a_truncated_answer_is_unsure_and_sent_once():
    seen = []

    async def truncated(scope, receive, send):
        seen.append(scope["method"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"ha", "more_body": True})
        scope["state"]["abort"]()

    with Serving(truncated) as odd, pytest.raises(Unsure):
        await wrote(odd.url)
    assert seen == ["PUT"]


async def test_before_a_byte_is_retryable(provider):
    served, seen = provider
    secure = served.url.replace("http:", "https:")
    for url in (f"http://127.0.0.1:{free_port()}/", "http://nowhere.invalid/", secure):
        with pytest.raises(Retryable):
            await wrote(url)
    assert seen == []


async def test_a_server_that_hangs_up_after_it_was_sent_is_unsure():
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unsure):
        await FreshConnections("It", timeout=0.3).write("PUT", f"http://127.0.0.1:{silent.getsockname()[1]}/", content="x", headers={})


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("0", 0),
        ("Fri, 04 Jan 2030 12:00:30 GMT", 30),
        ("Fri, 04 Jan 2030 11:00:00 GMT", 0),
        ("", None),
        (None, None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("9" * 12, None),
        ("Fri, 99 Jan 2030 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert retry_after(header, NOW) == seconds
