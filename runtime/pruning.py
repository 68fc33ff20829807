"""Prune what was kept long enough: record it, have that placed and signed, then delete, a few events at a time.

What is recorded first is the point of no return: one transaction moves the mark and writes `retention.pruned`, and is refused where
something was put on hold since it was found out what may go. From the checkpoint over that event on, the log begins behind the mark,
whatever still lies before it; so deleting can be cut off anywhere, and goes on at the next time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from ..audit.pruned import KIND
from ..errors import StoreError
from . import terms
from .call import ERASED, PRUNED
from .clock import to_text
from .journal import Conflict
from .logs import DatabaseLog
from .pruning_plan import PruningPlan, planned
from .retention import Retention
from .sequencer import Sequencer
from .statements import COUNTS, Write
from .work import Parts, apart

Progress = Callable[[int], None]
"""Told how many events are deleted."""

TOGETHER = 500
"""Events that one transaction deletes: others write in between."""
TRIES = 8
PLACED_WITHIN = 30.0
"""Seconds to wait for the sequencer of another process."""
POLL = 0.1

_SELECT = (
    "SELECT e.leaf_index, e.id, e.call, e.sequence, e.kind, e.at, e.leaf, c.created_at FROM event e LEFT JOIN call c"
    " ON c.tenant = e.tenant AND c.id = e.call WHERE e.tenant = ?"
)
_LEFT = f"{_SELECT} AND e.leaf_index >= ? AND e.leaf_index < ? ORDER BY e.leaf_index LIMIT ?"
_LATER = f"{_SELECT} AND (e.leaf_index >= ? OR e.leaf_index IS NULL) AND e.call IN ({{}})"
_OF_CALLS = ("prune.codes", "prune.votes", "prune.requirements", "prune.excluded", "prune.calls")
_BEGINS = "(SELECT e.at FROM pruned p JOIN event e ON e.tenant = p.tenant AND e.leaf_index = p.below WHERE p.tenant = ?1)"
_COUNT_NO_MORE = (
    f"SELECT DISTINCT call FROM reservation WHERE tenant = ?1 AND at < {_BEGINS} AND NOT EXISTS"  # noqa: S608 - text from this package
    " (SELECT 1 FROM event e WHERE e.tenant = ?1 AND e.call = reservation.call)"
    f" AND (released = 1 OR NOT {COUNTS.format(now='?2')})"
)
"""Calls that were pruned while what they had taken of a limit still counted, and whose window is over now."""
_IDLE = (
    f"SELECT s.series, s.key, ?2 / nullif(s.width, 0) - 61 FROM series s WHERE s.tenant = ?1 AND s.at < {_BEGINS} AND EXISTS"  # noqa: S608
    " (SELECT 1 FROM usage u WHERE u.tenant = s.tenant AND u.series = s.series AND u.key = s.key AND u.slice < ?2 / nullif(s.width, 0) - 61)"
)
"""Limits of which nobody has taken since before the log begins, with the first slice that may count: who takes of one drops the others."""


class NoRetention(StoreError):
    """No retention is declared, so nothing is ever pruned: Runtime(retention=Retention("400d"))."""

    code = "no_retention"


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was pruned: `events` leaves before leaf `below` (0: nothing); `event` is the id of the one that says so, `deleted` what this run deleted."""

    below: int
    events: int
    deleted: int
    event: str | None
    at: str | None
    plan: PruningPlan


