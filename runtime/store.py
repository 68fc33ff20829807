"""Read what was committed, and commit what comes next. One store is open for one tenant."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..audit import State
from ..errors import CallNotFound
from .call import Call
from .database import Database
from .journal import CommitUnknown, Journal
from .statements import CALL_COLUMNS, Write

_CALL = f"SELECT {', '.join(CALL_COLUMNS)} FROM call WHERE tenant = ?"  # noqa: S608 - names from this package
_STATE = CALL_COLUMNS.index("state")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What a call waits for; the columns of the table."""

    tenant: str
    id: str
    call: str
    kind: str
    rule: str
    role: str
    votes: int
    digest: str
    state: str
    reason: str
    created_at: int
    deadline_at: int
    assurance: int = 0
    covers: int | None = None
    escalate_at: int | None = None
    escalate_to: str = ""
    escalated: int = 0
    shown: str = ""

    @classmethod
    def columns(cls) -> str:
        """Name the columns in the order of the fields."""
        return ", ".join(cls.__slots__)


class Hold(NamedTuple):
    """One call's hold on an effect key: what it asked for, and whose pseudonym it asked under."""

    call: str
    ordinal: int
    fingerprint: bytes
    subject: str


class Store:
    """Give typed reads over the reading connection, and `commit` through the journal."""

    def __init__(self, database: Database, tenant: str) -> None:
        self.tenant = tenant
        self.keys = database.keys
        self.path = database.path
        self._reader = database.reader
        self.journal = Journal(database.writer)

    async def commit(self, writes: Iterable[Write], *, call: Call | None = None) -> None:
        """Commit, and read back by id when the commit was cut off: a commit error is not a failure."""
        try:
            await self.journal.commit(writes)
        except CommitUnknown:
            if (
                call is None
                or (stored := self.find(call.id)) is None
                or (stored.version, stored.last_leaf) != (call.version, call.last_leaf)
            ):
                raise

    async def close(self) -> None:
        """Finish what is queued and close both connections."""
        await self.journal.close()
        self._reader.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run one reading statement; `?` stands for each value."""
        return self._reader.execute(sql, values).fetchall()

    def scan(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """Stream the rows of one reading statement over a connection of its own: from any thread, one snapshot."""
        connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        try:
            yield from connection.execute(sql, values)
        finally:
            connection.close()

    def row(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Give the first row of one reading statement, or None."""
        return self._reader.execute(sql, values).fetchone()

    def find(self, call_id: str) -> Call | None:
        """Give a call by id."""
        return _call(self.row(f"{_CALL} AND id = ?", (self.tenant, call_id)))

    def get(self, call_id: str) -> Call:
        """Give a call by id; raises `CallNotFound`."""
        if (call := self.find(call_id)) is None:
            raise CallNotFound(f"no call {call_id} in {self.path.name}; `remit calls list` shows the latest")
        return call

    def by_idempotency(self, key: bytes) -> Call | None:
        """Give the call that was submitted under this key."""
        return _call(self.row(f"{_CALL} AND idempotency = ?", (self.tenant, key)))

    def holds(self, effect_key: bytes) -> list[Hold]:
        """List who holds an effect key, the highest ordinal first."""
        sql = "SELECT call, ordinal, fingerprint, subject FROM effect WHERE tenant = ? AND key = ? ORDER BY ordinal DESC"
        return [Hold(*row) for row in self.rows(sql, (self.tenant, effect_key))]

    def due(self, now: int, *, most: int) -> list[tuple[str, int]]:
        """List (id, version) of the calls whose wake-up has come."""
        return self.rows(
            "SELECT id, version FROM call WHERE tenant = ? AND wake_at <= ? ORDER BY wake_at LIMIT ?", (self.tenant, now, most)
        )

    def calls(self, *, state: str | None = None, action: str | None = None, before: int | None = None, most: int = 50) -> list[Call]:
        """List calls, the latest first, from before `before` (microseconds)."""
        where, values = _CALL, [self.tenant]
        for column, wanted in (("state = ?", state), ("action = ?", action), ("created_at < ?", before)):
            if wanted is not None:
                where += f" AND {column}"
                values.append(wanted)  # type: ignore[arg-type]
        return [call for row in self.rows(f"{where} ORDER BY created_at DESC LIMIT ?", (*values, most)) if (call := _call(row))]

    def requirements(self, call_id: str) -> list[Requirement]:
        """List what a call has been asked for, the earliest first."""
        sql = f"SELECT {Requirement.columns()} FROM requirement WHERE tenant = ? AND call = ? ORDER BY created_at, id"  # noqa: S608
        return [_requirement(row) for row in self.rows(sql, (self.tenant, call_id))]

    def open_requirements(self, *, most: int = 200) -> list[Requirement]:
        """List everything that somebody is asked for now, the most urgent first."""
        sql = f"SELECT {Requirement.columns()} FROM requirement WHERE tenant = ? AND state = 'open' ORDER BY deadline_at LIMIT ?"  # noqa: S608
        return [_requirement(row) for row in self.rows(sql, (self.tenant, most))]

    def requirement(self, requirement_id: str) -> Requirement | None:
        """Give a requirement by id."""
        sql = f"SELECT {Requirement.columns()} FROM requirement WHERE tenant = ? AND id = ?"  # noqa: S608
        row = self.row(sql, (self.tenant, requirement_id))
        return _requirement(row) if row else None

    def votes(self, requirement_id: str) -> list[tuple[str, str, str]]:
        """List (person, answer, role) of a requirement."""
        return self.rows("SELECT person, answer, role FROM vote WHERE tenant = ? AND requirement = ?", (self.tenant, requirement_id))

    def control(self) -> tuple[int, str] | None:
        """Give the epoch and the digest of the active policy bundle."""
        return self.row("SELECT epoch, bundle FROM tenant_control WHERE tenant = ?", (self.tenant,))  # type: ignore[no-any-return]

    def last_recorded(self) -> int:
        """Give the latest recorded time in microseconds, 0 for an empty log."""
        found = self.row("SELECT at FROM event ORDER BY position DESC LIMIT 1")
        return int(found[0]) if found else 0


def _call(row: Sequence[Any] | None) -> Call | None:
    if row is None:
        return None
    values = list(row)
    values[_STATE] = State(values[_STATE])
    return Call(**dict(zip(CALL_COLUMNS, values, strict=True)))


def _requirement(row: Sequence[Any]) -> Requirement:
    return Requirement(**dict(zip(Requirement.__slots__, row, strict=True)))
