"""Bring a database forward, in one transaction, beside processes that work on it; never backward.

A migration adds, and what it adds has a default: a process of the version before goes on writing until it notices, and what it writes
can be read. It notices by the epoch, which every upgrade raises and every intent is checked against: it begins nothing more.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DatabaseLocked

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection, Engine

LATEST = "0009"
"""The newest revision in migrations/versions: a test compares."""

FILE_WAIT = 60.0
"""Seconds that a file's one lock is waited for."""
TABLE_WAIT = 3
"""Seconds that a table's lock is waited for at once: whoever comes after waits behind."""
TRIES = 10
PAUSE = 2.0
WRITERS = 1 << 32
"""The advisory lock that every transaction of a writer shares on PostgreSQL: whoever holds it alone, waits for none of them midway."""


def upgrade(url: str, *, to: str = "head") -> None:
    """Bring the database at `url` (`sqlite:///…` or `postgresql://…`) to `LATEST`: whole or not at all.

    Raises `DatabaseLocked` where others hold its tables for too long, and else what its driver raises.
    """
    from sqlalchemy.exc import DBAPIError

    for tries_left in range(TRIES - 1, -1, -1):
        try:
            _upgrade(url, to)
        except DBAPIError as error:
            if not _in_the_way(error.orig):
                raise error.orig or error from error
            if not tries_left:
                raise DatabaseLocked(
                    "the database could not be brought forward: others hold its tables (pg_stat_activity says who); nothing was changed"
                ) from error
            time.sleep(PAUSE)
        else:
            return


def _upgrade(url: str, to: str) -> None:
    from alembic import command

    engine = _postgres(url) if is_postgres(url) else _sqlite(url)
    try:
        with engine.begin() as connection:
            before = _revision(connection)
            config = migration_config()
            config.attributes["connection"] = connection
            command.upgrade(config, to)
            if before != _revision(connection):
                connection.exec_driver_sql("UPDATE tenant_control SET epoch = epoch + 1")
    finally:
        engine.dispose()


def _sqlite(url: str) -> Engine:
    from sqlalchemy import create_engine, event

    engine = create_engine(url, connect_args={"timeout": FILE_WAIT})

    @event.listens_for(engine, "connect")
    def _own_transactions(raw: Any, _record: object) -> None:
        raw.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # BEGIN by hand: sqlite3 would commit at the first DDL, and a migration must be whole or nothing.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _postgres(url: str) -> Engine:
    import psycopg
    from sqlalchemy import create_engine, event

    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{TABLE_WAIT}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")

    return engine


def _revision(connection: Connection) -> str | None:
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def _in_the_way(error: object) -> bool:
    """Say whether PostgreSQL undid a migration because of others: a lock that did not come, or two that waited for each other."""
    return getattr(error, "sqlstate", None) in {"55P03", "40P01"}


def is_postgres(place: object) -> bool:
    """Say whether a place is the address of a PostgreSQL database, and not a file."""
    return isinstance(place, str) and place.startswith(("postgresql://", "postgres://"))


def migration_config() -> Config:
    """Give Alembic's configuration of the migrations that ship with this package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
