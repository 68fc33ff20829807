"""The one connection of a process that writes to PostgreSQL: locks in one order, and a commit that was cut off is found out."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeAlias
from zlib import crc32

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus

from ..errors import DatabaseReadOnly, DatabaseUnavailable, StoreError
from .journal import CommitUnknown, Conflict, Overlapped
from .postgres_arrays import SQL, arrays
from .postgres_plans import Plans
from .series import Release, Take
from .statements import POSTGRES, WAKE, Batch, Change, Write, numbered

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]

Order: TypeAlias = tuple[str, tuple[Any, ...]]
"""SQL, and its values."""

Defer = Callable[[Connection, Sequence[tuple[Any, ...]]], Awaitable[None]]
"""Let calls be taken up if the transaction commits."""

LARGEST_GROUP = 128
ANSWER_WITHIN = 30.0
RECONNECT_WITHIN = 10.0
"""Seconds: for an answer of the server, and for a server that restarts."""

_CONTROL, _CALL, _EFFECT, _SERIES = (number << 32 for number in range(1, 5))
_RAISES_EPOCH = frozenset({"prune.begin", "control.activate", "control.shadow", "control.raise", "control.raise_all", "control.open"})
_LOCK = "SELECT pg_advisory_xact_lock_shared($1)"
_LOCK_ALONE = "SELECT pg_advisory_xact_lock($1)"
_LOCKS = "SELECT pg_advisory_xact_lock(name) FROM unnest($1::bigint[]) AS name"
_PLACES = "SELECT DISTINCT series, key FROM reservation WHERE tenant = $1 AND call = ANY($2) AND released = 0"


_FORGET = "DELETE FROM commit_mark WHERE at < now() - interval '1 day'"
_MARK = (
    "INSERT INTO commit_mark (writer, number) VALUES ($1, $2) ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = excluded.at"
)
_MARKED = "SELECT number FROM commit_mark WHERE writer = $1 FOR UPDATE"
"""What was committed last: it waits for a transaction of this writer whose end the server has not noticed yet."""


class PostgresWriter:
    """Write groups of changes.

    Every transaction takes the locks of its whole group at once, in one order: tenant control (shared, or alone for what raises the
    epoch), calls, effect keys, series; each is an advisory lock named by a checksum, so two that share one merely wait.
    """

    largest_group = LARGEST_GROUP

    def __init__(self, connect: Callable[[], Awaitable[Connection]], defer: Defer) -> None:
        self._connect, self._defer = connect, defer
        self._connection: Connection | None = None
        self._name, self._number = secrets.token_hex(16), 0
        self._known = False
        self._opening: Sequence[Order] = ()
        self._plans = Plans()

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Read within the transaction."""
        async with self._answering() as connection:
            return await (await psycopg.AsyncRawCursor(connection).execute(numbered(sql), values, binary=True)).fetchall()

    async def begin(self, group: Sequence[Change]) -> None:
        """Begin, and wait for the locks; where nothing is to be read under them, that goes with the first statements: a round trip less."""
        alone = any(write.statement in _RAISES_EPOCH for one in group for write in one.writes)
        names = sorted({name for one in group for write in one.writes if (name := _name(write))})
        locks = [(_LOCK_ALONE if alone else _LOCK, (_CONTROL,)), *([(_LOCKS, (names,))] if names else [])]
        self._opening = [*locks, (_MARK, (self._name, self._number + 1))]
        if not any(one.limits for one in group):
            return
        await self.run(())
        series = {_series(limit.place) for one in group for limit in one.limits if isinstance(limit, Take)}
        releases = [limit for one in group for limit in one.limits if isinstance(limit, Release)]
        if releases:
            held = await self.rows(_PLACES, (releases[0].tenant, [one.call for one in releases]))
            series |= {_series((releases[0].tenant, *place)) for place in held}
        if series:
            await self.rows(_LOCKS, (sorted(series),))

    async def run(self, batches: Sequence[Batch]) -> list[int]:
        """Run statement after statement in one round trip, on a new connection if need be; the first time, begin before them."""
        try:
            return await self._run(batches)
        except _Lost:
            if not self._opening:
                raise
        return await self._run(batches)  # it broke while nothing was asked of it: a new one

    async def _run(self, batches: Sequence[Batch]) -> list[int]:
        async with self._answering(connecting=bool(self._opening)) as connection:
            if self._opening:
                await self._plans.grow_old(connection)
            cursors = await _pipelined(connection, self._opening, batches)
            for statement, values in batches:
                if statement == WAKE:
                    await self._defer(connection, values)
        if self._opening:
            self._opening, self._number = (), self._number + 1
        return [cursor.rowcount for cursor in cursors]

    async def commit(self) -> None:
        """Commit; where the connection is lost meanwhile, find out what became of the transaction."""
        try:
            async with self._answering() as connection:
                await connection.execute("COMMIT")
        except _Lost as lost:
            if not await self._was_committed():
                raise Overlapped("the connection was lost before the commit") from lost

    async def _was_committed(self) -> bool:
        """Say whether the transaction whose commit was cut off has left its mark; raises `CommitUnknown` where that can't be seen.

        The server's own word (`pg_xact_status`) would not do: after a crash it gives the number of a transaction that left no trace to
        another one.
        """
        give_up = time.monotonic() + ANSWER_WITHIN
        while time.monotonic() < give_up:
            try:
                async with self._answering(connecting=True) as connection:
                    cursor = await psycopg.AsyncRawCursor(connection).execute(_MARKED, (self._name,))
                    found = await cursor.fetchone()
            except StoreError:
                continue
            if found is None:
                break
            return bool(found[0] == self._number)
        raise CommitUnknown("the commit was cut off")

    async def rollback(self) -> None:
        """Undo the transaction, if there is one."""
        self._opening = ()
        connection = self._connection
        if connection is None or connection.closed or connection.info.transaction_status is TransactionStatus.IDLE:
            return
        with contextlib.suppress(StoreError):
            async with self._answering() as connection:
                await connection.execute("ROLLBACK")

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    @contextlib.asynccontextmanager
    async def _answering(self, *, connecting: bool = False) -> AsyncIterator[Connection]:
        """Give the connection, and say in our words what goes wrong with it; one that does not answer is given up."""
        connection = await self._connected() if connecting else self._connection
        if connection is None:
            raise _Lost("the connection was lost")
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                yield connection
        except TimeoutError as error:
            await self.close()
            raise _Lost(f"no answer within {ANSWER_WITHIN:g} s") from error
        except psycopg.Error as error:
            if connection.closed or connection.info.transaction_status is TransactionStatus.UNKNOWN or _broken(error):
                await self.close()
                raise _Lost(f"the connection was lost: {error}") from error
            raise _refused(error) from error

    async def _connected(self) -> Connection:
        """Give the connection, or make one, waiting a while for a server that restarts."""
        give_up, pause = time.monotonic() + RECONNECT_WITHIN, 0.02
        while self._connection is None or self._connection.closed:
            try:
                self._connection = await self._introduced()
            except (errors.ReadOnlySqlTransaction, errors.InsufficientPrivilege) as error:
                raise _refused(error) from error
            except psycopg.Error as error:
                if time.monotonic() >= give_up:
                    raise DatabaseUnavailable(f"the database can't be reached: {error}") from error
                await asyncio.sleep(pause)
                pause = min(2 * pause, 1.0)
        return self._connection

    async def _introduced(self) -> Connection:
        """Connect, and have a mark before the first transaction: only what is there can be waited for."""
        connection = await self._connect()
        try:
            if not self._known:
                await connection.execute(_FORGET)
                await psycopg.AsyncRawCursor(connection).execute(_MARK, (self._name, self._number))
                self._known = True
        except BaseException:
            await connection.close()
            raise
        return connection