class Pruning:
    """Prune by what is declared: `retention` (None: nothing is ever pruned)."""

    def __init__(self, parts: Parts, sequencer: Sequencer, retention: Retention | None) -> None:
        self._parts, self._store, self._sequencer = parts, parts.store, sequencer
        self.retention = retention

    async def plan(self) -> PruningPlan:
        """Say what would be pruned now, and what keeps the rest. Raises `NoRetention`, and `AuditError` for a log that does not verify."""
        if self.retention is None:
            raise NoRetention
        self._not_outdated()
        await self._sequencer.catch_up()
        return await planned(self._parts, self.retention)

    async def begins(self) -> int:
        """Give the first leaf of the log: 0 where nothing was pruned."""
        return await asyncio.to_thread(self._begins)

    def _begins(self) -> int:
        with DatabaseLog(self._parts) as log:
            return log.begins.size

    async def upcoming(self) -> int:
        """Count the events that `prune` would delete now: also those that an earlier run has left."""
        below = (await self.plan()).below
        sql = "SELECT count(*) FROM event WHERE tenant = ? AND leaf_index < ?"
        return int((await self._store.row(sql, (self._store.tenant, below)))[0])

    async def prune(self, *, by: str, progress: Progress | None = None) -> Pruned:
        """Prune what was kept long enough; begin where an earlier run was cut off. Safe to repeat.

        Raises `NoRetention`, `AuditError` for a log that does not verify, and `StoreError` where the event can't be placed or this
        role may not prune.
        """
        deleted = 0
        for left in reversed(range(TRIES)):
            deleted += await self._finish(progress)
            plan = await self.plan()
            if not plan.events:
                return Pruned(plan.former, 0, deleted, None, None, plan)
            try:
                event, at = await self._record(plan, by)
            except Conflict:  # something was put on hold meanwhile, or another process prunes
                if not left:
                    raise
                continue
            deleted += await self._finish(progress)
            return Pruned(plan.below, plan.events, deleted, event, at, plan)
        raise AssertionError

    async def _record(self, plan: PruningPlan, by: str) -> tuple[str, str]:
        """Move the mark, and write that it was moved: the point of no return."""
        assert self.retention is not None
        tenant, now = self._store.tenant, self._parts.clock.now()
        kept = {name: {"events": events, "days": self.retention.of(name).days} for name, events in plan.classes.items()}
        root = plan.edge().root().hex()
        body = {"below": plan.below, "root": root, "size": plan.size, "events": plan.events, "classes": kept, "by": by}
        body |= {"oldest_kept": plan.oldest_kept} if plan.oldest_kept else {}
        writes = apart(self._parts, KIND, body)
        event: str = writes[0].values[1]
        mark = Write("prune.mark", (tenant, plan.below, now, event, plan.former, plan.blocks))
        await self._store.commit([Write("prune.begin", (tenant, plan.epoch)), mark, *writes])
        return event, to_text(now)

    async def _finish(self, progress: Progress | None) -> int:
        """Delete what lies before the mark, once the event that says so is placed and signed; gives how many events."""
        row = await self._store.row("SELECT below, event, blocks FROM pruned WHERE tenant = ?", (self._store.tenant,))
        if row is None or row[2] is None:  # nothing was pruned by this
            return 0
        below, event, _ = row
        deleted = upcoming = 0  # from there on: on a server what was deleted before lies about in the index for a while
        if await self._store.row(_LEFT, (self._store.tenant, upcoming, below, 1)) is not None:
            await self._placed(event)
        while rows := await self._store.rows(_LEFT, (self._store.tenant, upcoming, below, TOGETHER)):
            self._not_outdated()
            await self._store.commit(self._deleting(rows, await self._later(rows)))
            deleted, upcoming = deleted + len(rows), rows[-1][0] + 1
            if progress is not None:
                progress(deleted)
        await self._sweep()
        await self._store.scrub()
        return deleted

    def _not_outdated(self) -> None:
        """Delete nothing by statements of before from what a newer version keeps otherwise; raises `DatabaseTooNew`."""
        if self._parts.control.outdated is not None:
            raise self._parts.control.outdated

    async def _sweep(self) -> None:
        """Delete what outlived its call, because it still counted or held then."""
        tenant, now = self._store.tenant, self._parts.clock.now()
        await self._store.commit([Write("prune.raised", (tenant, now), expect=None)])
        left = [_reservations(tenant, call, now) for (call,) in await self._store.rows(_COUNT_NO_MORE, (tenant, now))]
        left += [Write("usage.drop", (tenant, *idle), expect=None) for idle in await self._store.rows(_IDLE, (tenant, now))]
        for start in range(0, len(left), TOGETHER):
            await self._store.commit(left[start : start + TOGETHER])

    async def _placed(self, event: str) -> None:
        """Wait until an event is under a checkpoint."""
        sql = "SELECT 1 FROM event e JOIN checkpoint c ON c.tenant = e.tenant AND c.size > e.leaf_index WHERE e.tenant = ? AND e.id = ? LIMIT 1"
        with suppress(TimeoutError):
            async with asyncio.timeout(PLACED_WITHIN):
                await self._sequencer.catch_up()
                while await self._store.row(sql, (self._store.tenant, event)) is None:  # noqa: ASYNC110
                    await asyncio.sleep(POLL)  # another process places it, and tells nobody
                return
        raise StoreError(
            f"it is recorded ({event}) and nothing is deleted yet: no checkpoint covers that event; is the sequencer running? "
            "Then `remit retention prune` goes on"
        )

    async def _later(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Give the later events of the same calls: by what they say, too, a call is found."""
        if not (calls := _calls(rows)):
            return ()
        return await self._store.rows(_LATER.format(", ".join("?" * len(calls))), (self._store.tenant, rows[-1][0] + 1, *calls))

    def _deleting(self, rows: Sequence[Any], later: Sequence[Any]) -> list[Write]:
        """Delete these events, and what belonged to them and to calls of which none is left."""
        tenant, calls = self._store.tenant, _calls(rows)
        between = (tenant, rows[0][0], rows[-1][0] + 1)
        kept = {one for row in later for one in _terms(tenant, row)}
        found = dict.fromkeys(one for row in rows for one in _terms(tenant, row) if one not in kept)
        return [
            Write("prune.openings", between, expect=None),
            *(Write("prune.term", values, expect=None) for values in found),
            Write("prune.events", between, expect=None),
            *(_reservations(tenant, call, self._parts.clock.now()) for call in calls),
            *(Write(name, (tenant, call), expect=None) for call in calls for name in _OF_CALLS),
            *(Write("prune.effects", (tenant, call, b""), expect=None) for call in calls),
            *(Write("prune.emptied", (tenant, call, PRUNED, ERASED), expect=None) for call in calls),
        ]


def _calls(rows: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(row[2] for row in rows if row[2] is not None))


def _reservations(tenant: str, call: str, now: int) -> Write:
    return Write("prune.reservations", (tenant, call, now), expect=None)


def _terms(tenant: str, row: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Name the rows by which an event, or its call, was found in a search."""
    _, event, call, sequence, kind, at, leaf, created = row
    if call is None and kind in terms.COUNTED:
        return
    try:
        told = list(_told(call, sequence, kind, orjson.loads(leaf)))
    except (KeyError, TypeError, ValueError, AttributeError):  # written by hand
        return
    about, when = (event, at) if call is None else (call, at if created is None else created)
    for what, text, number in told:
        yield tenant, what, text, when, about, number


def _told(call: str | None, sequence: int, kind: str, leaf: Mapping[str, Any]) -> terms.Terms:
    principal = (leaf.get("principal") or {}).get("id", "")
    if call is None:
        yield from terms.alone(kind, leaf["body"], principal)
        return
    if sequence == 1:
        yield from terms.of_call(leaf["action"]["name"], principal)
    yield from terms.of_event(kind, leaf["body"])
