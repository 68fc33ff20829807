"""PostgreSQL, for more than one machine: any number of processes, each with one connection that writes and a few that read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias
from zlib import crc32

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8BinaryDumper

from ..audit import KeyFile
from ..errors import DatabaseUnavailable, KeysMissing, StoreError
from .granting import lacking, lacking_to_place, may_place
from .migrating import LATEST, upgrade
from .opening import Ask, check_keys, needs_upgrade, remember_keys
from .postgres_arrays import adapt_arrays
from .postgres_reader import PostgresReader
from .postgres_writer import PostgresWriter
from .queue import Queue
from .statements import numbered

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]

FETCHED = 2_000
"""Rows that a stream has in memory."""
MIGRATION = 0x52454D4954
"""The advisory lock under which one process at a time prepares a database."""
CONNECTION: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": 0,
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "tcp_user_timeout": 10_000,
}
_LOOK = (
    "SELECT set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false), "
    "set_config('tcp_user_timeout', '10000', false)"
)
GRANTS = "let the owner of the tables grant what docs/postgresql.md lists"
SEQUENCER = 9
_LEADS = (
    "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objsubid = 1 AND database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database()) AND classid::bigint << 32 | objid::bigint = $1) "
    "OR pg_try_advisory_lock($1)"
)
"""Take it once only: a lock that is taken again must be let go again."""


class PostgresDatabase:
    """An open PostgreSQL database, prepared for this version, with the keys of its deployment."""

    def __init__(self, url: str, tenant: str, keys: KeyFile, keys_at: Path, *, places: bool = True) -> None:
        self.name, self.keys, self.keys_at, self._url = name_of(url), keys, keys_at, url
        self.queue = Queue(url, tenant)
        self.writer = PostgresWriter(self.connected, self.queue.defer)
        self._reader = PostgresReader(self.connected, self.name)
        self._beside: Connection | None = None
        self._places = places
        self._leading = asyncio.Lock()
        self._lease = SEQUENCER << 32 | crc32(tenant.encode())

    async def connected(self) -> Connection:
        """Make a connection that takes values as we give them."""
        connection: Connection = await psycopg.AsyncConnection.connect(self._url, **CONNECTION)
        try:
            await adapt(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Read what is committed; a lost connection is made anew, since reading twice does no harm."""
        return await self._reader.rows(sql, values)

    async def time(self) -> int:
        """Ask the server for the time."""
        ((now,),) = await self.rows("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)")
        return int(now)

    async def leads(self) -> bool:
        """Try to take the lock that one process holds while its connection lives; never as a role that may not place events."""
        if not self._places:
            return False
        async with self._leading:  # who asks at the same time must not make a second connection, which would never get the lock
            try:
                return await self._lead()
            except psycopg.Error:
                await self.yield_lead()  # it broke while nothing was asked of it: a new one
            try:
                return await self._lead()
            except psycopg.Error as error:
                raise DatabaseUnavailable(f"{self.name} can't be reached: {error}") from error

    async def _lead(self) -> bool:
        if self._beside is None or self._beside.closed:
            self._beside = await self.connected()
        cursor = await psycopg.AsyncRawCursor(self._beside).execute(_LEADS, (self._lease,))
        return await cursor.fetchone() == (True,)

    async def yield_lead(self) -> None:
        """Let go of the lock, with the connection that holds it."""
        if self._beside is not None:
            await self._beside.close()

    async def scrub(self) -> None:
        """Leave the remains of rows to the server: all that they hold is sealed."""

    def snapshot(self) -> PostgresSnapshot:
        """Keep a moment, on a connection of its own."""
        return PostgresSnapshot(self._url)

    async def close(self) -> None:
        """Close the connections that read, and let another process give events their places."""
        await self.yield_lead()
        await self._reader.close()


class PostgresSnapshot:
    """A transaction that only reads, on a connection of its own: `position` is not the order of commits, so only this is one moment."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, connect_timeout=5)
        self._connection.isolation_level, self._connection.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True
        self._connection.execute("SELECT 1")  # the moment is that of the first statement
        self._cursors = count()

    def scan(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """Stream the rows of one reading statement."""
        with psycopg.RawServerCursor(self._connection, f"scan_{next(self._cursors)}") as cursor:
            cursor.itersize = FETCHED
            yield from cursor.execute(numbered(sql), values, binary=True)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


async def adapt(connection: Connection) -> None:
    """Send every integer as bigint: one prepared statement serves all."""
    connection.adapters.register_dumper(int, Int8BinaryDumper)
    adapt_arrays(connection)
    # A process that is gone must not keep its locks for hours: the server, too, looks whether anybody is there.
    await connection.execute(_LOOK)


def name_of(url: str) -> str:
    """Name a database to people: without its password."""
    given = conninfo_to_dict(url)
    return f"PostgreSQL {given.get('dbname', '')} at {given.get('host', 'localhost')}"


def open_postgres(url: str, tenant: str, keys: Path, *, only_places: bool = False) -> PostgresDatabase:
    """Prepare a database for this version, and open it for a tenant; `only_places` as a role that may do nothing else.

    Raises `KeysMissing` without the key file, which `remit keys init` makes, and `StoreError` in the form that fits.
    """
    try:
        file = KeyFile.load(keys)
    except KeysMissing:
        raise KeysMissing(f"{keys}: the key file of {name_of(url)} is missing; `remit keys init` makes one for a new database") from None
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            places = _prepare(connection, url, keys, file, lacking_to_place if only_places else lacking)
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreError(f"{_who(url)} lacks rights ({error}); {GRANTS}") from error
    except psycopg.Error as error:
        raise DatabaseUnavailable(f"{name_of(url)} can't be opened: {error}") from error
    return PostgresDatabase(url, tenant, file, keys, places=places)


def _prepare(connection: psycopg.Connection[Any], url: str, place: Path, keys: KeyFile, lacks: Callable[[Ask], list[str]]) -> bool:
    """Bring it to this version and check keys and rights; says whether this role may give events their places."""

    def ask(sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with psycopg.RawCursor(connection) as cursor:
            cursor.execute(numbered(sql), values)
            return cursor.fetchall() if cursor.description else []

    def there(table: str) -> bool:
        return bool(ask("SELECT to_regclass(?)", (table,))[0][0])

    ask("SELECT pg_advisory_lock(?)", (MIGRATION,))
    if there("store_meta"):
        check_keys(ask, keys, file=place, name=name_of(url))
    if needs_upgrade(ask, name_of(url), made=there("alembic_version")):
        _upgraded(url)
    if missing := lacks(ask):
        raise StoreError(f"{_who(url)} lacks {', '.join(missing)}; {GRANTS}")
    with connection.transaction():
        remember_keys(ask, keys)
    check_keys(ask, keys, file=place, name=name_of(url))
    return may_place(ask)


def _upgraded(url: str) -> None:
    try:
        upgrade(url)
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreError(
            f"{_who(url)} may not bring it to revision {LATEST}, which this version needs ({str(error).splitlines()[0]}); "
            "run `remit db upgrade` as the owner of its tables"
        ) from error


def _who(url: str) -> str:
    return f"{name_of(url)}: the role {conninfo_to_dict(url).get('user', 'of this user')}"
