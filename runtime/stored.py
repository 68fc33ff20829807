"""Look into a database without opening it for work: nothing is made, migrated or put in force, and any folder may lie beside it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ..errors import StoreError
from .opening import Ask

_NAMED = {"active": "bundle", "shadow": "shadow"}


def is_made(database: str | Path) -> bool:
    """Say whether a database is there that keys were made for; raises `StoreError` where that can't be seen."""
    if isinstance(database, Path):
        return database.exists()
    return _rows(database, "SELECT to_regclass('store_meta')", ())[0][0] is not None


def roles_held(database: str | Path, tenant: str) -> frozenset[str] | None:
    """Name the roles that somebody has who can vote; None where there is no database yet."""
    if isinstance(database, Path) and not database.exists():
        return None
    rows = _rows(database, "SELECT roles FROM person WHERE tenant = ? AND active = 1", (tenant,))
    return frozenset(role for (roles,) in rows for role in roles.split())


def bundle_sources(database: str | Path, tenant: str, named: str) -> Mapping[str, str]:
    """Give the sources of the bundle that is `active` or `shadow`, or whose digest begins so; raises StoreError unless it is just one."""
    if column := _NAMED.get(named):
        sql = f"SELECT sources FROM bundle NATURAL JOIN (SELECT tenant, {column} AS digest FROM tenant_control) AS named WHERE tenant = ?"  # noqa: S608 - a column of ours
        rows = _rows(database, sql, (tenant,))
    else:
        rows = _rows(
            database,
            "SELECT sources FROM bundle WHERE tenant = ? AND substr(digest, 1, CAST(? AS INTEGER)) = ?",
            (tenant, len(named), named),
        )
    if len(rows) == 1:
        sources: dict[str, str] = json.loads(rows[0][0])
        return sources
    found = f"{len(rows)} bundles begin so; write more of the digest" if rows else "there is no such bundle, file or folder"
    raise StoreError(f"{named}: {found}")


@contextmanager
def reading(database: str | Path) -> Iterator[Ask]:
    """Open a database for reading statements only; raises `StoreError` where there is none, or it can't be read."""
    if not isinstance(database, Path):
        with _server(database) as ask:
            yield ask
        return
    if not database.exists():
        raise StoreError(f"{database}: there is no database here yet")
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            yield lambda sql, values=(): connection.execute(sql, values).fetchall()
    except sqlite3.Error as error:
        raise StoreError(f"{database}: {error}") from error


@contextmanager
def _server(url: str) -> Iterator[Ask]:
    try:
        import psycopg
    except ImportError as error:
        raise StoreError(f"PostgreSQL needs the extra `postgres`: pip install 'remit[postgres]' ({error})") from error

    from .postgres import name_of
    from .statements import numbered

    try:
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = on")
            yield lambda sql, values=(): psycopg.RawCursor(connection).execute(numbered(sql), values).fetchall()
    except psycopg.Error as error:
        raise StoreError(f"{name_of(url)}: {error}") from error


def _rows(database: str | Path, sql: str, values: tuple[Any, ...]) -> list[Any]:
    with reading(database) as ask:
        return ask(sql, values)
