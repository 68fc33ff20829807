"""Read what was committed, and commit what comes next. One store is open for one tenant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from ..audit import State
from ..errors import CallNotFound
from .call import Call
from .clock import Clock, started
from .database import Database, Snapshot
from .journal import CommitUnknown, Journal
from .series import Held, Take, held_by, used
from .statements import CALL_COLUMNS, WAKE, Write

if TYPE_CHECKING:
    from .queue import Queue

_CALL = f"SELECT {', '.join(CALL_COLUMNS)} FROM call WHERE tenant = ?"  # noqa: S608 - names from this package
_STATE = CALL_COLUMNS.index("state")
_EARLIER = (
    "SELECT 'holds', call, ordinal, fingerprint, subject FROM effect WHERE tenant = ?1 AND key = ?5"
    " UNION ALL SELECT 'same', id, 0, fingerprint, '' FROM call WHERE tenant = ?1 AND idempotency = ?2"
    " UNION ALL SELECT * FROM (SELECT 'declined', id, 0, fingerprint, '' FROM call"
    " WHERE tenant = ?1 AND fingerprint = ?3 AND state = 'declined' AND conversation = ?4 LIMIT 1) AS no"
)


AHEAD = 1_000_000
"""Microseconds by which a clock may be ahead of the others' without anybody following it."""
TAKEN_UP = 500_000
"""Microseconds within which a process takes up what it has moved; else the queue does."""


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

    @property
    def stands(self) -> bool:
        """Say whether this is asked for, or granted, and not answered with no, closed or asked anew."""
        return self.state in {"open", "approved", "used"}

    def values(self) -> tuple[Any, ...]:
        """Give the row as it is stored."""
        return tuple(getattr(self, name) for name in self.__slots__)


class Hold(NamedTuple):
    """One call's hold on an effect key: what it asked for, and whose pseudonym it asked under."""

    call: str
    ordinal: int
    fingerprint: bytes
    subject: str


class Earlier(NamedTuple):
    """What came before a call.

    `same` is the call that was submitted under the same key, `declined` one of its conversation that asked for the same, and to which a
    person said no; `holds` are who holds its effect key, the highest ordinal first.
    """

    same: str | None
    declined: str | None
    holds: tuple[Hold, ...]


class Code(NamedTuple):
    """A one-time code: the how many-th it is of its step-up, its keyed hash, and how often it was tried."""

    sent: int
    hash: bytes
    tries: int
    sent_at: int
    expires_at: int
    used: int


class ControlRow(NamedTuple):
    """What is in force for a tenant: digests of the active bundle and of the one decided beside it (empty: none), and thrown switches."""

    epoch: int
    bundle: str
    shadow: str
    switches: frozenset[tuple[str, str]]


