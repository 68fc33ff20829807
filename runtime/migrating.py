"""Bring a database forward, in one transaction; never backward."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.config import Config

LATEST = "0004"
"""The newest revision in migrations/versions: a test compares."""


def upgrade(url: str) -> None:
    """Bring the database at `url` (`sqlite:///…` or `postgresql://…`) to `LATEST`; raises what its driver raises."""
    from alembic import command
    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import DBAPIError

    if is_postgres(url):
        import psycopg

        engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    else:
        engine = create_engine(url)

        @event.listens_for(engine, "connect")
        def _own_transactions(raw: object, _record: object) -> None:
            raw.isolation_level = None  # type: ignore[attr-defined]

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


def is_postgres(place: object) -> bool:
    """Say whether a place is the address of a PostgreSQL database, and not a file."""
    return isinstance(place, str) and place.startswith(("postgresql://", "postgres://"))


def migration_config() -> Config:
    """Give Alembic's configuration of the migrations that ship with this package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
