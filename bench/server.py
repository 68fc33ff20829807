"""The PostgreSQL that is measured: that of the tests, or the one that REMIT_TEST_POSTGRES names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from .program import Unavailable
from .sampling import Measurement


@contextmanager
def database() -> Iterator[str]:
    """Make an empty database, give its address, and drop it; raises `Unavailable` where there is no server."""
    try:
        import psycopg

        from tests import postgres

        postgres.server()
    except (ImportError, OSError, RuntimeError) as error:
        raise Unavailable(f"there is no PostgreSQL: {error}") from error
    try:
        psycopg.connect(postgres.server()).close()
    except psycopg.Error as error:
        raise Unavailable(f"PostgreSQL can't be reached: {error}") from error
    with postgres.database() as url:
        yield url


@contextmanager
def or_said(measured: Measurement) -> Iterator[None]:
    """Say in the measurement what could not be had, where something in the block needed it."""
    try:
        yield
    except Unavailable as error:
        measured.notes.append(f"It was not measured: {error}")


@contextmanager
def databases(count: int, *, postgres: bool) -> Iterator[list[str]]:
    """Give the addresses of as many empty databases on the server, or "" for those that are files; raises `Unavailable`."""
    with ExitStack() as stack:
        yield [stack.enter_context(database()) if postgres else "" for _ in range(count)]


def processes(url: str) -> list[int]:
    """Name the processes of a server on this machine, whose work is ours while it is measured; none of one elsewhere."""
    import psycopg

    with psycopg.connect(url) as connection:
        if not connection.info.host.startswith("/"):
            return []
        return [pid for (pid,) in connection.execute("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")]


def settings(url: str) -> str:
    """Say what its figures depend on."""
    import psycopg

    with psycopg.connect(url) as connection:
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
        return ", ".join(f"{name} {connection.execute(f'SHOW {name}').fetchone()[0]}" for name in names)  # type: ignore[index]


def deadlocks(url: str) -> int:
    """Count the deadlocks that the server has broken in this database."""
    import psycopg

    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
        return int(row[0]) if row else 0
