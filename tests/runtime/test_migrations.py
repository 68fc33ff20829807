"""Migrations run forward beside processes that work, whole or not at all, once, and lose no call."""

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from remit import Session
from remit.audit import KeyFile, State
from remit.errors import DatabaseLocked, StoreError
from remit.runtime import migrating, opening
from remit.runtime.migrating import LATEST, migration_config, upgrade
from tests.postgres import database
from tests.runtime.bank import asks, session
from tests.runtime.further import ADDS, TURNED, address, one_more, rows, served, standing, write
from tests.runtime.older import begun, older
from tests.runtime.older_process import asks as pays
from tests.runtime.older_process import runtime as of_now

REVISIONS = ("0001", "0002")
itself = pytest.mark.on_files("it makes its databases itself")
ASKED = Session(principal="bot", subject="kay")


async def until(true):
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


def paid(folder):
    """Give (payment, call) of each effect, in order."""
    return [tuple(line.split()) for line in (folder / "effects").read_text().splitlines()]


async def nothing_is_lost(runtime, folder, process):
    """Check what a process of before was told: it is so, each effect was had once, and what waits can be agreed to."""
    effects = paid(folder)
    assert len({payment for payment, _ in effects}) == len(effects)
    succeeded, waiting = process.acknowledged("succeeded"), process.acknowledged("waiting")
    assert succeeded and waiting
    assert succeeded.items() <= set(effects)
    for call_id in succeeded.values():
        assert (await runtime.get(call_id)).state is State.SUCCEEDED
    for payment, call_id in waiting.items():
        assert (await runtime.get(call_id)).state is State.WAITING
        agreed = await runtime.vote(call_id, person="finn", answer="approve")
        assert agreed.state is State.SUCCEEDED, agreed
        assert (payment, call_id) in paid(folder)
    report = await runtime.verify()
    assert report.ok, report.findings


@itself
@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_file_is_brought_forward_while_a_process_of_before_works_on_it(tmp_path, monkeypatch, revision):
    monkeypatch.chdir(tmp_path)
    with older(revision, tmp_path) as before:
        await until(lambda: len(before.said) >= 30)
        async with of_now() as runtime:
            assert (await runtime.parts.store.row(opening.REVISION))[0] == LATEST
            seen = len(before.said)
            for number in range(20):
                assert (await runtime.submit(pays(f"now-{number}", "9.00"), ASKED)).state is State.SUCCEEDED
            await until(lambda: len(before.said) >= seen + 30)
    assert not before.refusals(), "it goes on: what a migration adds has a default"
    async with of_now() as runtime:
        await nothing_is_lost(runtime, tmp_path, before)
        assert len([payment for payment, _ in paid(tmp_path) if payment.startswith("now")]) == 20


@itself
@pytest.mark.parametrize("revision", REVISIONS)
async def test_the_code_of_before_refuses_what_was_brought_forward_when_it_starts(tmp_path, monkeypatch, revision):
    monkeypatch.chdir(tmp_path)
    with older(revision, tmp_path) as before:
        await until(lambda: before.said)
    async with of_now():
        pass
    with begun(revision, tmp_path, first=False) as late:
        out, err = late.communicate(timeout=60)
    assert late.returncode != 0 and out == ""
    assert err.splitlines()[-1].startswith("remit.errors.DatabaseTooNew: remit.db: written by a newer Remit")


@itself
async def test_control_a_call_that_was_lost_is_noticed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with older("0002", tmp_path) as before:
        await until(lambda: before.acknowledged("waiting"))
    with contextlib.closing(sqlite3.connect("remit.db")) as connection:
        connection.execute("UPDATE call SET state = 'failed' WHERE id = ?", (next(iter(before.acknowledged("succeeded").values())),))
        connection.commit()
    async with of_now() as runtime:
        with pytest.raises(AssertionError):
            await nothing_is_lost(runtime, tmp_path, before)


