"""Commit changes in groups: whatever queued while the last group committed goes in the next transaction.

A statement runs once for the whole group. If anything in a group is off, the group rolls back and its members run one by one, so
a member fails only for its own reasons. A commit error is not a failure: the members are told that it is not known, and read back
by id.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ..errors import DatabaseUnavailable, StoreError
from . import telemetry
from .database import Writer
from .series import CHANGE, Found, change
from .statements import ORDER, Change, Write

LONGEST_QUEUE = 20_000
TRIES = 8
"""Of one change alone, where other processes get in its way."""


class Conflict(StoreError):
    """The row moved meanwhile, or somebody else holds the key. Read again, then decide again."""

    code = "conflict"

    def __init__(self, statement: str) -> None:
        super().__init__(f"{statement}: the row moved meanwhile, or somebody else holds the key")
        self.statement = statement


class LimitReached(Conflict):
    """What the call would take of a limit does not fit any more; `found` says what was used when it was tried."""

    code = "limit_reached"

    def __init__(self, found: Found) -> None:
        super().__init__(CHANGE)
        self.found = found


class CommitUnknown(StoreError):
    """The commit was cut off; read back by id before deciding."""

    code = "commit_unknown"


class Overlapped(StoreError):
    """Another process changed the same at the same time, and the database undid this: the same again may succeed."""

    code = "overlapped"


@dataclass(slots=True)
class _Member:
    change: Change
    since: float = field(default_factory=time.monotonic)
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Journal:
    """Own the one writing connection of this process."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._queue: list[_Member] = []
        self._waked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.waited: Callable[[float], None] = _nobody
        """Told of each group how long its first change has waited, in seconds."""

    @property
    def depth(self) -> int:
        """Count the changes that wait for a transaction."""
        return len(self._queue)

    async def commit(self, writes: Iterable[Write]) -> None:
        """Commit these writes together, or none of them.

        Raises `Conflict` when a row moved or a key is taken, `LimitReached` when a limit has no room, `CommitUnknown` when the
        commit itself was cut off, and `StoreError` for a database that can't be written. The queue is bounded at the door, by
        `LONGEST_QUEUE`: whatever was let in may write what has become of it.
        """
        if self._closing:
            raise StoreError("the database was closed")
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="remit-journal")
        writes = list(writes)
        rows = sorted((write for write in writes if write.statement != CHANGE), key=_place)
        member = _Member(Change(rows, [write.values[0] for write in writes if write.statement == CHANGE]))
        self._queue.append(member)
        self._waked.set()
        await member.done  # a caller who goes away cancels this future, and leaves its change in the queue

    async def close(self) -> None:
        """Finish what is queued, then close the connection."""
        self._closing = True
        if self._task is not None:
            self._waked.set()
            await self._task
        await self._writer.close()

    async def _run(self) -> None:
        while True:
            await self._waked.wait()
            self._waked.clear()
            while self._queue:
                most = self._writer.largest_group
                group, self._queue = self._queue[:most], self._queue[most:]
                await self._commit_group(group)
                self.waited(time.monotonic() - group[0].since)
            if self._closing:
                return

    async def _commit_group(self, group: list[_Member]) -> None:
        try:
            with telemetry.committing(len(group)):
                found = await self._transact([member.change for member in group])
        except (CommitUnknown, DatabaseUnavailable) as error:
            _tell(group, error)
        except Exception as error:  # noqa: BLE001 - whatever is off with one change, the journal goes on for all others
            if len(group) == 1:
                await self._commit_alone(group[0], error)
                return
            for member in group:
                await self._commit_group([member])
        else:
            for member, reached in zip(group, found, strict=True):
                _tell([member], LimitReached(reached) if reached else None)

    async def _commit_alone(self, member: _Member, error: Exception) -> None:
        """Try one change again for as long as only others were in its way."""
        for _ in range(TRIES):
            if not isinstance(error, Overlapped):
                break
            try:
                (reached,) = await self._transact([member.change])
            except Exception as again:  # noqa: BLE001 - as above
                error = again
            else:
                _tell([member], LimitReached(reached) if reached else None)
                return
        _tell([member], error if isinstance(error, StoreError) else StoreError(f"the database refused the change: {error}"))

    async def _transact(self, group: Sequence[Change]) -> list[Found]:
        """Commit all members but those that a limit has no room for; gives what each of these found."""
        try:
            await self._writer.begin(group)
            found = await change(self._writer, [one.limits for one in group])
            await self._apply([one for one, reached in zip(group, found, strict=True) if not reached])
        except BaseException:
            await self._writer.rollback()
            raise
        await self._writer.commit()
        return found

    async def _apply(self, group: Sequence[Change]) -> None:
        batches: dict[tuple[str, int | None], list[tuple[object, ...]]] = defaultdict(list)
        for one in group:
            for write in one.writes:
                batch = batches[write.statement, write.expect]
                # The epoch is one assertion for the whole group, however many intents make it.
                if write.statement != "control.hold" or write.values not in batch:
                    batch.append(write.values)
        ordered = sorted(batches.items(), key=lambda item: ORDER[item[0][0]])
        touched = await self._writer.run([(statement, values) for (statement, _), values in ordered])
        for ((statement, expect), values), rows in zip(ordered, touched, strict=True):
            if expect is not None and rows != expect * len(values):
                raise Conflict(statement)


def _nobody(_seconds: float) -> None:
    """Listen to nothing."""


def _place(write: Write) -> int:
    return ORDER[write.statement]


def _tell(group: list[_Member], error: Exception | None) -> None:
    for member in group:
        if member.done.done():
            continue
        if error is None:
            member.done.set_result(None)
        else:
            member.done.set_exception(error)
