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

from ...errors import Retryable

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

        A database that another process holds for 5 s raises Retryable: nothing was written.
        """
        return await asyncio.to_thread(self._run, work)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with closing(sqlite3.connect(self._path, timeout=5, isolation_level=None)) as db:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA synchronous = FULL")  # an answer "booked" must outlive a power cut
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                raise Retryable(f"The database {self._path.name} is busy.") from error
            done = work(db)  # what raises leaves the transaction to be rolled back by the closing
            db.execute("COMMIT")
            return done
