"""Number the points between transactions and socket operations of this process as they pass, and die or stop at one of them.

Everything that reaches a disk through `sqlite3`, a server through psycopg's asynchronous connection, or a provider through a Python
socket passes here, whatever lies above it.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg

NAMES = (
    *("before begin", "after begin", "before commit", "after commit"),
    *("before connect", "after connect", "before send", "after send", "after receive"),
)


@dataclass
class Points:
    """Count the points that pass while `armed`, and send this process `what` at one of them.

    `at` is its number (from 1; 0: never), or a name and the how-manieth of that name: an answer may come in one piece or two, so
    that numbers are not the same in every life.
    """

    at: int | list[str | int] = 0
    what: signal.Signals = signal.SIGKILL
    armed: bool = False
    passed: list[str] = field(default_factory=list)
    connections: list[sqlite3.Connection] = field(default_factory=list)

    def reach(self, name: str) -> None:
        """Pass a point."""
        if not self.armed:
            return
        self.passed.append(name)
        if self.at in (len(self.passed), [name, self.passed.count(name)]):
            os.kill(os.getpid(), self.what)
            time.sleep(0.05)  # a stop that was sent by a helper thread may take effect a moment later

    def watch(self) -> None:
        """Let every connection to a database and every internet socket that is used from now on pass here."""
        psycopg.AsyncConnection.execute = _execute(self, psycopg.AsyncConnection.execute)  # type: ignore[method-assign]
        sqlite3.connect = partial(sqlite3.connect, factory=_connection(self))  # type: ignore[assignment]
        for name, before, after in (("connect", True, True), ("send", True, True), ("recv", False, True)):
            setattr(socket.socket, name, _method(self, name, before=before, after=after))


def _verb(sql: object) -> str | None:
    """Name what begins or ends a transaction."""
    verb = str(sql).split(None, 1)[0].lower()
    return verb if verb in {"begin", "commit"} else None


def _execute(points: Points, real: Callable[..., Any]) -> Callable[..., Any]:
    async def execute(self: psycopg.AsyncConnection[Any], sql: Any, *values: Any, **settings: Any) -> Any:
        if (verb := _verb(sql)) is None:
            return await real(self, sql, *values, **settings)
        points.reach(f"before {verb}")
        done = await real(self, sql, *values, **settings)
        points.reach(f"after {verb}")
        return done

    return execute


def _connection(points: Points) -> type[sqlite3.Connection]:
    class Connection(sqlite3.Connection):
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            points.connections.append(self)

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if (verb := _verb(sql)) is None:
                return super().execute(sql, *values)
            return _around(points, verb, partial(super().execute, sql, *values))

        def commit(self) -> None:
            _around(points, "commit", super().commit)

    return Connection


def _around(points: Points, name: str, do: Callable[[], Any]) -> Any:
    points.reach(f"before {name}")
    done = do()
    points.reach(f"after {name}")
    return done


def _method(points: Points, name: str, *, before: bool, after: bool) -> Callable[..., Any]:
    real, called = getattr(socket.socket, name), {"recv": "receive"}.get(name, name)

    def method(self: socket.socket, *args: Any) -> Any:
        if self.family not in {socket.AF_INET, socket.AF_INET6}:  # asyncio wakes itself over a pair of sockets
            return real(self, *args)
        if before:
            points.reach(f"before {called}")
        try:
            return real(self, *args)
        finally:
            if after:
                points.reach(f"after {called}")

    return method
