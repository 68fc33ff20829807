"""Commit changes in groups: whatever queued while the last group committed goes in the next transaction.

Statements run on the event loop, a statement at a time for the whole group (`executemany`); only COMMIT, which waits for
the disk, goes to a helper thread. If anything in a group is off, the group rolls back and its members run one by one, so a
member fails only for its own reasons. A commit error is not a failure: the members are told that it is not known, and read
back by id.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ..errors import DatabaseLocked, DatabaseReadOnly, StoreError
from .disk_thread import DiskThread
from .series import CHANGE, Found, Release, Take, change
from .statements import ORDER, STATEMENTS, Write

LOCK_WAIT = 5.0
LARGEST_GROUP = 512
LONGEST_QUEUE = 20_000


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


@dataclass(slots=True)
class _Member:
    writes: Sequence[Write]
    changes: Sequence[Take | Release]
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Journal:
    """Own the one writing connection of this process to a SQLite file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queue: list[_Member] = []
        self._waked = asyncio.Event()
        self._thread = DiskThread("remit-commit")
        self._task: asyncio.Task[None] | None = None
        self._closing = False

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
        rows = [write for write in writes if write.statement != CHANGE]
        changes = [write.values[0] for write in writes if write.statement == CHANGE]
        member = _Member(sorted(rows, key=lambda write: ORDER[write.statement]), changes)
        self._queue.append(member)
        self._waked.set()
        await member.done  # a caller who goes away cancels this future, and leaves its change in the queue

    async def close(self) -> None:
        """Finish what is queued, then close the connection."""
        self._closing = True
        if self._task is not None:
            self._waked.set()
            await self._task
        self._thread.close()
        self._connection.close()

    async def _run(self) -> None:
        while True:
            await self._waked.wait()
            self._waked.clear()
            while self._queue:
                group, self._queue = self._queue[:LARGEST_GROUP], self._queue[LARGEST_GROUP:]
                await self._commit_group(group)
            if self._closing:
                return

    async def _commit_group(self, group: list[_Member]) -> None:
        try:
            found = await self._transact(group)
        except Exception as error:  # noqa: BLE001 - whatever is off with one change, the journal goes on for all others
            if len(group) == 1 or isinstance(error, CommitUnknown | sqlite3.OperationalError):
                _tell(group, _explained(error))
                return
            for member in group:
                await self._commit_group([member])
        else:
            for member, reached in zip(group, found, strict=True):
                _tell([member], LimitReached(reached) if reached else None)

    async def _transact(self, group: list[_Member]) -> list[Found]:
        """Commit all members but those that a limit has no room for; gives what each of these found."""
        await self._begin()
        try:
            found = change(self._connection, [member.changes for member in group])
            self._apply([member for member, reached in zip(group, found, strict=True) if not reached])
        except BaseException:
            self._connection.rollback()
            raise
        try:
            await self._thread.run(self._connection.commit)
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise CommitUnknown(f"the commit failed: {error}") from error
        return found

    async def _begin(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            # Another process writes: wait for it away from the loop, so that nothing else here stands still.
            await self._thread.run(partial(_begin_patiently, self._connection))

    def _apply(self, group: list[_Member]) -> None:
        batches: dict[tuple[str, int | None], list[tuple[object, ...]]] = defaultdict(list)
        for member in group:
            for write in member.writes:
                batch = batches[write.statement, write.expect]
                # The epoch is one assertion for the whole group, however many intents make it.
                if write.statement != "control.hold" or write.values not in batch:
                    batch.append(write.values)
        for (statement, expect), values in sorted(batches.items(), key=lambda item: ORDER[item[0][0]]):
            touched = self._connection.executemany(STATEMENTS[statement], values).rowcount
            if expect is not None and touched != expect * len(values):
                raise Conflict(statement)


def _begin_patiently(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA busy_timeout = {int(LOCK_WAIT * 1000)}")
    try:
        connection.execute("BEGIN IMMEDIATE")
    finally:
        connection.execute("PRAGMA busy_timeout = 0")


def is_busy(error: sqlite3.Error) -> bool:
    """Say whether another connection holds the lock."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _explained(error: Exception) -> StoreError:
    if isinstance(error, StoreError):
        return error
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict(str(error))
    if isinstance(error, sqlite3.Error) and is_busy(error):
        return DatabaseLocked(f"another process has held the database locked for {LOCK_WAIT:g} s; find it and stop it")
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
        return DatabaseReadOnly("the database can't be written; make the file and its folder writable by this user")
    return StoreError(f"the database refused the change: {error}")


def _tell(group: list[_Member], error: Exception | None) -> None:
    for member in group:
        if member.done.done():
            continue
        if error is None:
            member.done.set_result(None)
        else:
            member.done.set_exception(error)
