"""The database itself refuses to change or delete what was recorded; pruning passes, below its mark, and nothing else does."""

import contextlib
import sqlite3

import psycopg
import pytest

from remit.runtime.migrating import upgrade
from tests.postgres import database
from tests.runtime.bank import asks, session
from tests.runtime.further import address, write
from tests.runtime.unguarded import unguarded

REFUSED = "never changed or deleted"
CHANGES = (
    "UPDATE event SET leaf = hash",
    "UPDATE event SET hash = leaf",
    "UPDATE event SET kind = 'call.denied'",
    "UPDATE event SET at = at + 1",
    "UPDATE event SET call = 'call_2'",
    "UPDATE event SET call = NULL WHERE call IS NOT NULL",
    "UPDATE event SET sequence = sequence + 1",
    "UPDATE event SET id = 'another' WHERE position = 1",
    "UPDATE event SET tenant = 'another'",
    "UPDATE event SET position = position + 1000",
    "UPDATE event SET leaf_index = leaf_index + 1000",
    "UPDATE event SET leaf_index = NULL",
    "DELETE FROM event",
    "DELETE FROM event WHERE position = (SELECT max(position) FROM event)",
    "UPDATE checkpoint SET note = 'nothing'",
    "UPDATE checkpoint SET size = size + 1",
    "UPDATE checkpoint SET at = 0",
    "DELETE FROM checkpoint",
    "UPDATE bundle SET sources = '{}'",
    "UPDATE bundle SET author = 'nobody'",
    "DELETE FROM bundle",
    "UPDATE access SET who = 'nobody'",
    "UPDATE access SET purpose = 'another'",
    "UPDATE access SET at = 0",
    "DELETE FROM access",
)
REPLACED = (
    "REPLACE INTO event SELECT position, tenant, id, call, sequence, kind, at, hash, hash, leaf_index FROM event",
    "REPLACE INTO event SELECT position + 500, tenant, id, call, sequence, kind, at, hash, hash, NULL FROM event",
    "REPLACE INTO event SELECT position + 500, tenant, id || 'x', call, sequence, kind, at, hash, hash, leaf_index FROM event",
    "REPLACE INTO checkpoint SELECT tenant, size, 'nothing', at FROM checkpoint",
    "REPLACE INTO bundle SELECT tenant, digest, '{}', author, created_at FROM bundle",
    "REPLACE INTO access SELECT tenant, id, 0, kind, 'nobody', call, sought, found, purpose FROM access",
)
TRUNCATED = (
    *("TRUNCATE event", "TRUNCATE checkpoint", "TRUNCATE bundle", "TRUNCATE access"),
    *("SET session_replication_role = replica; DELETE FROM event", "SET session_replication_role = replica; DELETE FROM access"),
)
TABLES = ("event", "checkpoint", "bundle", "access")


def kept(world):
    return {table: sorted(world.sql(f"SELECT * FROM {table}"), key=repr) for table in TABLES}


@pytest.fixture
async def told(world):
    """A world whose log has events with a place, and none without; that it was verified is in the access log."""
    async with world.running() as runtime:
        await runtime.submit(asks(), session())
        assert (await runtime.verify()).ok
    return world


def tried(world, sql):
    """Try it, and say whether the guards refused."""
    try:
        world.sql(sql)
    except (sqlite3.Error, psycopg.Error) as error:
        assert REFUSED in str(error) or "there is an event" in str(error), error
        return True
    return False


@pytest.mark.parametrize("sql", CHANGES)
async def test_what_was_recorded_is_never_changed_or_deleted(told, sql):
    before = kept(told)
    assert tried(told, sql)
    assert kept(told) == before


@pytest.mark.on_files
@pytest.mark.parametrize("sql", REPLACED)
async def test_on_a_file_nothing_is_replaced_either(told, sql):
    before = kept(told)
    tried(told, sql)
    assert kept(told) == before


@pytest.mark.on_files
async def test_on_a_file_no_event_takes_the_place_of_another(told):
    await told.change("UPDATE event SET leaf_index = NULL WHERE leaf_index = (SELECT max(leaf_index) FROM event)")
    before = kept(told)
    assert tried(told, "UPDATE OR REPLACE event SET leaf_index = 0 WHERE leaf_index IS NULL")
    assert kept(told) == before


