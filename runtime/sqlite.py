"""The embedded database: one file, opened with its keys and migrations, or refused with the reason.

Statements run on the event loop; only COMMIT, which waits for the disk, goes to a helper thread, because sqlite3 lets go of the GIL
at every row.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..audit import KeyFile
from ..errors import AuditError, DatabaseLocked, DatabaseReadOnly, DatabaseUnavailable, KeysMissing, StoreError
from . import telemetry
from .disk_thread import DiskThread
from .journal import CommitUnknown, Conflict
from .migrating import upgrade
from .opening import check_keys, needs_upgrade, remember_keys
from .statements import STATEMENTS, Batch, Change

PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "wal_autocheckpoint = 8000", "secure_delete = FAST")
"""A checkpoint every 32 MB instead of 4: keys are random, so the same pages are written again and again, and each is then moved less often."""

OVERWRITTEN = ("erase.", "prune.")
"""What these statements delete is overwritten on pages that get free, too: nobody is to read it there."""
SCRUBS = 100
"""Times that an end between two transactions is looked for, 20 ms apart, to empty the write-ahead log."""
_TAKEN = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)  # a commit is on its way, beside the loop
LOCK_WAIT = 5.0


log = telemetry.logger("remit.sqlite")


class SqliteWriter:
    """The connection that writes."""

    largest_group = 512

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._thread = DiskThread("remit-commit")

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Read within the transaction."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _refused(error) from error

    async def begin(self, _group: Sequence[Change]) -> None:
        """Take the one lock that there is."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise _refused(error) from error
            # Another process writes: wait for it away from the loop, so that nothing else here stands still.
            await self._waited()

    async def _waited(self) -> None:
        try:
            await self._thread.run(partial(_begin_patiently, self._connection))
        except sqlite3.Error as error:
            raise _refused(error) from error

    async def run(self, batches: Sequence[Batch]) -> list[int]:
        """Run statement after statement."""
        try:
            if any(statement.startswith(OVERWRITTEN) for statement, _ in batches):
                self._connection.execute(
                    "PRAGMA secure_delete = ON"
                )  # until this connection is closed: pages that get free are overwritten
            return [self._connection.executemany(STATEMENTS[statement], values).rowcount for statement, values in batches]
        except sqlite3.Error as error:
            raise _refused(error) from error

    async def commit(self) -> None:
        """Wait for the disk, beside the loop."""
        try:
            await self._thread.run(self._connection.commit)
        except sqlite3.Error as error:
            await self.rollback()
            raise CommitUnknown(f"the commit failed: {error}") from error

    async def scrub(self) -> None:
        """Empty the write-ahead log, between two transactions; raises StoreError where the disk fails."""
        for _ in range(SCRUBS):
            try:
                if not self._connection.in_transaction:
                    self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                    return
            except sqlite3.Error as error:
                if error.sqlite_errorcode & 0xFF not in _TAKEN:
                    raise _refused(error) from error
            await asyncio.sleep(0.02)
        log.warning("the write-ahead log could not be emptied beside so many writers: what was deleted lies there until it is written over")

    async def rollback(self) -> None:
        """Undo the transaction, if there is one."""
        if self._connection.in_transaction:
            self._connection.rollback()

    async def close(self) -> None:
        """End the thread and close the connection."""
        self._thread.close()
        self._connection.close()


class SqliteSnapshot:
    """A transaction that only reads."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.isolation_level = None
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM store_meta").fetchone()  # the moment is that of the first read

    def scan(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """Stream the rows of one reading statement."""
        try:
            for row in self._connection.execute(sql, values):  # noqa: UP028 - that would close a cursor whose connection may be gone
                yield row
        except sqlite3.OperationalError as error:
            if not str(error).startswith("Could not decode"):
                raise
            raise AuditError(f"{str(error).partition(' with')[0]}: somebody has written into it by hand") from None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class SqliteDatabase:
    """An open embedded database: one connection that writes, one that reads, and the keys beside the file."""

    def __init__(self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection, keys: KeyFile) -> None:
        self.path, self.name, self.keys, self.keys_at = path, path.name, keys, keys_path(path)
        self.writer = SqliteWriter(writer)
        self._reader = reader

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Read what is committed."""
        try:
            return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error

    async def time(self) -> None:
        """Leave time to the clock of this machine."""

    async def leads(self) -> bool:
        """Let every process try: the head's version decides."""
        return True

    async def yield_lead(self) -> None:
        """Hold nothing that could be let go."""

    async def scrub(self) -> None:
        """Move everything out of the write-ahead log, and empty it, as far as nobody reads there."""
        await self.writer.scrub()

    queue = None

    def snapshot(self) -> SqliteSnapshot:
        """Keep a moment, on a connection of its own."""
        return SqliteSnapshot(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False))

    async def close(self) -> None:
        """Close the connection that reads."""
        self._reader.close()


