"""A log whose signing key was rotated and whose front was pruned: what is left is proved, also where the rotation itself was pruned."""

import pytest

from remit.audit import FolderLog, TileLog, folder_fetch, verify
from tests.runtime.pruning_history import KEPT, first_leaf, grown


@pytest.mark.parametrize("when", ["pruned", "kept"])
async def test_what_is_left_is_proved_whether_the_rotation_is_there_or_not(world, tmp_path, when):
    async with world.running(retention=KEPT) as runtime:
        if when == "pruned":
            early = await runtime.rotate_signing_key(by="eve", reason="yearly")
        await runtime.export(tmp_path / "tiles", tiles=True)
        await grown(runtime, world)
        if when == "kept":
            early = await runtime.rotate_signing_key(by="eve", reason="yearly")
        await runtime.retention.prune(by="fay")
        assert first_leaf(world) > 0
        assert bool(world.sql("SELECT 1 FROM event WHERE kind = 'log.key_rotated'")) is (when == "kept")
        late = await runtime.rotate_signing_key(by="eve", reason="again")
        report = await runtime.verify()
        assert report.ok, report.findings
        await runtime.export(tmp_path / "folder")
        if when == "pruned":
            with pytest.raises(Exception, match="was pruned up to"):
                await runtime.export(tmp_path / "tiles", tiles=True)
        await runtime.export(tmp_path / "anew", tiles=True)
    for key in (early.new, late.new, None):
        for log in (FolderLog(tmp_path / "folder", key), TileLog(folder_fetch(tmp_path / "anew"), key)):
            report = verify(log)
            assert report.ok, report.findings


async def test_tiles_that_hold_what_was_pruned_tell_of_its_rotation_still(world, tmp_path):
    async with world.running(retention=KEPT) as runtime:
        early = await runtime.rotate_signing_key(by="eve", reason="yearly")
        await grown(runtime, world)
        await runtime.export(tmp_path / "tiles", tiles=True)
        await runtime.retention.prune(by="fay")
        late = await runtime.rotate_signing_key(by="eve", reason="again")
        await runtime.export(tmp_path / "tiles", tiles=True)
    for key in (early.old, early.new, late.new, None):
        report = verify(TileLog(folder_fetch(tmp_path / "tiles"), key))
        assert report.ok, report.findings
        assert report.begins == 0
