"""Keep appointments on a CalDAV server (RFC 4791), with the `caldav` package (extra `caldav`).

An event's UID is the id of the call that booked it, and X-REMIT-CALL names each call that changed it. Its resource is named after its
*slot*: `If-None-Match: *` on the PUT that books, and `Overwrite: F` on the MOVE that moves, let the server itself decide that a slot
is taken, in one request. What other programs put into the same calendar is seen as busy, but they know no slots: between our look
and our write such a program can still take the same time. The server must know MOVE (RFC 4918).

The package reads. What writes is sent by `FreshConnections`: the package's own way may send a PUT twice, and does not tell a connection
that could not be made from an answer that got lost.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar
from urllib.parse import quote, unquote, urljoin

import icalendar
from caldav.aio import AsyncCalendar, AsyncDAVClient

from ...errors import HandlerSignal, Refused, Retryable, Unsure
from .. import Keeping, Ledger, LedgerEntry
from .appointments import SLOT, Appointment, Calendar, OpeningHours, Slot, refusal
from .connections import FreshConnections
from .database import utc_now

_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 can't hold (section 2.2): in one event, one would make every answer about the calendar unreadable."""


class CalDAVCalendar(Calendar, Ledger):
    """Keep the calendar whose collection is at `url`, which ends in a slash; `timeout` is seconds for each request."""

    kept: ClassVar[Mapping[str, Keeping]] = {"appointment": Keeping.ALL}
    """Events that name a call; of a cancelled one nothing is left, and what other programs put there is their own."""

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        hours: OpeningHours | None = None,
        now: Callable[[], datetime] = utc_now,
        timeout: int = 10,
    ) -> None:
        self._url, self._hours, self._now = url, hours or OpeningHours(), now
        self._login: dict[str, Any] = {"username": username, "password": password, "auth_type": "basic"} if password else {}
        self._timeout = timeout
        self._http = FreshConnections("The calendar", timeout=timeout, auth=(username or "", password) if password else None)

    async def free(self, first: date, days: int) -> list[Slot]:
        """List the free slots that begin from now on, on `days` days from `first`."""
        slots = [slot for slot in self._hours.between(first, days) if slot.start > self._now()]
        if not slots:
            return []
        async with self._collection() as collection:
            busy = await self._busy(collection, slots[0].start, slots[-1].end)
        taken = [self._appointment(event) for event in busy]
        return [slot for slot in slots if not any(other.start < slot.end and slot.start < other.end for other in taken)]

    async def find(self, appointment_id: str) -> Appointment | None:
        """Return the appointment as it stands, None if it does not."""
        async with self._collection() as collection:
            event = await self._event(collection, appointment_id)
        return None if event is None else self._appointment(event)

    async def changed(self, call: str, appointment_id: str) -> Appointment | None:
        """Return the appointment if the call CALL booked or moved it, as it stands; None if it did neither."""
        async with self._collection() as collection:
            event = await self._event(collection, appointment_id)
        return self._appointment(event) if event is not None and call in _calls(event) else None

    async def book(self, call: str, slot_id: str, customer: str, topic: str) -> Appointment:
        """Book a slot. A customer who already holds it gets the appointment that stands."""
        slot = self._hours.slot(slot_id, self._now())
        async with self._collection() as collection:
            for standing in map(self._appointment, await self._busy(collection, slot.start, slot.end)):
                if (standing.start, standing.customer) == (slot.start, customer):
                    return standing
                raise refusal("slot_taken")
            body = _new_event(call, slot, customer, topic, self._now())
            await self._write("PUT", self._resource(slot), {412: "slot_taken"}, body, If_None_Match="*")
        return Appointment(id=call, start=slot.start, end=slot.end, customer=customer)

    async def move(self, call: str, appointment_id: str, slot_id: str) -> Appointment:
        """Move an appointment to another slot: first its resource, which claims the slot, then its time.

        What stops in between is found by `changed` not to be done, and a second attempt does the rest.
        """
        slot = self._hours.slot(slot_id, self._now())
        async with self._collection() as collection:
            event = await self._event(collection, appointment_id)
            if event is None:
                raise refusal("no_such_appointment")
            if self._appointment(event).start == slot.start:
                return self._appointment(event)
            if any(other.id != appointment_id for other in await self._busy(collection, slot.start, slot.end)):
                raise refusal("slot_taken")
            if not str(event.url).endswith(f"/{slot.id}.ics"):
                claim = {"Destination": self._resource(slot), "Overwrite": "F", "If_Match": event.etag}
                await self._write("MOVE", str(event.url), {404: "changed_meanwhile", 412: "slot_taken"}, **claim)
            try:
                event = await _reading(collection.event_by_url(self._resource(slot)))
                body = _moved_event(event, call, slot)
                await self._write("PUT", self._resource(slot), {}, body, If_Match=event.etag)
            except HandlerSignal as error:
                raise Unsure("The appointment holds its new slot, but may still show its old time.") from error
        return self._appointment(event).model_copy(update={"start": slot.start, "end": slot.end})

    async def cancel(self, call: str, appointment_id: str) -> None:
        """Cancel an appointment by deleting its event, unless it has changed since it was read."""
        del call  # a deleted event keeps no trace of it: the server's own log does
        async with self._collection() as collection:
            event = await self._event(collection, appointment_id)
            if event is None:
                raise refusal("no_such_appointment")
            refusals = {404: "no_such_appointment", 412: "changed_meanwhile"}
            await self._write("DELETE", str(event.url), refusals, If_Match=event.etag)

    async def entries_about(self, effect: str, about: str) -> AsyncIterator[LedgerEntry]:
        """Give each call that an event names: the one that booked it, and those that moved it."""
        del effect
        async with self._collection() as collection:
            event = await self._event(collection, about)
        for entry in self._entries(event) if event is not None else ():
            yield entry

    async def entries_since(self, effect: str, since: datetime) -> AsyncIterator[LedgerEntry]:
        """Give each call that an event which ends after then names: nothing is booked for the past."""
        del effect
        async with self._collection() as collection:
            found = await _reading(collection.search(event=True, start=since))
        for event in found:
            for entry in self._entries(event):
                yield entry

    def _entries(self, event: Any) -> Iterator[LedgerEntry]:
        calls = _calls(event)
        for number, call in enumerate(calls, 1):  # the last one left the time that stands
            slot = self._appointment(event).start.strftime(SLOT) if number == len(calls) else None
            yield LedgerEntry("appointment", event.id, event.id, call=call, detail=slot)

    @asynccontextmanager
    async def _collection(self) -> AsyncIterator[Any]:
        opened: Any = AsyncDAVClient(url=self._url, timeout=self._timeout, enable_rfc6764=False, **self._login)
        async with opened as client:
            client.session.max_redirects = 0  # a redirected PUT or DELETE may be repeated as a GET, whose 200 says nothing
            yield AsyncCalendar(client=client, url=self._url)

    def _appointment(self, event: Any) -> Appointment:
        """Read an event. A whole day, or a time without a zone, is local to the opening hours; a stranger's has no customer."""
        part = event.icalendar_component
        spans = [at if isinstance(at, datetime) else datetime.combine(at, time()) for at in (part.start, part.end)]
        start, end = ((at if at.tzinfo else at.replace(tzinfo=self._hours.zone)).astimezone(UTC) for at in spans)
        return Appointment(id=event.id, start=start, end=end, customer=unquote(str(part.get("X-REMIT-CUSTOMER", ""))))

    def _resource(self, slot: Slot) -> str:
        return f"{self._url}{slot.id}.ics"

    async def _event(self, collection: Any, uid: str) -> Any | None:
        """Find the event by UID. Not `get_event_by_uid`: to it a missing calendar looks like a missing event."""
        found = await _reading(collection.search(event=True, uid=uid))
        return next((event for event in found if event.id == uid), None)

    async def _busy(self, collection: Any, start: datetime, end: datetime) -> list[Any]:
        found = await _reading(collection.search(event=True, start=start, end=end, expand=True))
        parts = [(event, event.icalendar_component) for event in found]
        return [event for event, part in parts if part.get("TRANSP") != "TRANSPARENT" and part.get("STATUS") != "CANCELLED"]

    async def _write(self, method: str, url: str, refusals: Mapping[int, str], body: str = "", **headers: str) -> None:
        """Send a request that writes; `refusals` are what an answer proves not to have happened, by status."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()} | {"Content-Type": "text/calendar; charset=utf-8"}
        address = urljoin(self._url, url)
        answer = await self._http.write(method, address, content=body, headers=sent, definite={401, 403, *refusals})
        if answer.status_code in refusals:
            raise refusal(refusals[answer.status_code])
        if answer.status_code in (401, 403):
            raise Refused("The calendar does not allow this.", definite=True)


async def _reading(answer: Any) -> Any:
    try:
        return await answer
    except Exception as error:  # whatever the package's HTTP library raises; nothing has been written yet
        raise Retryable("The calendar can't be read.", after=getattr(error, "retry_after_seconds", None)) from error


def _calls(event: Any) -> list[str]:
    found = event.icalendar_component.get("X-REMIT-CALL", [])
    return [str(call) for call in (found if isinstance(found, list) else [found])]


def _new_event(call: str, slot: Slot, customer: str, topic: str, now: datetime) -> str:
    event = icalendar.Event()
    fields = {
        "uid": call,
        "dtstamp": now,
        "dtstart": slot.start,
        "dtend": slot.end,
        "summary": _NOT_IN_XML.sub("\ufffd", topic) or "Appointment",
    }
    # Quoted, because servers take a property that they don't know apart at commas: `cn=ada,ou=shop` would become `cn=ada`.
    for name, value in (fields | {"x-remit-customer": quote(customer, safe=""), "x-remit-call": call}).items():
        event.add(name, value)
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//Remit//EN")
    calendar.add("version", "2.0")
    calendar.add_component(event)
    return str(calendar.to_ical(), "utf-8")


def _moved_event(event: Any, call: str, slot: Slot) -> str:
    calendar = icalendar.Calendar.from_ical(event.data)
    component = calendar.walk("VEVENT")[0]
    for name, value in (("DTSTART", slot.start), ("DTEND", slot.end)):
        component.pop(name)
        component.add(name, value)
    component.add("X-REMIT-CALL", call)
    return str(calendar.to_ical(), "utf-8")
