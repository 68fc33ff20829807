"""Whatever stands in a column that the verifier reads, it gives a report; and what no signature covers is not believed."""

import asyncio
import shutil

import orjson
import pytest

from remit.audit import FolderLog, verify
from tests.audit.tampering.catalogue import INTENDED, LAST
from tests.audit.tampering.hand import hand
from tests.audit.tampering.history import told
from tests.audit.tampering.looking import verified
from tests.runtime.bank import World


async def rotated(folder):
    world = await told(folder)
    async with world.running(people=False) as runtime:
        await runtime.rotate_signing_key(by="eve", reason="yearly")
        await runtime.export(folder / "exported")
    return world


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return asyncio.run(rotated(tmp_path_factory.mktemp("original")))


@pytest.fixture
def world(original, tmp_path):
    shutil.copytree(original.folder, tmp_path / "copy")
    return World(tmp_path / "copy")


ODD = ("5", "-1", "5000000000000", "5.5", "9e999", "'x'", "X'00ff'", "CAST(X'00ff' AS TEXT)", "''", "'" + "[" * 100_000 + "'")
COLUMNS = {
    "event.leaf": f"leaf_index = {INTENDED}",
    "event.hash": f"leaf_index = {INTENDED}",
    "event.id": f"leaf_index = {INTENDED}",
    "event.leaf_index": f"leaf_index = {INTENDED}",
    "event.leaf ": "kind = 'log.key_rotated'",
    "checkpoint.note": "size = 30",
    "bundle.sources": "1",
    "bundle.digest": "1",
    "log_head.size": "1",
    "log_head.edge": "1",
    "opening.blob": "1",
    "subject.wrapped_key": "1",
    "term.at": "term = 'log.key_rotated'",
}
FOUND = {"event.leaf", "event.hash", "event.leaf_index", "event.leaf ", "checkpoint.note", "bundle.sources", "bundle.digest"}


@pytest.mark.parametrize("column", COLUMNS)
def test_anything_in_a_column_gives_a_report(world, column):
    table, name = column.strip().split(".")
    saved = world.database.read_bytes()
    for odd in ODD:
        world.database.write_bytes(saved)
        with hand(world.database) as at:
            at.sql(f"UPDATE OR REPLACE {table} SET {name} = {odd} WHERE {COLUMNS[column]}")
        assert not (verified(world).ok and column in FOUND), odd


@pytest.mark.parametrize("below", ["0", "256", "'x'", "1e300"])
def test_anything_in_the_mark_of_pruning_gives_a_report(world, below):
    saved = world.database.read_bytes()
    for former in ("0", "'x'", "X'00'"):
        for blocks in ("NULL", "5", "zeroblob(32)", f"'{'x' * 32}'"):
            world.database.write_bytes(saved)
            with hand(world.database) as at:
                ((event,),) = at.sql("SELECT id FROM event WHERE leaf_index = 9")
                at.sql(
                    f"INSERT INTO pruned (tenant, below, former, blocks, event, at) VALUES ('default', {below}, {former}, {blocks}, ?, 0)",
                    event,
                )
                at.sql("UPDATE event SET leaf_index = 'x' WHERE leaf_index = 9")
            assert not verified(world).ok


@pytest.mark.parametrize("size", [-1, 0, INTENDED])
def test_leaves_that_the_head_of_the_tree_leaves_out_are_held_to_their_checkpoint(world, size):
    """Who moves the head back would else let them pass for leaves that have no place yet, and change them as they like."""
    with hand(world.database) as at:
        at.sql("UPDATE log_head SET size = ?", size)
        at.change(LAST, b'"at":"2', b'"at":"3')
    assert "root_differs" in {one.code for one in verified(world).findings}
    with hand(world.database) as at:
        at.sql("DELETE FROM log_head")
        at.sql("DELETE FROM checkpoint")
    assert "no_checkpoint" in {one.code for one in verified(world).findings}


def test_a_folder_whose_leaves_are_said_to_have_no_place_shows_nothing(world):
    place = world.folder / "exported" / "log.json"
    assert verify(FolderLog(place.parent)).ok, "the control"
    about = orjson.loads(place.read_bytes())
    about["counts"] |= {"placed": 0, "checkpoints": 0}
    del about["rotations"]
    place.write_bytes(orjson.dumps(about))
    (place.parent / "checkpoints.jsonl").write_bytes(b"")
    assert "no_checkpoint" in {one.code for one in verify(FolderLog(place.parent)).findings}


def test_the_log_of_another_tenant_in_the_place_of_this_one_is_found(world):
    """They have one name and one key: only what the leaves say tells them apart."""
    with hand(world.database) as at:
        for table in ("event", "checkpoint", "log_head", "bundle", "term"):
            at.sql(f"UPDATE {table} SET tenant = 'another' WHERE tenant = 'default'")
    found = verified(world, "another").findings
    assert {one.code for one in found} == {"leaf_foreign"}
    assert "of the tenant 'default', not of 'another'" in found[0].message
    assert verify(FolderLog(world.folder / "exported")).ok, "the control"
