"""What this machine asks for durability itself: two bare SQLite commits, flushed, of a few rows. A governed call needs two."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from .sampling import Measurement, Sizes, quantile

ROWS, SIZE = 4, 600
CHUNK = 100


class BareCommits:
    """A database with one table, in the mode in which Remit keeps its own: WAL, synchronous FULL."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, data BLOB)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._connection.close()

    def two(self) -> float:
        """Commit twice; gives the seconds that it took."""
        begun = time.perf_counter()
        for _ in range(2):
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO row (data) VALUES (?)", [(os.urandom(SIZE),)] * ROWS)
            self._connection.commit()
        return time.perf_counter() - begun


async def measure(sizes: Sizes, folder: Path) -> Measurement:
    """Commit again and again."""
    measured, taken = Measurement("Two bare flushed commits"), list[float]()
    with BareCommits(folder) as bare:
        for _ in range(max(1, sizes.one_at_a_time // CHUNK)):
            taken += await measured.sample(lambda: [bare.two() for _ in range(CHUNK)])
    measured.add("p50", quantile(taken, 0.5) * 1e3, "ms")
    measured.add("p99", quantile(taken, 0.99) * 1e3, "ms")
    return measured
