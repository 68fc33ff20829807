"""What the runtime asks of a database, whichever it is; `open_database` opens the one that a place names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..audit import KeyFile
from .statements import Batch, Change


class Reads(Protocol):
    """Something that answers reading statements: a database, or a transaction that sees what it wrote itself."""

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run one reading statement; `?` stands for each value."""
        ...


class Writer(Reads, Protocol):
    """The one connection of a process that writes. Every method raises `StoreError` in the form that fits.

    `largest_group` is how many changes one transaction may hold.
    """

    largest_group: int

    async def begin(self, group: Sequence[Change]) -> None:
        """Begin the transaction of these changes, and take the locks that they need."""
        ...

    async def run(self, batches: Sequence[Batch]) -> list[int]:
        """Run statements of `statements.STATEMENTS`, each for many rows of values; gives how many rows each has touched."""
        ...

    async def commit(self) -> None:
        """Commit, durably; raises `CommitUnknown` where it was cut off."""
        ...

    async def rollback(self) -> None:
        """Undo the transaction, if there is one."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class Database(Reads, Protocol):
    """An open database with its keys; `name` is for people."""

    name: str
    keys: KeyFile

    @property
    def writer(self) -> Writer:
        """Give the one connection that writes."""
        ...

    def scan(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """Stream the rows of one reading statement over a connection of its own: from any thread, one snapshot."""
        ...

    async def close(self) -> None:
        """Close everything but the writer, which is the journal's to close."""
        ...


def open_database(place: str | Path) -> Database:
    """Open what a place names: a file.

    Raises `StoreError` in the form that fits: locked, read-only, too new, key file missing or another database's.
    """
    from .sqlite import open_sqlite

    return open_sqlite(Path(place))
