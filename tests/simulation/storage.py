"""A database for simulated processes: real SQLite, whose commits take virtual time, fail, and leave unsaid whether they came through.

A process that dies loses its connections, and with them what it had not committed. Reads take time now and then, as on a database
server, so that more can happen between two of them than on SQLite alone.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remit.audit import KeyFile
from remit.errors import DatabaseLocked, DatabaseUnavailable, StoreError
from remit.runtime.journal import CommitUnknown, Conflict, Overlapped
from remit.runtime.sqlite import SqliteSnapshot
from remit.runtime.statements import STATEMENTS, Batch, Change
from tests.simulation.loop import Owner

LOCK_WAIT = 5.0


@dataclass
class Disk:
    """One database file, its lock, and how often it fails; `note` takes down what is committed."""

    path: Path
    keys: KeyFile
    dice: random.Random
    note: Callable[..., None]
    committed: Callable[[Owner, list[str]], None]
    faults: float = 0.0
    slow: float = 0.0
    holder: Owner | None = None
    freed: list[asyncio.Future[None]] = field(default_factory=list)

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, cached_statements=256)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA busy_timeout = 0")
        return connection

    def fails(self, share: float = 1.0) -> bool:
        return self.dice.random() < self.faults * share

    async def pause(self, share: float, most: float) -> None:
        if self.dice.random() < share * self.slow:
            await asyncio.sleep(self.dice.random() * most)

    async def lock(self, owner: Owner) -> None:
        give_up = asyncio.get_running_loop().time() + LOCK_WAIT
        while self.holder is not None:
            freed = asyncio.get_running_loop().create_future()
            self.freed.append(freed)
            done, _ = await asyncio.wait({freed}, timeout=max(0.0, give_up - asyncio.get_running_loop().time()))
            if not done:
                raise DatabaseLocked("another process has held the database locked for 5 s")
        self.holder = owner

    def unlock(self, owner: Owner) -> None:
        if self.holder is owner:
            self.holder = None
            for freed in self.freed:
                if not freed.done():
                    freed.set_result(None)
            self.freed.clear()


class SimulatedWriter:
    """The connection of a process that writes."""

    largest_group = 512

    def __init__(self, disk: Disk, owner: Owner) -> None:
        self._disk, self._owner, self._connection = disk, owner, disk.connect()
        self._names: list[str] = []

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        await self._disk.pause(0.05, 0.01)
        return self._connection.execute(sql, values).fetchall()

    async def begin(self, _group: Sequence[Change]) -> None:
        if self._disk.fails(0.5):
            raise self._disk.dice.choice([DatabaseUnavailable, DatabaseLocked])("injected")
        await self._disk.lock(self._owner)
        self._names = []
        self._connection.execute("BEGIN IMMEDIATE")

    async def run(self, batches: Sequence[Batch]) -> list[int]:
        await self._disk.pause(0.1, 0.02)
        if self._disk.fails(0.5):
            raise self._disk.dice.choice([Overlapped, Overlapped, DatabaseUnavailable])("injected")
        self._names += [name for name, values in batches if values]
        try:
            return [self._connection.executemany(STATEMENTS[name], values).rowcount for name, values in batches]
        except sqlite3.IntegrityError as error:
            raise Conflict(str(error)) from error

    async def commit(self) -> None:
        disk = self._disk
        await disk.pause(1.0, disk.dice.choices([0.05, 3.0, 30.0], [90, 9, 1])[0])
        fate = disk.dice.choice(["applied", "lost"]) if disk.fails() else "good"
        if fate == "lost":
            await self.rollback()
        else:
            self._connection.commit()
            disk.unlock(self._owner)
        disk.note("commit", self._owner.name, fate, *self._names)
        if fate != "lost":
            disk.committed(self._owner, self._names)
            if self._owner.dead:
                await asyncio.get_running_loop().create_future()  # it does nothing more
        await disk.pause(0.5, 0.05)
        if fate != "good":
            raise CommitUnknown("injected")

    async def rollback(self) -> None:
        if self._owner.dead:
            return
        if self._connection.in_transaction:
            self._connection.rollback()
        self._disk.unlock(self._owner)

    async def close(self) -> None:
        self.cut()

    def cut(self) -> None:
        """Lose the connection, and what was not committed."""
        self._connection.close()
        self._disk.unlock(self._owner)


class SimulatedDatabase:
    """An open database of one process."""

    queue = None
    name = "simulated"

    def __init__(self, disk: Disk, owner: Owner) -> None:
        self.keys, self.keys_at, self._disk, self._owner = disk.keys, disk.path.with_suffix(".keys"), disk, owner
        self.writer = SimulatedWriter(disk, owner)
        self._reader = disk.connect()

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        await self._disk.pause(0.15, 0.02)
        if self._disk.fails(0.05):
            raise StoreError("injected")
        try:
            return self._reader.execute(sql, values).fetchall()
        except sqlite3.ProgrammingError as error:  # it was closed meanwhile, as the real one says it
            raise StoreError("closed") from error

    async def time(self) -> None:
        """Leave time to the clock of the process."""

    async def leads(self) -> bool:
        return True

    def scan(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        connection = self._disk.connect()
        try:
            yield from connection.execute(sql, values)
        finally:
            connection.close()

    def snapshot(self) -> SqliteSnapshot:
        return SqliteSnapshot(self._disk.connect())

    async def close(self) -> None:
        self._reader.close()

    def cut(self) -> None:
        """Lose both connections."""
        self.writer.cut()
        self._reader.close()