@pytest.mark.on_servers
async def test_on_a_server_tables_are_not_emptied_and_no_replica_passes(told):
    before = kept(told)
    for sql in TRUNCATED:
        with psycopg.connect(told.database, autocommit=True) as connection, pytest.raises(psycopg.Error, match=REFUSED):
            connection.execute(sql)
    assert kept(told) == before


@pytest.mark.parametrize("sql", CHANGES)
async def test_control_without_the_guards_it_is_changed(told, sql):
    before = kept(told)
    assert await told.change(sql) > 0
    assert kept(told) != before
    assert any(tried(told, f"DELETE FROM {table}") for table in TABLES), "and they stand again"


async def test_an_event_gets_its_place_once(told):
    await told.change("UPDATE event SET leaf_index = NULL WHERE leaf_index = (SELECT max(leaf_index) FROM event)")
    told.sql("UPDATE event SET leaf_index = 5000 WHERE leaf_index IS NULL")
    assert tried(told, "UPDATE event SET leaf_index = 5001 WHERE leaf_index = 5000")


async def test_pruning_passes_below_its_mark_and_for_its_tenant_alone(told):
    (last,) = told.sql("SELECT max(leaf_index) FROM event")[0]
    told.sql("INSERT INTO pruned (tenant, below, at) VALUES ('another', 1000, 0)")
    assert tried(told, "DELETE FROM event WHERE leaf_index = 0")
    told.sql("INSERT INTO pruned (tenant, below, at) VALUES ('default', 2, 0)")
    assert tried(told, "DELETE FROM event WHERE leaf_index < 3"), "one above the mark, and nothing is deleted"
    told.sql("DELETE FROM event WHERE leaf_index < 2")
    assert told.sql("SELECT min(leaf_index), max(leaf_index) FROM event") == [(2, last)]
    assert tried(told, "UPDATE event SET at = 0 WHERE leaf_index < 1000"), "no mark lets change"


async def test_an_event_without_a_place_is_never_pruned(told):
    await told.change("UPDATE event SET leaf_index = NULL WHERE leaf_index = 0")
    told.sql("INSERT INTO pruned (tenant, below, at) VALUES ('default', 1000, 0)")
    assert tried(told, "DELETE FROM event WHERE leaf_index IS NULL")


@pytest.mark.on_files
@pytest.mark.parametrize("kind", ["file", "server"])
def test_a_database_of_before_is_guarded_once_it_is_brought_forward(tmp_path, kind):
    with database() if kind == "server" else contextlib.nullcontext(str(tmp_path / "remit.db")) as place:
        upgrade(address(place), to="0004")
        write(place, "INSERT INTO bundle (tenant, digest, sources, author, created_at) VALUES ('default', 'd', '{}', 'fay', 0)")
        write(place, "UPDATE bundle SET author = 'finn'")
        upgrade(address(place))
        with pytest.raises((sqlite3.Error, psycopg.Error), match=REFUSED):
            write(place, "UPDATE bundle SET author = 'gus'")


async def test_what_the_log_is_searched_by_is_derived_and_may_go(told):
    told.sql("DELETE FROM term")
    async with told.running() as runtime:
        assert (await runtime.verify()).ok


@pytest.mark.on_files
@pytest.mark.parametrize("kind", ["file", "server"])
def test_an_access_log_of_before_is_guarded_once_it_is_brought_forward(tmp_path, kind):
    with database() if kind == "server" else contextlib.nullcontext(str(tmp_path / "remit.db")) as place:
        upgrade(address(place), to="0007")
        write(place, "INSERT INTO access VALUES ('default', 'acc_1', 0, 'audit.read', 'fay', '', '{}', 0, '')")
        write(place, "UPDATE access SET who = 'finn'")
        upgrade(address(place))
        with pytest.raises((sqlite3.Error, psycopg.Error), match=REFUSED):
            write(place, "UPDATE access SET who = 'gus'")


@pytest.mark.on_files
def test_what_puts_guards_aside_puts_them_back(world):
    names = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    before = world.sql(names)
    with contextlib.closing(sqlite3.connect(world.database)) as connection, connection, unguarded(connection):
        assert len(connection.execute(names).fetchall()) < len(before)
    assert world.sql(names) == before
