"""Keep appointments in a calendar of one's own: a SQLite database beside the shop, no account anywhere.

The database itself keeps a slot from being taken twice (`UNIQUE (calendar, slot)`), and remembers each call's change.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, ClassVar

from .. import Keeping, Ledger, LedgerEntry
from .appointments import SLOT, Appointment, Calendar, OpeningHours, Slot, refusal
from .database import Database, utc_now

# A cancelled appointment keeps its row and gives up its slot: to a UNIQUE constraint no NULL equals another.
SCHEMA = """
CREATE TABLE IF NOT EXISTS appointment (
    id TEXT PRIMARY KEY, calendar TEXT NOT NULL, customer TEXT NOT NULL, topic TEXT NOT NULL,
    slot TEXT, starts TEXT NOT NULL, ends TEXT NOT NULL,
    UNIQUE (calendar, slot)
) STRICT;
CREATE TABLE IF NOT EXISTS change (
    call TEXT PRIMARY KEY, id TEXT NOT NULL REFERENCES appointment (id), customer TEXT NOT NULL,
    kind TEXT NOT NULL, starts TEXT NOT NULL, ends TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
"""


class EmbeddedCalendar(Calendar, Ledger):
    """Keep the calendar `name` in the SQLite file at `path`; several calendars, and several processes, may share the file."""

    kept: ClassVar[Mapping[str, Keeping]] = {"appointment": Keeping.ALL, "cancellation": Keeping.ALL}

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "support",
        hours: OpeningHours | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database, self._name, self._hours, self._now = Database(path, SCHEMA), name, hours or OpeningHours(), now

    async def free(self, first: date, days: int) -> list[Slot]:
        """List the free slots that begin from now on, on `days` days from `first`."""
        query = "SELECT slot FROM appointment WHERE calendar = ? AND slot IS NOT NULL"
        taken = await self._database.run(lambda db: {row["slot"] for row in db.execute(query, (self._name,))})
        return [slot for slot in self._hours.between(first, days) if slot.start > self._now() and slot.id not in taken]

    async def find(self, appointment_id: str) -> Appointment | None:
        """Return the appointment as it stands, None if it does not."""
        return await self._database.run(lambda db: self._standing(db, appointment_id))

    async def changed(self, call: str, appointment_id: str) -> Appointment | None:
        """Return the appointment as the call CALL booked or moved it, None if it did neither."""
        query = "SELECT * FROM change WHERE call = ? AND id = ? AND kind <> 'cancelled'"
        return await self._database.run(lambda db: _appointment(db.execute(query, (call, appointment_id)).fetchone()))

    async def book(self, call: str, slot_id: str, customer: str, topic: str) -> Appointment:
        """Book a slot. A customer who already holds it gets the appointment that stands."""
        slot = self._hours.slot(slot_id, self._now())
        made = Appointment(id=call, start=slot.start, end=slot.end, customer=customer)

        def work(db: sqlite3.Connection) -> Appointment:
            row = (call, self._name, customer, topic, slot.id, slot.start.isoformat(), slot.end.isoformat())
            try:
                db.execute("INSERT INTO appointment VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                mine = "SELECT * FROM appointment WHERE calendar = ? AND slot = ? AND customer = ?"
                if standing := _appointment(db.execute(mine, (self._name, slot.id, customer)).fetchone()):
                    return standing
                raise refusal("slot_taken") from None
            self._note(db, call, "booked", made)
            return made

        return await self._database.run(work)

    async def move(self, call: str, appointment_id: str, slot_id: str) -> Appointment:
        """Move an appointment to another slot. One that is already there is returned as it stands."""
        slot = self._hours.slot(slot_id, self._now())

        def work(db: sqlite3.Connection) -> Appointment:
            standing = self._standing(db, appointment_id)
            if standing is None:
                raise refusal("no_such_appointment")
            moved = standing.model_copy(update={"start": slot.start, "end": slot.end})
            if moved == standing:
                return standing
            change = "UPDATE appointment SET slot = ?, starts = ?, ends = ? WHERE id = ?"
            try:
                db.execute(change, (slot.id, slot.start.isoformat(), slot.end.isoformat(), appointment_id))
            except sqlite3.IntegrityError:
                raise refusal("slot_taken") from None
            self._note(db, call, "moved", moved)
            return moved

        return await self._database.run(work)

    async def cancel(self, call: str, appointment_id: str) -> None:
        """Cancel an appointment; its slot is free again."""

        def work(db: sqlite3.Connection) -> None:
            standing = self._standing(db, appointment_id)
            if standing is None:
                raise refusal("no_such_appointment")
            db.execute("UPDATE appointment SET slot = NULL WHERE id = ?", (appointment_id,))
            self._note(db, call, "cancelled", standing)

        await self._database.run(work)

    async def entries_about(self, effect: str, about: str) -> AsyncIterator[LedgerEntry]:
        """Give the changes of one appointment: its booking and moves, or its cancellation."""
        async for entry in self._entries(effect, "id = ?", about):
            yield entry

    async def entries_since(self, effect: str, since: datetime) -> AsyncIterator[LedgerEntry]:
        """Give the changes that were made since then."""
        async for entry in self._entries(effect, "at >= ?", since.astimezone(UTC).isoformat(timespec="seconds")[:19]):
            yield entry

    async def _entries(self, effect: str, where: str, value: str) -> AsyncIterator[LedgerEntry]:
        kinds = "= 'cancelled'" if effect == "cancellation" else "<> 'cancelled'"
        query = (
            "SELECT change.rowid AS place, change.*, appointment.slot FROM change JOIN appointment USING (id)"  # noqa: S608 - words of ours
            f" WHERE appointment.calendar = ? AND change.{where} AND change.kind {kinds} AND change.rowid > ? ORDER BY change.rowid LIMIT 500"
        )
        place, more = 0, True
        while more:
            rows = await self._database.run(partial(_read, query, (self._name, value, place)))
            for row in rows:
                yield _entry(effect, row)
            place, more = (rows[-1]["place"], True) if rows else (0, False)

    def _standing(self, db: sqlite3.Connection, appointment_id: str) -> Appointment | None:
        query = "SELECT * FROM appointment WHERE calendar = ? AND id = ? AND slot IS NOT NULL"
        return _appointment(db.execute(query, (self._name, appointment_id)).fetchone())

    def _note(self, db: sqlite3.Connection, call: str, kind: str, left: Appointment) -> None:
        row = (call, left.id, left.customer, kind, left.start.isoformat(), left.end.isoformat(), self._now().isoformat())
        db.execute("INSERT INTO change VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def _read(query: str, given: tuple[Any, ...], db: sqlite3.Connection) -> list[sqlite3.Row]:
    return db.execute(query, given).fetchall()


def _entry(effect: str, row: Any) -> LedgerEntry:
    ended = effect == "cancellation"
    slot = None if ended else datetime.fromisoformat(row["starts"]).astimezone(UTC).strftime(SLOT)
    stands = ended or row["slot"] is not None
    return LedgerEntry(effect, row["id"], row["id"], call=row["call"], detail=slot, at=datetime.fromisoformat(row["at"]), stands=stands)


def _appointment(row: sqlite3.Row | None) -> Appointment | None:
    if row is None:
        return None
    start, end = (datetime.fromisoformat(row[name]) for name in ("starts", "ends"))
    return Appointment(id=row["id"], start=start, end=end, customer=row["customer"])
