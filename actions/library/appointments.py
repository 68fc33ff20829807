"""Book, move and cancel appointments, over whatever calendar a shop keeps.

    Runtime([appointments], resources=[EmbeddedCalendar("calendar.db")], …)

The actions are ordinary `lookup` actions: no calendar takes an idempotency key, every calendar can be asked what a call did.
Booking and moving say `key=per_call`: a slot becomes free again, so the same request may rightly succeed twice in a life, and what
keeps it from being taken twice at once is the calendar itself, which also answers a repeated request with what already stands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated

from pydantic import BaseModel, Field, computed_field

from ...errors import Refused
from .. import Context, Injected, Internal, Personal, Public, Subject, action, entered, lookup, per_call, read, undo

SLOT = "%Y%m%dT%H%MZ"
"""How the start of a slot is written as its id, in UTC."""
_FIRST_DAY, _LAST_DAY = date.min.toordinal() + 1, date.max.toordinal()  # the outermost days don't exist in every zone
_MOST = 100  # slots in one answer: more is no help to a customer, and results are bounded


class Slot(BaseModel, frozen=True):
    """A stretch of time that can be booked; `id` is its start in UTC, such as 20300107T0900Z."""

    id: str
    start: datetime
    end: datetime


class Appointment(BaseModel, frozen=True):
    """A booked slot; `id` is the id of the call that booked it, `slot_id` that of the slot."""

    id: Public[str]
    start: datetime
    end: datetime
    customer: Internal[str]

    @computed_field
    def slot_id(self) -> Public[str]:
        """Give the id of its slot, by which it can be moved back there."""
        return self.start.astimezone(UTC).strftime(SLOT)


class FreeSlots(BaseModel, frozen=True):
    """Slots that were free a moment ago, earliest first; `more` says that there are others."""

    slots: list[Slot]
    more: bool


class Cancelled(BaseModel, frozen=True):
    """An appointment that no longer stands."""

    appointment_id: Public[str]


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """Divide opening hours into slots of `minutes`; weekdays count from 0, Monday; times are local to `zone`."""

    weekdays: frozenset[int] = frozenset(range(5))
    opens: time = time(9)
    closes: time = time(17)
    minutes: int = 30
    zone: tzinfo = UTC

    def on(self, day: date) -> list[Slot]:
        """List the slots of one local day. They are counted in UTC, so that a change of the clocks makes none twice."""
        if day.weekday() not in self.weekdays:
            return []
        start, closes = (datetime.combine(day, at, self.zone).astimezone(UTC) for at in (self.opens, self.closes))
        length = timedelta(minutes=self.minutes)
        starts = [start + length * n for n in range((closes - start) // length)]
        return [Slot(id=start.strftime(SLOT), start=start, end=start + length) for start in starts]

    def between(self, first: date, days: int) -> list[Slot]:
        """List the slots of `days` local days from `first`, earliest first; none beyond the calendar's last days."""
        last = min(first.toordinal() + days, _LAST_DAY)
        return [slot for day in range(max(first.toordinal(), _FIRST_DAY), last) for slot in self.on(date.fromordinal(day))]

    def slot(self, slot_id: str, now: datetime) -> Slot:
        """Return the slot of that id. Raise Refused where there is none, or it has begun."""
        try:
            day = datetime.strptime(slot_id, SLOT).replace(tzinfo=UTC).astimezone(self.zone).date()
        except (ValueError, OverflowError):  # no time at all, or one that is beyond all dates in the zone
            raise refusal("no_such_slot") from None
        found = next((slot for slot in self.between(day, 1) if slot.id == slot_id), None)
        if found is None or found.start <= now:
            raise refusal("no_such_slot")
        return found


_REASONS = {
    "no_such_slot": "There is no such slot. Take one that find_slots offers.",
    "slot_taken": "This slot is taken. Offer another one.",
    "no_such_appointment": "There is no such appointment.",
    "changed_meanwhile": "The appointment has just been changed. Look at it again.",
}


def refusal(code: str) -> Refused:
    """Make the refusal of that code; each says for certain that nothing was changed."""
    return Refused(_REASONS[code], definite=True, code=code)


class Calendar(ABC):
    """Keep appointments. A slot is held by at most one; every change keeps the id of the call that made it.

    Reading raises Retryable where the calendar does not answer. Changing raises Refused or Retryable where it is certain that
    nothing changed, and Unsure where it is not.
    """

    @abstractmethod
    async def free(self, first: date, days: int) -> list[Slot]:
        """List the free slots that begin from now on, on `days` days from `first`, earliest first."""

    @abstractmethod
    async def find(self, appointment_id: str) -> Appointment | None:
        """Return the appointment as it stands, None if it does not."""

    @abstractmethod
    async def book(self, call: str, slot_id: str, customer: str, topic: str) -> Appointment:
        """Book a slot. A customer who already holds it gets the appointment that stands."""

    @abstractmethod
    async def move(self, call: str, appointment_id: str, slot_id: str) -> Appointment:
        """Move an appointment to another slot. One that is already there is returned as it stands."""

    @abstractmethod
    async def cancel(self, call: str, appointment_id: str) -> None:
        """Cancel an appointment; its slot is free again."""

    @abstractmethod
    async def changed(self, call: str, appointment_id: str) -> Appointment | None:
        """Return the appointment that the call CALL booked or moved, None if it did neither."""


