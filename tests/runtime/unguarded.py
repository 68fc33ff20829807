"""Do what the owner of the tables can do: put the guards of what was recorded aside."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import psycopg

GUARDED = ("event", "checkpoint", "bundle", "access")
_FILE = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('event', 'checkpoint', 'bundle', 'access')"
_SERVER = "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY(%s::regclass[])"


@contextlib.contextmanager
def unguarded(connection: sqlite3.Connection | psycopg.Connection) -> Iterator[None]:
    """Put the guards aside while the block lasts, in the connection's transaction; they are as they were afterwards."""
    if isinstance(connection, sqlite3.Connection):
        guards = connection.execute(_FILE).fetchall()
        if guards and not connection.in_transaction:
            connection.execute("BEGIN IMMEDIATE")
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        yield
        for _, made in guards:
            connection.execute(made)
        return
    guards = connection.execute(_SERVER, (list(GUARDED),)).fetchall()
    for table, name in guards:
        connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {name}")
    yield
    for table, name in guards:
        connection.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
