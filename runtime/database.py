"""Open an embedded database: keys on first run, migrations, and a clear refusal of anything that is off."""

from __future__ import annotations

import secrets
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..audit import KeyFile
from ..errors import DatabaseLocked, DatabaseReadOnly, DatabaseTooNew, KeysMismatch, KeysMissing, StoreError
from .journal import LOCK_WAIT, is_busy

if TYPE_CHECKING:
    from alembic.config import Config

LATEST = "0002"
"""The newest revision in migrations/versions: a test compares."""

PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "wal_autocheckpoint = 8000")
"""A checkpoint every 32 MB instead of 4: keys are random, so the same pages are written again and again, and each is then moved less often."""


@dataclass(frozen=True, slots=True)
class Database:
    """An open embedded database: one connection that writes, one that reads, and the keys beside the file."""

    path: Path
    writer: sqlite3.Connection
    reader: sqlite3.Connection
    keys: KeyFile


def keys_path(path: Path) -> Path:
    """Say where the keys of a database lie: `remit.keys` beside `remit.db`."""
    return path.with_suffix(".keys")


def open_database(path: Path) -> Database:
    """Open the SQLite file, making it and its keys on the first run.

    Raises `StoreError` in the form that fits: locked, read-only, too new, key file missing or another database's.
    """
    try:
        return _open(path)
    except sqlite3.Error as error:
        raise _explained(path, error) from error


def _open(path: Path) -> Database:
    fresh = not path.exists() or path.stat().st_size == 0
    if not path.parent.is_dir():
        raise StoreError(f"{path}: the folder {path.parent} does not exist; make it first")
    keys = _keys(path, fresh=fresh)
    writer = _connect(path)
    try:
        _check_keys(writer, path, keys)
        _migrate(writer, path)
        _remember_keys(writer, keys)
        _check_keys(writer, path, keys)
        reader = _connect(path)
        reader.execute("PRAGMA query_only = ON")
    except BaseException:
        writer.close()
        raise
    for connection in (writer, reader):
        connection.execute("PRAGMA busy_timeout = 0")  # from now on locks are waited for beside the loop
    return Database(path, writer, reader, keys)


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


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    current = connection.execute("SELECT version_num FROM alembic_version").fetchone() if found else None
    if current is None or current[0] < LATEST:
        upgrade(path)
    elif current[0] > LATEST:
        raise DatabaseTooNew(f"{path}: written by a newer Remit (revision {current[0]}, this one knows {LATEST}); upgrade Remit")


def upgrade(path: Path) -> None:
    """Bring the database forward to `LATEST`, in one transaction; never backward."""
    from alembic import command
    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import DBAPIError

    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _own_transactions(raw: sqlite3.Connection, _record: object) -> None:
        raw.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: object) -> None:
        # BEGIN by hand: sqlite3 would commit at the first DDL, and a migration must be whole or nothing.
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # type: ignore[attr-defined]

    try:
        with engine.begin() as connection:
            config = migration_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise error.orig or error from error
    finally:
        engine.dispose()


def migration_config() -> Config:
    """Give Alembic's configuration of the migrations that ship with this package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _check_keys(connection: sqlite3.Connection, path: Path, keys: KeyFile) -> None:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'store_meta'").fetchone():
        return
    stored = dict(connection.execute("SELECT key, value FROM store_meta WHERE key LIKE 'fingerprint.%'").fetchall())
    if stored and stored != _fingerprints(keys):
        raise KeysMismatch(f"{keys_path(path)}: these are the keys of another database; restore the file that was made with {path.name}")


def _remember_keys(connection: sqlite3.Connection, keys: KeyFile) -> None:
    if connection.execute("SELECT 1 FROM store_meta WHERE key = 'log_id'").fetchone():
        return
    rows = [*_fingerprints(keys).items(), ("log_id", f"remit/{secrets.token_hex(8)}")]
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO store_meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING", rows)
    connection.commit()


def _fingerprints(keys: KeyFile) -> dict[str, str]:
    return {f"fingerprint.{name}": value for name, value in keys.fingerprints.items()}


def _explained(path: Path, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if is_busy(error):
        return DatabaseLocked(f"{path}: another process has held the database locked for {LOCK_WAIT:g} s; find it and stop it")
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return DatabaseReadOnly(f"{path}: can't be opened for writing; make the file and its folder writable by this user")
    if code == sqlite3.SQLITE_NOTADB:
        return StoreError(f"{path}: not a SQLite database; name another file, or move this one away")
    return StoreError(f"{path}: {error}")
