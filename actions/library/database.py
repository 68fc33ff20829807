"""Keep a small SQLite database of a connector's own: one short transaction at a time, on a connection of its own, in a thread.

The calendar and the reset links each have one. They are providers; nothing here knows Remit's own store.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from ...errors import Retryable, Unsure

T = TypeVar("T")


def utc_now() -> datetime:
    """Return the wall clock's time, aware, in UTC."""
    return datetime.now(UTC)


class Database:
    """Open transactions on the SQLite file at `path`, which is created with `schema` (statements that may run again)."""

    def __init__(self, path: str | os.PathLike[str], schema: str) -> None:
        self._path = Path(path)
        with closing(sqlite3.connect(self._path)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(schema)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one write transaction, in a thread; whatever it raises rolls back.

        Raise Retryable where nothing was written: another process holds the database for 5 s, or it can't be opened or is full. Raise
        Unsure where the commit itself failed.
        """
        return await asyncio.to_thread(self._run, work)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with closing(sqlite3.connect(self._path, timeout=5, isolation_level=None)) as db:
                db.row_factory = sqlite3.Row
                db.execute("PRAGMA synchronous = FULL")  # an answer "booked" must outlive a power cut
                db.execute("BEGIN IMMEDIATE")
                done = work(db)  # what raises leaves the transaction to be rolled back by the closing
                self._commit(db)
                return done
        except sqlite3.Error as error:
            raise Retryable(f"The database {self._path.name} is busy, or can't be used.") from error

    def _commit(self, db: sqlite3.Connection) -> None:
        try:
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise Unsure(f"The database {self._path.name} may or may not have kept it.") from error