def keys_path(path: Path) -> Path:
    """Say where the keys of a database lie: `remit.keys` beside `remit.db`."""
    return path.with_suffix(".keys")


def open_sqlite(path: Path) -> SqliteDatabase:
    """Open the file, making it and its keys on the first run.

    Raises `StoreError` in the form that fits: locked, read-only, too new, key file missing or another database's.
    """
    try:
        return _open(path)
    except sqlite3.Error as error:
        raise _explained(path, error) from error


def _open(path: Path) -> SqliteDatabase:
    fresh = not path.exists() or path.stat().st_size == 0
    if not path.parent.is_dir():
        raise StoreError(f"{path}: the folder {path.parent} does not exist; make it first")
    keys = _keys(path, fresh=fresh)
    writer = _connect(path)
    try:
        _prepare(writer, path, keys)
        reader = _connect(path)
        reader.execute("PRAGMA query_only = ON")
    except BaseException:
        writer.close()
        raise
    for connection in (writer, reader):
        connection.execute("PRAGMA busy_timeout = 0")  # from now on locks are waited for beside the loop
    return SqliteDatabase(path, writer, reader, keys)


def _prepare(connection: sqlite3.Connection, path: Path, keys: KeyFile) -> None:
    def ask(sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return connection.execute(sql, values).fetchall()

    def there(table: str) -> bool:
        return bool(ask("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)))

    if there("store_meta"):
        check_keys(ask, keys, file=keys_path(path), name=path.name)
    if needs_upgrade(ask, path, made=there("alembic_version")):
        upgrade(f"sqlite:///{path}")
    ask("BEGIN IMMEDIATE")
    remember_keys(ask, keys)
    connection.commit()
    check_keys(ask, keys, file=keys_path(path), name=path.name)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        for pragma in (f"busy_timeout = {int(LOCK_WAIT * 1000)}", *PRAGMAS):
            _set(connection, pragma)
    except BaseException:
        connection.close()
        raise
    return connection


def _set(connection: sqlite3.Connection, pragma: str) -> None:
    """Run a pragma. Two that change the journal's mode at once don't wait for each other, as sqlite sees a deadlock in that."""
    give_up = time.monotonic() + LOCK_WAIT
    while True:
        try:
            connection.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= give_up:
                raise
            time.sleep(0.01)
        else:
            return


def _keys(path: Path, *, fresh: bool) -> KeyFile:
    place = keys_path(path)
    if place.exists():
        return KeyFile.load(place)
    if not fresh:
        raise KeysMissing(
            f"{place}: the key file of {path.name} is missing; restore it from its backup (a new one is never made for an existing database)"
        )
    try:
        return KeyFile.create(place)
    except StoreError as error:
        if place.exists():
            return KeyFile.load(place)  # another process is making the same database
        raise DatabaseReadOnly(f"{error}; make the folder writable by this user") from error


def _begin_patiently(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA busy_timeout = {int(LOCK_WAIT * 1000)}")
    try:
        connection.execute("BEGIN IMMEDIATE")
    finally:
        connection.execute("PRAGMA busy_timeout = 0")


def _explained(path: Path, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if is_busy(error):
        return DatabaseLocked(f"{path}: another process has held the database locked for {LOCK_WAIT:g} s; find it and stop it")
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return DatabaseReadOnly(f"{path}: can't be opened for writing; make the file and its folder writable by this user")
    if code == sqlite3.SQLITE_NOTADB:
        return StoreError(f"{path}: not a SQLite database; name another file, or move this one away")
    return StoreError(f"{path}: {error}")


def is_busy(error: sqlite3.Error) -> bool:
    """Say whether another connection holds the lock."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _refused(error: sqlite3.Error) -> StoreError:
    """Say why a change could not be written: for its own reasons, or because nothing can be."""
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict(str(error))
    if is_busy(error):
        return DatabaseLocked(f"another process has held the database locked for {LOCK_WAIT:g} s; find it and stop it")
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
        return DatabaseReadOnly("the database can't be written; make the file and its folder writable by this user")
    words = f"the database refused the change: {error}"
    return DatabaseUnavailable(words) if isinstance(error, sqlite3.OperationalError) else StoreError(words)
