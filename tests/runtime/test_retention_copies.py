"""Tiles of a log whose front was pruned, and what somebody could do with every right to the database but no signing key."""

import json

import pytest

from remit.audit import FolderLog, TileLog, folder_fetch, root, verify
from remit.audit.pruned import Prunings, edge_to_json, tree_over
from remit.errors import AuditError
from tests.audit.tampering.looking import verified
from tests.runtime.bank import asks, session
from tests.runtime.pruning_history import KEPT, busy, grown


@pytest.fixture
async def running(world):
    async with world.running(retention=KEPT) as runtime:
        yield runtime


async def test_tiles_that_are_there_stay_and_new_ones_begin_at_the_mark(running, world, tmp_path):
    await busy(running)
    await running.export(tmp_path / "older", tiles=True)
    world.time.pass_(days=201)
    await busy(running, 100)
    await running.export(tmp_path / "kept", tiles=True)
    done = await running.retention.prune(by="fay")
    await running.export(tmp_path / "kept", tiles=True)
    whole = verify(TileLog(folder_fetch(tmp_path / "kept")))
    assert whole.ok and whole.begins == 0, "the older tiles are there"
    await running.export(tmp_path / "new", tiles=True)
    report = verify(TileLog(folder_fetch(tmp_path / "new")))
    assert report.ok and report.begins == done.below > 0
    assert not (tmp_path / "new" / "tile" / "entries" / "000").exists()
    for path in sorted((tmp_path / "new" / "tile").rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "kept" / path.relative_to(tmp_path / "new")).read_bytes(), path
    await busy(running, 100)
    await running.export(tmp_path / "new", tiles=True)
    assert verify(TileLog(folder_fetch(tmp_path / "new"))).ok


async def test_tiles_that_end_before_the_mark_are_not_gone_on_with(running, world, tmp_path):
    await running.submit(asks(), session())
    await running.export(tmp_path / "tiles", tiles=True)
    await grown(running, world)
    await running.retention.prune(by="fay")
    with pytest.raises(AuditError, match="export to a new folder"):
        await running.export(tmp_path / "tiles", tiles=True)


@pytest.mark.on_files
async def test_damaged_tiles_above_what_was_pruned_are_found(running, world, tmp_path):
    await grown(running, world)
    await running.retention.prune(by="fay")
    await running.export(tmp_path / "tiles", tiles=True)
    (tile,) = (tmp_path / "tiles" / "tile" / "1").rglob("*.p/*")
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    report = verify(TileLog(folder_fetch(tmp_path / "tiles")))
    assert "root_differs" in {one.code for one in report.findings}
    tile.unlink()
    assert not verify(TileLog(folder_fetch(tmp_path / "tiles"))).ok


# by somebody with every right to the database, but no signing key


async def test_who_deletes_more_and_moves_the_mark_is_found(running, world):
    await grown(running, world)
    done = await running.retention.prune(by="fay")
    more = done.below + 2
    await world.change("DELETE FROM event WHERE leaf_index < ?", more)
    world.sql("UPDATE pruned SET below = ?", (more,))
    (first, *_) = verified(world).findings
    assert (first.code, first.leaf) == ("leaf_missing", 0)


async def pruned_twice(running, world):
    """Prune, then delete a further block and mend the mark with its true root."""
    await grown(running, world)
    await busy(running, 100)
    done = await running.retention.prune(by="fay")
    await running._sequencer.catch_up()
    further = done.below + 256
    (blocks,) = world.sql("SELECT blocks FROM pruned")[0]
    rows = world.sql("SELECT hash FROM event WHERE leaf_index >= ? AND leaf_index < ? ORDER BY leaf_index", (done.below, further))
    await world.change("DELETE FROM event WHERE leaf_index < ?", further)
    world.sql("UPDATE pruned SET below = ?, blocks = ?", (further, bytes(blocks) + root(bytes(one) for (one,) in rows)))
    return done.below, further


async def test_who_deletes_more_and_knows_the_true_tree_is_found(running, world):
    below, further = await pruned_twice(running, world)
    (found,) = [one for one in verified(world).findings if one.code == "pruning_unrecorded"]
    assert found.leaf == further and f"events tell of leaves before {below} alone" in found.message


async def test_who_takes_the_event_along_is_found(running, world):
    _, further = await pruned_twice(running, world)
    ((another,),) = world.sql("SELECT id FROM event ORDER BY leaf_index LIMIT 1")
    await world.change("DELETE FROM event WHERE id = (SELECT event FROM pruned)")
    world.sql("UPDATE pruned SET event = ?", (another,))
    found = {one.code: one.leaf for one in verified(world).findings}
    assert found["pruning_unrecorded"] == further and "log_truncated" in found


async def test_control_without_the_event_it_would_not_be(running, world, monkeypatch):
    await pruned_twice(running, world)
    monkeypatch.setattr(Prunings, "finish", lambda *_: iter(()))
    assert "pruning_unrecorded" not in {one.code for one in verified(world).findings}
    assert "root_differs" not in {one.code for one in verified(world).findings}


async def test_who_forges_what_the_log_begins_with_is_found(running, world):
    await grown(running, world)
    done = await running.retention.prune(by="fay")
    world.sql("UPDATE pruned SET blocks = ?", (bytes(32) * (done.below // 256),))
    codes = {one.code: one for one in verified(world).findings}
    assert "does not begin with what was pruned" in codes["root_differs"].message
    assert "pruning_unrecorded" in codes or "pruning_differs" in codes


async def test_who_shortens_a_copy_is_found(running, world, tmp_path):
    await grown(running, world)
    await running.export(tmp_path / "out")
    log = json.loads((tmp_path / "out" / "log.json").read_text())
    leaves = (tmp_path / "out" / "leaves.jsonl").read_bytes().splitlines(keepends=True)
    hashes = (tmp_path / "out" / "hashes.bin").read_bytes()
    log |= {"v": 2, "from": edge_to_json(tree_over([root(hashes[at : at + 32] for at in range(0, 256 * 32, 32))]))}
    log["counts"] |= {"leaves": len(leaves) - 256, "placed": log["counts"]["placed"] - 256}
    (tmp_path / "out" / "log.json").write_text(json.dumps(log))
    (tmp_path / "out" / "leaves.jsonl").write_bytes(b"".join(leaves[256:]))
    (tmp_path / "out" / "hashes.bin").write_bytes(hashes[256 * 32 :])
    (found,) = verify(FolderLog(tmp_path / "out")).findings
    assert (found.code, found.leaf) == ("pruning_unrecorded", 256)
