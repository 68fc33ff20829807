"""The connections of a process that read from PostgreSQL: a few, each made when it is first needed, and made anew when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import psycopg

from ..errors import DatabaseUnavailable, StoreError
from .postgres_plans import Plans
from .statements import numbered

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]

READERS = 4
PATIENCE = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses before a statement is tried again: a server that restarts is back within them."""
_LOST = (psycopg.OperationalError, psycopg.InterfaceError)


class PostgresReader:
    """Read what is committed; `name` is for people."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], name: str) -> None:
        self._connect, self._name = connect, name
        self._turns = asyncio.Semaphore(READERS)
        self._idle: list[Connection] = []
        self._plans = Plans()

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run one reading statement, again on a new connection where one is lost: to read twice does no harm."""
        for pause in (*PATIENCE, None):
            try:
                return await self._once(numbered(sql), values)
            except _LOST as error:
                await self.close()  # those that lay beside it are as old
                if pause is None:
                    raise DatabaseUnavailable(f"{self._name} can't be reached: {error}") from error
                await asyncio.sleep(pause)
            except psycopg.Error as error:
                raise StoreError(f"{self._name}: {error}") from error
        raise AssertionError("unreachable")

    async def _once(self, sql: str, values: Sequence[Any]) -> list[Any]:
        async with self._turns:
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                await self._plans.grow_old(connection)
                cursor = await psycopg.AsyncRawCursor(connection).execute(sql, values, binary=True)
                rows = await cursor.fetchall()
            except BaseException:
                await connection.close()  # it may be in the middle of an answer
                raise
            self._idle.append(connection)
            return rows

    async def close(self) -> None:
        """Close what is idle; the rest is closed by whoever has it."""
        while self._idle:
            await self._idle.pop().close()