def move(file, url):
    """Put the rows of a file into the tables of a server, at the same revision."""
    with contextlib.closing(sqlite3.connect(file)) as old, psycopg.connect(url) as new:
        names = [name for (name,) in old.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
        for name in {*names} - {"alembic_version"}:
            rows = old.execute(f"SELECT * FROM {name}")
            columns = ", ".join(f'"{one[0]}"' for one in rows.description)
            marks = ", ".join(["%s"] * len(rows.description))
            new.cursor().executemany(f"INSERT INTO {name} ({columns}) VALUES ({marks})", rows.fetchall())
        new.execute("SELECT setval(pg_get_serial_sequence('event', 'position'), (SELECT max(position) FROM event))")


class Writing(threading.Thread):
    """Insert calls by the statement of then, without the locks of now, each in a transaction of its own."""

    def __init__(self, url):
        super().__init__()
        self.url, self.acknowledged, self.ends, self.failed = url, [], threading.Event(), None
        self.start()

    def run(self):
        try:
            with psycopg.connect(self.url, autocommit=True) as connection:
                row = connection.execute("SELECT * FROM call WHERE state = 'succeeded' LIMIT 1")
                columns = [one.name for one in row.description]
                kept = dict(zip(columns, row.fetchone(), strict=True))
                sql = f"INSERT INTO call ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"
                for number in range(1_000_000):
                    if self.ends.is_set():
                        return
                    new = {**kept, "id": f"call_{number}", "idempotency": None, "effect_key": None}
                    with connection.transaction():
                        connection.execute(sql, list(new.values()))
                    self.acknowledged.append(new["id"])
        except psycopg.Error as error:
            self.failed = error


@itself
@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_served_database_is_brought_forward_while_old_statements_write_to_it(tmp_path, monkeypatch, revision):
    monkeypatch.chdir(tmp_path)
    with older(revision, tmp_path) as before:
        await until(lambda: before.acknowledged("waiting"))
    with database() as url:
        upgrade(url, to=revision)
        move("remit.db", url)
        writing = Writing(url)
        await until(lambda: len(writing.acknowledged) > 50)
        async with of_now(url, keys="remit.keys") as runtime:
            assert (await runtime.parts.store.row(opening.REVISION))[0] == LATEST
            seen = len(writing.acknowledged)
            assert (await runtime.submit(pays("now", "9.00"), ASKED)).state is State.SUCCEEDED
            await until(lambda: len(writing.acknowledged) > seen + 50 or writing.failed)
            writing.ends.set()
            writing.join()
            assert writing.failed is None
            rows = await runtime.parts.store.rows("SELECT id FROM call")
            assert {*writing.acknowledged} <= {call for (call,) in rows}
            await nothing_is_lost(runtime, tmp_path, before)


def test_what_fails_half_way_leaves_the_database_as_it_was(world, tmp_path, monkeypatch):
    one_more(tmp_path, monkeypatch, ADDS, "op.execute('SELECT no_such_thing FROM nowhere')")
    with pytest.raises(TURNED):
        upgrade(address(world.database))
    assert standing(world.database) == (LATEST, False)


def test_control_half_of_it_stays_where_each_statement_is_its_own(world, monkeypatch, tmp_path):
    one_more(tmp_path, monkeypatch, ADDS, "op.execute('SELECT no_such_thing FROM nowhere')")
    monkeypatch.setattr(migrating, "_sqlite", create_engine)
    served = lambda url: create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), isolation_level="AUTOCOMMIT")
    monkeypatch.setattr(migrating, "_postgres", served)
    with pytest.raises(TURNED):
        upgrade(address(world.database))
    assert standing(world.database) == (LATEST, True)


