"""A database that was put back from a backup, or rewritten behind the runtime's back, is not signed over, and it is said what to do."""

import asyncio
import contextlib
import os
import shutil
import sqlite3

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from remit.audit import RightEdge, State, leaf_hash
from remit.errors import LogRolledBack, StoreError
from remit.runtime.last_signed import LastSigned
from tests import postgres
from tests.runtime.bank import Store, asks, says, session


@contextlib.contextmanager
def backup(world, tmp_path):
    """Take a backup; gives what puts it back in the database's place."""
    if not Store.server:
        kept = tmp_path / "backup.db"
        with contextlib.closing(sqlite3.connect(world.database)) as connection, contextlib.closing(sqlite3.connect(kept)) as copy:
            connection.backup(copy)

        def put_back():
            for suffix in ("-wal", "-shm"):
                world.database.with_name(f"remit.db{suffix}").unlink(missing_ok=True)
            shutil.copy(kept, world.database)

        yield put_back
        return
    name = conninfo_to_dict(world.database)["dbname"]
    with postgres.database(name) as copy:
        kept = conninfo_to_dict(copy)["dbname"]

        def put_back():
            with psycopg.connect(postgres.server(), autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
                connection.execute(f"CREATE DATABASE {name} TEMPLATE {kept} STRATEGY file_copy")

        yield put_back


def signed(world):
    (file,) = world.folder.glob("remit.*.signed")
    return file


async def works(world, *notes):
    async with world.running() as runtime:
        for note in notes:
            assert (await runtime.submit(says(note), session())).state is State.SUCCEEDED
        await runtime._sequencer.catch_up()


async def test_a_backup_that_was_put_back_is_not_signed_over_and_what_to_do_is_said(world, tmp_path):
    await works(world, "before")
    with backup(world, tmp_path) as put_back:
        await works(world, "since")
        put_back()
    checkpoints = world.sql("SELECT note FROM checkpoint ORDER BY size")
    async with world.running(people=False) as runtime:
        await runtime.submit(says("after"), session())
        with pytest.raises(LogRolledBack) as refused:
            await runtime._sequencer.catch_up()
        words = str(refused.value)
        assert all(said in words for said in ("were signed", "backup", "newest state", str(signed(world)), "providers' lists")), words
        assert world.sql("SELECT note FROM checkpoint ORDER BY size") == checkpoints, "nothing was signed"
        signed(world).unlink()
        assert await runtime._sequencer.catch_up() > 0, "and whoever accepts the loss signs on"
        assert (await runtime.verify()).ok


async def test_it_is_logged_once_in_words(world, tmp_path, monkeypatch):
    monkeypatch.setattr("remit.runtime.sequencer.PAUSE", 0.01)
    logged = []
    monkeypatch.setattr("remit.runtime.sequencer.log.error", lambda words, *told: logged.append(words % told))
    await works(world, "before")
    with backup(world, tmp_path) as put_back:
        await works(world, "since")
        put_back()
    async with world.running(people=False) as runtime:
        await runtime.submit(says("after"), session())
        async with asyncio.timeout(30):
            while not any("was a backup put back" in line for line in logged):
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
    assert sum("was a backup put back" in line for line in logged) == 1, logged


async def test_control_without_the_file_a_backup_is_signed_over(world, tmp_path):
    await works(world, "before")
    with backup(world, tmp_path) as put_back:
        await works(world, "since")
        put_back()
    signed(world).unlink()
    await works(world, "after")
    async with world.running() as runtime:
        assert (await runtime.verify()).ok, "and the log itself shows nothing"


async def rewritten(world):
    """Change a leaf, mend the tree, and take the checkpoints that show it away: the next signature would cover it all."""
    await world.change("UPDATE event SET leaf = blob(replace(text(leaf), 'fay', 'gus')) WHERE kind = 'person.added'")
    edge = RightEdge()
    for position, leaf in world.sql("SELECT position, leaf FROM event ORDER BY leaf_index"):
        edge.append(leaf_hash(bytes(leaf)))
        await world.change("UPDATE event SET hash = ? WHERE position = ?", leaf_hash(bytes(leaf)), position)
    await world.change("DELETE FROM checkpoint")
    await world.change("UPDATE log_head SET edge = ?", edge.to_bytes())


async def test_a_log_that_was_rewritten_with_its_tree_is_not_signed(world):
    await works(world, "before")
    await rewritten(world)
    async with world.running(people=False) as runtime:
        await runtime.submit(says("after"), session())
        with pytest.raises(LogRolledBack, match="are not those that were signed"):
            await runtime._sequencer.catch_up()
    assert world.sql("SELECT count(*) FROM checkpoint") == [(0,)]


async def test_control_without_the_file_a_log_that_was_rewritten_is_signed(world):
    await works(world, "before")
    await rewritten(world)
    signed(world).unlink()
    async with world.running(people=False) as runtime:
        await runtime.submit(says("after"), session())
        assert (await runtime.verify()).ok


async def test_what_another_machine_has_signed_since_is_followed_leaf_by_leaf(world):
    await works(world, "one")
    older = signed(world).read_bytes()
    await works(world, "two", "three")
    newer = signed(world).read_bytes()
    signed(world).write_bytes(older)
    await works(world, "four")
    assert signed(world).read_bytes() not in {older, newer}


@pytest.mark.parametrize("content", [b"", b"{}", b'{"edge": "00"}', b'{"edge": 1}', b"[]"])
async def test_a_file_that_is_none_is_not_passed_over(world, content):
    await works(world, "before")
    file = signed(world)
    file.write_bytes(content)
    async with world.running(people=False) as runtime:
        await runtime.submit(says("after"), session())
        with pytest.raises(StoreError, match=r"can't be used .* put it back, or remove it"):
            await runtime._sequencer.catch_up()


async def test_where_it_can_not_be_kept_that_is_said_and_the_log_goes_on(world, caplog, monkeypatch):
    def full(_self, _edge):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LastSigned, "remember", full)
    async with world.running() as runtime:
        await runtime.submit(asks(), session())
        await runtime._sequencer.catch_up()
        assert (await runtime.verify()).ok
    assert "No space left on device" in caplog.text