async def _pipelined(connection: Connection, opening: Sequence[Order], batches: Sequence[Batch]) -> list[psycopg.AsyncRawCursor[Any]]:
    cursors, refused = list[psycopg.AsyncRawCursor[Any]](), list[psycopg.Error]()
    try:
        async with connection.pipeline():
            try:
                if opening:
                    await connection.execute("BEGIN")
                for sql, given in opening:
                    await psycopg.AsyncRawCursor(connection).execute(sql, given)
                for statement, values in batches:
                    cursors.append(cursor := psycopg.AsyncRawCursor(connection))
                    await _executed(cursor, statement, values)
            except psycopg.Error as error:
                refused.append(error)  # psycopg would put into the log that the pipeline ends in disorder
    except psycopg.Error as error:
        refused.append(error)
    if refused:
        raise refused[0]
    return cursors


async def _executed(cursor: psycopg.AsyncRawCursor[Any], statement: str, values: Sequence[tuple[Any, ...]]) -> None:
    if statement in SQL:
        await cursor.execute(SQL[statement], arrays(statement, values))
    elif statement != WAKE:
        await cursor.executemany(POSTGRES[statement], sorted(values) if statement in _SORTED else values)


def _broken(error: psycopg.Error) -> bool:
    """Say whether the connection itself failed: the server ended it (57P), or psycopg can make nothing of what came."""
    code = error.sqlstate
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and (code is None or code.startswith(("57P", "08")))


class _Lost(Overlapped):
    """The connection broke; what was not committed is undone."""


def _name(write: Write) -> int:
    """Name the lock of what a statement touches; 0 where it needs none."""
    match write.statement:
        case "call.move":
            return _CALL | crc32(write.values[-2].encode())
        case "prune.calls":  # whether an event of it is left can't be seen while somebody moves it
            return _CALL | crc32(write.values[1].encode())
        case "effect.hold" | "effect.free":
            return _EFFECT | crc32(write.values[1])
        case "effect.amend":
            return _EFFECT | crc32(write.values[2])
        case _:
            return 0


def _series(place: tuple[str, str, bytes]) -> int:
    return _SERIES | crc32(place[1].encode() + place[2])


_TOO_LARGE = "54"
"""The class of what is too long or too much for the server: one change's own fault, and no other's."""
_SORTED = frozenset({"usage.add", "series.put", "requirement.move"})


def _refused(error: psycopg.Error) -> StoreError:
    """Say why a change could not be written: for its own reasons, because others were in its way, or because nothing can be."""
    match error:
        case errors.IntegrityError():
            return Conflict(str(error).partition("\n")[0])
        case errors.SerializationFailure() | errors.DeadlockDetected() | errors.LockNotAvailable():
            return Overlapped(str(error).partition("\n")[0])
        case errors.ReadOnlySqlTransaction():
            return DatabaseReadOnly("the server takes no writes; is it a standby?")
        case errors.OperationalError() if not (error.sqlstate or "").startswith(_TOO_LARGE):
            return DatabaseUnavailable(f"the database refused the change: {error}")
        case _:
            return StoreError(f"the database refused the change: {str(error).splitlines()[0]}")  # what follows may repeat values