def test_nothing_goes_backward(world):
    def back(to):
        engine = migrating._postgres(world.database) if isinstance(world.database, str) else migrating._sqlite(address(world.database))
        config = migration_config()
        try:
            with engine.begin() as config.attributes["connection"]:
                command.downgrade(config, to)
        finally:
            engine.dispose()

    for to in ("0001", "base", "-1"):
        with pytest.raises(StoreError, match="forward only"):
            back(to)
    assert standing(world.database) == (LATEST, False)


@itself
def test_no_migration_has_a_way_back():
    for script in ScriptDirectory.from_config(migration_config()).walk_revisions():
        assert not hasattr(script.module, "downgrade"), script
    assert "forward only" in (Path(migrating.__file__).parent / "migrations" / "env.py").read_text()


OPEN = """
import asyncio, sys
from pathlib import Path
from remit.runtime.database import open_database

async def main():
    sys.stdin.readline()
    place = sys.argv[1]
    database = open_database(place if "://" in place else Path(place), keys=Path("remit.keys"))
    await database.writer.close()
    await database.close()

asyncio.run(main())
"""


@itself
@pytest.mark.parametrize("kind", ["file", "server"])
async def test_of_processes_that_start_at_once_one_brings_the_database_forward(tmp_path, kind):
    KeyFile.create(tmp_path / "remit.keys")
    with database() if kind == "server" else contextlib.nullcontext(str(tmp_path / "remit.db")) as place:
        upgrade(address(place), to="0001")
        write(place, "INSERT INTO tenant_control (tenant, epoch, bundle) VALUES ('default', 5, '')")
        options = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
        several = [subprocess.Popen([sys.executable, "-c", OPEN, place], env=environment, **options) for _ in range(4)]
        said = [process.communicate("\n", timeout=60)[1] for process in several]
        assert [process.returncode for process in several] == [0] * 4, said
        assert rows(place, "SELECT epoch FROM tenant_control") == [(6,)], "each time that it is brought forward raises the epoch"
        assert standing(place)[0] == LATEST


@itself
def test_control_the_epoch_counts_how_often_a_database_was_brought_forward(tmp_path):
    place = str(tmp_path / "remit.db")
    upgrade(address(place), to="0001")
    write(place, "INSERT INTO tenant_control (tenant, epoch, bundle) VALUES ('default', 5, '')")
    for to in ("0002", "head", "head"):
        upgrade(address(place), to=to)
    assert rows(place, "SELECT epoch FROM tenant_control") == [(7,)]


@itself
async def test_a_migration_waits_for_whoever_reads_and_stops_nobody_for_long(tmp_path, monkeypatch):
    """A long reading transaction is in its way: it asks for a moment, lets others pass, and asks again."""
    monkeypatch.setattr(migrating, "TABLE_WAIT", 1)
    monkeypatch.setattr(migrating, "PAUSE", 0.2)
    with database() as url:
        upgrade(url)
        one_more(tmp_path, monkeypatch, ADDS)
        async with served(tmp_path, url).running() as runtime:
            with psycopg.connect(url) as reading:
                reading.execute("SELECT count(*) FROM call")
                forward = asyncio.create_task(asyncio.to_thread(upgrade, url))
                await asyncio.sleep(1.5)
                assert not forward.done()
                assert (await runtime.submit(asks("refund", "pay_1"), session())).state is State.SUCCEEDED
            await forward
        assert standing(url) == ("9999", True)


@itself
async def test_a_migration_that_gets_no_lock_says_so_and_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(migrating, "TABLE_WAIT", 1)
    monkeypatch.setattr(migrating, "PAUSE", 0.01)
    monkeypatch.setattr(migrating, "TRIES", 2)
    with database() as url:
        upgrade(url)
        one_more(tmp_path, monkeypatch, ADDS)
        with psycopg.connect(url) as reading:
            reading.execute("SELECT count(*) FROM call")
            with pytest.raises(DatabaseLocked, match="nothing was changed"):
                await asyncio.to_thread(upgrade, url)
        assert standing(url) == (LATEST, False)