@pytest.mark.on_files
async def test_a_file_is_there_as_a_whole_or_as_it_was(world, monkeypatch):
    await works(world, "before")
    before = signed(world).read_bytes()

    def broken(_descriptor):
        raise OSError(5, "Input/output error")

    async with world.running(people=False) as runtime:
        await runtime.submit(says("after"), session())
        monkeypatch.setattr(os, "fsync", broken)
        await runtime._sequencer.catch_up()
        monkeypatch.undo()
        assert signed(world).read_bytes() == before
        assert [one.name for one in world.folder.iterdir() if one.name.endswith(".signed")] == [signed(world).name]


@pytest.mark.on_files
async def test_while_the_disk_is_full_each_step_goes_on_from_the_one_before(world, monkeypatch):
    """Else every step would read the log anew from where the file ends, and a backup put back meanwhile would not be noticed."""
    await works(world, "before")
    kept = signed(world).read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    async with world.running(people=False) as runtime:
        monkeypatch.setattr(os, "fsync", full)
        held = runtime._sequencer._signed
        for note in ("one", "two"):
            await runtime.submit(says(note), session())
            await runtime._sequencer.catch_up()
        assert signed(world).read_bytes() == kept
        _, edge = await runtime._sequencer._head()
        assert (held.read().size, held.read().root()) == (edge.size, edge.root())
        assert LastSigned(runtime.parts.store, runtime.parts.log_id).read().size < edge.size, "another process knows the file alone"
        monkeypatch.undo()
        await runtime.submit(says("three"), session())
        await runtime._sequencer.catch_up()
        assert held._unkept is None and signed(world).read_bytes() != kept
        assert (await runtime.verify()).ok
