"""What the runtime asks of a database, whichever it is; `open_database` opens the one that a place names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..audit import KeyFile
from ..errors import StoreError
from .migrating import is_postgres
from .statements import Batch, Change

if TYPE_CHECKING:
    from .queue import Queue


class Reads(Protocol):
    """Something that answers reading statements: a database, or a transaction that sees what it wrote itself."""

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run one reading statement; `?` stands for each value."""
        ...


def as_bytes(value: Any) -> bytes:
    """Take what a hand may have written into a column that holds bytes: text for the bytes that it is, a number for its digits."""
    if type(value) is bytes:
        return value
    return bytes(value) if isinstance(value, memoryview) else str(value).encode()


class Snapshot(Protocol):
    """One moment of a database: what is committed later is not in it. From any thread, one at a time; close it."""

    def scan(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """Stream the rows of one reading statement."""
        ...

    def close(self) -> None:
        """Let go of the moment."""
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
    """An open database with its keys, which lie at `keys_at`; `name` is for people."""

    name: str
    keys: KeyFile
    keys_at: Path

    @property
    def writer(self) -> Writer:
        """Give the one connection that writes."""
        ...

    async def time(self) -> int | None:
        """Give the database's own time in microseconds; None where the clock of this machine is its clock."""
        ...

    async def leads(self) -> bool:
        """Say whether this process is the one that gives events their places: held until it ends, or its connection does."""
        ...

    async def yield_lead(self) -> None:
        """Let another process give events their places."""
        ...

    async def scrub(self) -> None:
        """Let nothing of what was deleted lie about, as far as that is this database's own to see to."""
        ...

    @property
    def queue(self) -> Queue | None:
        """Give what wakes calls up, where that is not a column of theirs."""
        ...

    def snapshot(self) -> Snapshot:
        """Keep a moment, on a connection of its own."""
        ...

    async def close(self) -> None:
        """Close everything but the writer, which is the journal's to close."""
        ...


def open_database(place: str | Path, *, tenant: str = "default", keys: Path | None = None) -> Database:
    """Open what a place names for a tenant: a file, or `postgresql://…`; `keys` is the key file of the latter, else it lies beside the file.

    Raises `StoreError` in the form that fits: locked, read-only, out of reach, too new, key file missing or another database's.
    """
    if not is_postgres(place):
        from .sqlite import open_sqlite

        return open_sqlite(Path(place))
    try:
        from .postgres import open_postgres
    except ImportError as error:
        raise StoreError(f"PostgreSQL needs the extra `postgres`: pip install 'remit[postgres]' ({error})") from error
    return open_postgres(str(place), tenant, keys or Path("remit.keys"))