async def load_appointment(appointment_id: str, calendar: Injected[Calendar]) -> Appointment | None:
    """Load the appointment that a call is about."""
    return await calendar.find(appointment_id)


async def _booked(ctx: Context, calendar: Injected[Calendar]) -> Appointment | None:
    return await calendar.changed(ctx.call_id, ctx.call_id)


async def _moved(ctx: Context, appointment_id: str, calendar: Injected[Calendar]) -> Appointment | None:
    return await calendar.changed(ctx.call_id, appointment_id)


async def _cancelled(appointment_id: str, calendar: Injected[Calendar]) -> Cancelled | None:
    return None if await calendar.find(appointment_id) else Cancelled(appointment_id=appointment_id)


AppointmentId = Annotated[Public[str], Field(min_length=1, max_length=64, description="The id that book_appointment gave.")]
SlotId = Annotated[Public[str], Field(pattern="^[0-9]{8}T[0-9]{4}Z$", description="The id of a slot that find_slots offered.")]


@action(effect=read, owns=None, owns_reason="Free times are shown to everybody, and say nothing about who holds the others.")
async def find_slots(
    calendar: Injected[Calendar],
    first_day: Annotated[Public[date], Field(description="The first day to look at.")],
    days: Annotated[Public[int], Field(ge=1, le=31, description="How many days to look at.")] = 7,
) -> FreeSlots:
    """Find free times for an appointment."""
    found = await calendar.free(first_day, days)
    return FreeSlots(slots=found[:_MOST], more=len(found) > _MOST)


@action(
    effect=lookup(_booked, settle="10s"),
    key=per_call,
    owns="!subject.anonymous",
    undo=undo(
        "cancel_appointment", appointment_id="call.id"
    ),  # not result.id: a call that found the slot booked already has booked nothing
    ledger=entered("appointment", about="result.id", detail="arguments.slot_id"),
    summary={"en": "Book an appointment in the slot {slot_id} (UTC).", "de": "Einen Termin zur Zeit {slot_id} (UTC) buchen."},
    labels={"en": {"slot_id": "Slot"}, "de": {"slot_id": "Zeit", "topic": "Anliegen"}},
)
async def book_appointment(
    ctx: Context,
    subject: Subject,
    calendar: Injected[Calendar],
    slot_id: SlotId,
    topic: Annotated[Personal[str], Field(max_length=200, description="What the appointment is about, in a few words.")] = "",
) -> Appointment:
    """Book an appointment for the customer in a free slot."""
    booked = await calendar.book(ctx.call_id, slot_id, subject.id, topic)
    ctx.reference(booked.id, status="booked")
    return booked


@action(
    effect=lookup(_moved, settle="10s"),
    key=per_call,
    facts={"appointment": load_appointment},
    owns="facts.appointment.customer == subject.id",
    undo=undo("reschedule_appointment", appointment_id="arguments.appointment_id", slot_id="facts.appointment.slot_id"),
    ledger=entered("appointment", about="arguments.appointment_id", detail="arguments.slot_id"),
    summary={
        "en": "Move your appointment on {facts.appointment.start} to the slot {slot_id} (UTC).",
        "de": "Ihren Termin am {facts.appointment.start} auf die Zeit {slot_id} (UTC) verlegen.",
    },
    labels={"en": {"appointment_id": "Appointment", "slot_id": "Slot"}, "de": {"appointment_id": "Termin", "slot_id": "Zeit"}},
)
async def reschedule_appointment(ctx: Context, calendar: Injected[Calendar], appointment_id: AppointmentId, slot_id: SlotId) -> Appointment:
    """Move one of the customer's appointments to another free slot."""
    moved = await calendar.move(ctx.call_id, appointment_id, slot_id)
    ctx.reference(moved.id, status="moved")
    return moved


@action(
    effect=lookup(_cancelled, settle="10s"),
    key="cancel_appointment:{appointment_id}",
    facts={"appointment": load_appointment},
    owns="facts.appointment.customer == subject.id",
    ledger=entered("cancellation", about="arguments.appointment_id", ends="appointment"),
    summary={
        "en": "Cancel your appointment on {facts.appointment.start}.",
        "de": "Ihren Termin am {facts.appointment.start} absagen.",
    },
    labels={"en": {"appointment_id": "Appointment"}, "de": {"appointment_id": "Termin"}},
)
async def cancel_appointment(ctx: Context, calendar: Injected[Calendar], appointment_id: AppointmentId) -> Cancelled:
    """Cancel one of the customer's appointments."""
    await calendar.cancel(ctx.call_id, appointment_id)
    ctx.reference(appointment_id, status="cancelled")
    return Cancelled(appointment_id=appointment_id)