class Store:
    """Give typed reads over the reading connection, and `commit` through the journal."""

    def __init__(self, database: Database, tenant: str) -> None:
        self.tenant = tenant
        self.keys = database.keys
        self.keys_at = database.keys_at
        self.name = database.name
        self._database = database
        self.journal = Journal(database.writer)

    async def commit(self, writes: Iterable[Write], *, call: Call | None = None) -> None:
        """Commit, and read back by id when the commit was cut off: a commit error is not a failure."""
        try:
            await self.journal.commit(writes)
        except CommitUnknown:
            if (
                call is None
                or (stored := await self.find(call.id)) is None
                or (stored.version, stored.last_leaf) != (call.version, call.last_leaf)
            ):
                raise

    def waking(self, call: Call, *, here: bool) -> list[Write]:
        """Let a call that rests be taken up when it is due; what is due at once, whoever has moved it takes up itself, if it can (`here`)."""
        if self._database.queue is None or call.wake_at is None or call.state is State.EXECUTING:
            return []
        due = max(call.wake_at, call.updated_at + TAKEN_UP) if here else call.wake_at
        return [Write(WAKE, (call.action, call.id, due), expect=None)]

    async def time(self) -> int | None:
        """Give the database's own time in microseconds, if it has one."""
        return await self._database.time()

    async def share_time(self, clock: Clock) -> None:
        """Begin with the time that there is; a clock further ahead takes all processes of this machine along, if no attempt is under way.

        The epoch is raised with it: an attempt whose lease was computed by the time before is refused, and begun again.
        """
        found = await self.take_time(clock)
        if found is not None and found + AHEAD < clock.offset:
            ahead = Write("meta.ahead", (f"{started()} {clock.offset}",), expect=None)
            await self.commit([Write("control.raise_all", (), expect=None), ahead])
            found = await self.take_time(clock)
        if found is not None:
            clock.begin_at(found)

    async def take_time(self, clock: Clock) -> int | None:
        """Let a clock follow the database's; where that has none, be as far ahead as any process of this machine, which is given."""
        if (now := await self._database.time()) is not None:
            clock.follow(now)
            return None
        if not clock.shared:
            return None
        found = await self.row("SELECT value FROM store_meta WHERE key = 'clock'")
        machine, _, offset = found[0].partition(" ") if found else ("", "", "")
        if machine != started():
            return None if started() is None else -1
        clock.at_least(int(offset))
        return int(offset)

    async def leads(self) -> bool:
        """Say whether this process is the one that gives events their places."""
        return await self._database.leads()

    async def yield_lead(self) -> None:
        """Let another process give events their places."""
        await self._database.yield_lead()

    async def scrub(self) -> None:
        """Let nothing of what was deleted lie about."""
        await self._database.scrub()

    @property
    def queue(self) -> Queue | None:
        """Give what wakes calls up, where that is not a column of theirs."""
        return self._database.queue

    async def close(self) -> None:
        """Finish what is queued and close every connection."""
        await self.journal.close()
        await self._database.close()

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run one reading statement; `?` stands for each value."""
        return await self._database.rows(sql, values)

    def snapshot(self) -> Snapshot:
        """Keep a moment, on a connection of its own; it must be closed."""
        return self._database.snapshot()

    def scan(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """Stream the rows of one reading statement over a connection of its own: from any thread, one snapshot."""
        with closing(self.snapshot()) as snapshot:
            yield from snapshot.scan(sql, values)

    def scanned(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Give the first row of one reading statement, or None; from any thread."""
        with closing(self.snapshot()) as snapshot:
            return next(iter(list(snapshot.scan(sql, values))), None)

    async def row(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Give the first row of one reading statement, or None."""
        return next(iter(await self._database.rows(sql, values)), None)

    async def find(self, call_id: str) -> Call | None:
        """Give a call by id."""
        return _call(await self.row(f"{_CALL} AND id = ?", (self.tenant, call_id)))

    async def get(self, call_id: str) -> Call:
        """Give a call by id; raises `CallNotFound`."""
        if (call := await self.find(call_id)) is None:
            pruned = await self.row("SELECT below, event FROM pruned WHERE tenant = ?", (self.tenant,))
            why = f" (what was recorded before leaf {pruned[0]} was pruned by retention: event {pruned[1]})" if pruned else ""
            raise CallNotFound(f"no call {call_id} in {self.name}{why}; `remit calls list` shows the latest")
        return call

    async def earlier(self, call: Call) -> Earlier:
        """Give what came before a new call and concerns it, in one read: it lies on the way of every call."""
        said = call.conversation or None  # outside every conversation a no is to one call alone
        values = (self.tenant, call.idempotency, call.fingerprint, said, call.effect_key)
        same = declined = None
        holds: list[Hold] = []
        for what, *row in await self.rows(_EARLIER, values):
            match what:
                case "same":
                    same = row[0]
                case "declined":
                    declined = row[0]
                case _:
                    holds.append(Hold(*row))
        return Earlier(same, declined, tuple(sorted(holds, key=lambda hold: -hold.ordinal)))

    async def holds(self, effect_key: bytes) -> list[Hold]:
        """List who holds an effect key, the highest ordinal first."""
        sql = "SELECT call, ordinal, fingerprint, subject FROM effect WHERE tenant = ? AND key = ? ORDER BY ordinal DESC"
        return [Hold(*row) for row in await self.rows(sql, (self.tenant, effect_key))]

    async def due(self, now: int, *, most: int) -> list[tuple[str, int]]:
        """List (id, version) of the calls whose wake-up has come."""
        return await self.rows(
            "SELECT id, version FROM call WHERE tenant = ? AND wake_at <= ? ORDER BY wake_at LIMIT ?", (self.tenant, now, most)
        )

    async def calls(self, *, state: str | None = None, action: str | None = None, before: int | None = None, most: int = 50) -> list[Call]:
        """List calls, the latest first, from before `before` (microseconds)."""
        where, values = _CALL, [self.tenant]
        for column, wanted in (("state = ?", state), ("action = ?", action), ("created_at < ?", before)):
            if wanted is not None:
                where += f" AND {column}"
                values.append(wanted)  # type: ignore[arg-type]
        return [call for row in await self.rows(f"{where} ORDER BY created_at DESC LIMIT ?", (*values, most)) if (call := _call(row))]

    async def requirements(self, call_id: str) -> list[Requirement]:
        """List what a call has been asked for, the earliest first."""
        sql = f"SELECT {Requirement.columns()} FROM requirement WHERE tenant = ? AND call = ? ORDER BY created_at, id"  # noqa: S608
        return [_requirement(row) for row in await self.rows(sql, (self.tenant, call_id))]

    async def asked_of(self, call_ids: Sequence[str]) -> list[Requirement]:
        """List what is asked about these calls now, the earliest first."""
        marks = ", ".join("?" * len(call_ids)) or "NULL"
        sql = f"SELECT {Requirement.columns()} FROM requirement WHERE tenant = ? AND state = 'open' AND call IN ({marks}) ORDER BY created_at, id"  # noqa: S608
        return [_requirement(row) for row in await self.rows(sql, (self.tenant, *call_ids))]

    async def asking(self, *, kind: str | None = None) -> list[str]:
        """Name the calls of which somebody is asked something now, or something of one kind, the most urgent first."""
        sql = "SELECT call FROM requirement WHERE tenant = ? AND state = 'open' AND kind = coalesce(?, kind) GROUP BY call ORDER BY min(deadline_at)"
        return [call for (call,) in await self.rows(sql, (self.tenant, kind))]

    async def requirement(self, requirement_id: str) -> Requirement | None:
        """Give a requirement by id."""
        sql = f"SELECT {Requirement.columns()} FROM requirement WHERE tenant = ? AND id = ?"  # noqa: S608
        row = await self.row(sql, (self.tenant, requirement_id))
        return _requirement(row) if row else None

    async def votes(self, requirement_id: str) -> list[tuple[str, str]]:
        """List (person, answer) of a requirement, the earliest first."""
        return await self.rows(
            "SELECT person, answer FROM vote WHERE tenant = ? AND requirement = ? ORDER BY at", (self.tenant, requirement_id)
        )

    async def ballots(self, call: Call) -> dict[str, frozenset[str]]:
        """Give who has approved what the call would now do, with the roles that each held when voting."""
        sql = "SELECT person, roles FROM vote WHERE tenant = ? AND call = ? AND digest = ? AND void = 0 AND answer = 'approve'"
        return {person: frozenset(roles.split()) for person, roles in await self.rows(sql, (self.tenant, call.id, call.digest))}

    async def excluded(self, call_id: str) -> frozenset[bytes]:
        """Give the keyed hashes of whoever can't vote on a call."""
        return frozenset(
            who for (who,) in await self.rows("SELECT who FROM excluded WHERE tenant = ? AND call = ?", (self.tenant, call_id))
        )

    async def code(self, requirement_id: str) -> Code | None:
        """Give the latest one-time code that was sent for a step-up."""
        sql = "SELECT sent, hash, tries, sent_at, expires_at, used FROM code WHERE tenant = ? AND requirement = ?"
        found = await self.row(sql, (self.tenant, requirement_id))
        return Code(*found) if found else None

    async def raised(self, subject: str, conversation: str, now: int) -> tuple[int, int] | None:
        """Give (assurance, since when) that a customer, by pseudonym, has proved in a conversation, while it holds."""
        sql = "SELECT assurance, verified_at FROM raised WHERE tenant = ? AND subject = ? AND conversation = ? AND until_at > ?"
        return await self.row(sql, (self.tenant, subject, conversation, now))  # type: ignore[no-any-return]

    async def latest_of(self, call: Call, *, most: int) -> list[Call]:
        """List the latest other calls about the same person, the latest first."""
        sql = f"{_CALL} AND subject = ? AND id <> ? ORDER BY created_at DESC LIMIT ?"
        return [found for row in await self.rows(sql, (self.tenant, call.subject, call.id, most)) if (found := _call(row))]

    async def control(self) -> ControlRow | None:
        """Give what is in force, as one statement sees it: the switches are those of this epoch."""
        sql = (
            "SELECT c.epoch, c.bundle, c.shadow, s.kind, s.target FROM tenant_control c "
            "LEFT JOIN switch s ON s.tenant IN (c.tenant, '*') WHERE c.tenant = ?"
        )
        rows = await self.rows(sql, (self.tenant,))
        if not rows:
            return None
        epoch, bundle, shadow, *_ = rows[0]
        return ControlRow(epoch, bundle, shadow, frozenset((kind, target) for *_, kind, target in rows if kind))

    async def used(self, take: Take, own: Held | None) -> Mapping[str, Any]:
        """Say what is used in the window that a call would take from, without what it holds of it (`own`)."""
        return await used(self._database, take, own)

    async def held(self, call_id: str) -> dict[str, Held]:
        """Give what a call holds of limits, by series."""
        return await held_by(self._database, self.tenant, call_id)

    async def last_decision(self, call_id: str) -> Mapping[str, Any]:
        """Give what was last decided on a call, as its event tells it; empty where nothing was."""
        sql = "SELECT leaf FROM event WHERE tenant = ? AND call = ? AND kind = 'call.decided' ORDER BY sequence DESC LIMIT 1"
        found = await self.row(sql, (self.tenant, call_id))
        decision: Mapping[str, Any] = orjson.loads(found[0])["body"]["decision"] if found else {}
        return decision

    async def done(self, conversation: str, subject: str) -> tuple[str, ...]:
        """Name the actions that have succeeded in a conversation for a person, by pseudonym."""
        sql = (
            "SELECT DISTINCT action FROM call WHERE tenant = ? AND conversation = ? AND conversation <> '' AND subject = ? "
            "AND state = 'succeeded' ORDER BY action"
        )
        return tuple(action for (action,) in await self.rows(sql, (self.tenant, conversation, subject)))

    async def last_recorded(self) -> int:
        """Give the latest recorded time in microseconds, 0 for an empty log."""
        found = await self.row("SELECT at FROM event ORDER BY position DESC LIMIT 1")
        return int(found[0]) if found else 0


def _call(row: Sequence[Any] | None) -> Call | None:
    if row is None:
        return None
    values = list(row)
    values[_STATE] = State(values[_STATE])
    return Call(**dict(zip(CALL_COLUMNS, values, strict=True)))


def _requirement(row: Sequence[Any]) -> Requirement:
    return Requirement(**dict(zip(Requirement.__slots__, row, strict=True)))
