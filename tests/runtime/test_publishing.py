"""The log is published as tiles while calls go on: whole at every moment, killed wherever, and never over something else."""

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import sys

import httpx
import pytest

from remit.audit import FolderLock, FolderTaken, TileLog, export_tiles, folder_fetch, tile_export, verifier_key, verify, verify_checkpoint
from remit.cli.log_sources import web_fetch
from remit.errors import AuditError
from remit.runtime import publishing
from remit.runtime.logs import DatabaseLog
from tests.audit.tiny import TinyLog
from tests.cli.test_published_logs import serving
from tests.runtime.bank import says, session


@pytest.fixture(autouse=True)
def _promptly(monkeypatch):
    for name in ("PAUSE", "AGAIN"):
        monkeypatch.setattr(publishing, name, 0.01)
    monkeypatch.setattr("remit.runtime.sequencer.PAUSE", 0.01)


@pytest.fixture
def said(monkeypatch):
    words = []
    for level in ("error", "info"):
        monkeypatch.setattr(publishing.log, level, lambda form, *told: words.append(form % told))
    return words


def checked(folder):
    return verify(TileLog(folder_fetch(folder)))


def size_of(folder):
    return int((folder / "checkpoint").read_text().split("\n")[1])


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def newest(world):
    return world.sql("SELECT max(size) FROM checkpoint")[0][0]


async def works(runtime, *notes):
    for note in notes:
        await runtime.submit(says(note), session())
    await runtime._sequencer.catch_up()


async def until(happens):
    async with asyncio.timeout(30):
        while not happens():
            await asyncio.sleep(0.01)


async def test_it_grows_while_calls_go_on_and_is_whole_at_every_look(world, tmp_path):
    sizes = [0]
    async with world.running(tiles=tmp_path / "log") as runtime:
        for number in range(40):
            await runtime.submit(says(f"note {number}"), session())
            if number % 8 == 0 and number:
                await until(lambda: (tmp_path / "log" / "checkpoint").exists() and size_of(tmp_path / "log") > sizes[-1])
                report = await asyncio.to_thread(checked, tmp_path / "log")
                assert report.findings == []
                sizes.append(report.entries)
    assert len(sizes) == 5 and sizes == sorted({*sizes})
    assert size_of(tmp_path / "log") == newest(world), "and what came last is there once the runtime has ended"
    assert checked(tmp_path / "log").findings == []


async def test_any_static_server_gives_it_out_to_the_verifier_while_calls_go_on(world, tmp_path):
    reports = []

    def read(url, key):
        with httpx.Client() as client:
            while len(reports) < 8 or len({report.entries for report in reports}) == 1:  # it grows meanwhile
                reports.append(verify(TileLog(web_fetch(client, url), key)))

    async with world.running(tiles=tmp_path / "log") as runtime:
        await works(runtime, "one")
        await until(lambda: (tmp_path / "log" / "checkpoint").exists())
        key = verifier_key(runtime.parts.log_id, runtime.parts.store.keys.public_key)
        with serving(tmp_path / "log") as url:
            reading = asyncio.create_task(asyncio.to_thread(read, url, key))
            numbers = itertools.count()
            while not reading.done():
                await runtime.submit(says(f"note {next(numbers)}"), session())
            await reading
    assert [finding for report in reports for finding in report.findings] == []


async def test_it_is_the_same_as_an_export(world, tmp_path):
    async with world.running(tiles=tmp_path / "log") as runtime:
        await works(runtime, "one")
        await until(lambda: (tmp_path / "log" / "checkpoint").exists())
        await works(runtime, "two", "three")
    async with world.running(people=False) as runtime:
        await runtime.export(tmp_path / "whole", tiles=True)
    published, exported = tree(tmp_path / "log"), tree(tmp_path / "whole")
    assert {name for name in published if ".p/" not in name} == {name for name in exported if ".p/" not in name}
    assert exported.items() <= published.items()


async def test_begun_anew_it_reads_nothing_that_is_there(world, tmp_path, monkeypatch):
    async with world.running(tiles=tmp_path / "log") as runtime:
        await works(runtime, "one", "two")
    before, starts, read = size_of(tmp_path / "log"), [], DatabaseLog.entries

    def entries(self, start=0):
        starts.append(start)
        return read(self, start)

    monkeypatch.setattr(DatabaseLog, "entries", entries)
    async with world.running(people=False, tiles=tmp_path / "log") as runtime:
        await works(runtime, "three")
    assert starts and min(starts) >= before
    monkeypatch.undo()
    assert checked(tmp_path / "log").findings == []


async def test_a_folder_of_another_log_is_refused_in_words_and_left_as_it_is(world, tmp_path, said):
    export_tiles(TinyLog(3), tmp_path / "log")
    before = tree(tmp_path / "log")
    async with world.running(tiles=tmp_path / "log") as runtime:
        await works(runtime, "one")
        await until(lambda: said)
        await works(runtime, "two")
        await asyncio.sleep(0.1)
    assert [one for one in said if "holds another log" in one] == said[:1] == said, "once"
    assert tree(tmp_path / "log") == before


async def test_a_folder_with_something_else_in_it_is_left_as_it_is(world, tmp_path, said):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "mine.txt").write_text("mine")
    async with world.running(tiles=tmp_path / "log") as runtime:
        await works(runtime, "one")
    assert "is not empty, and holds no log in tiles" in said[0]
    assert tree(tmp_path / "log") == {"mine.txt": b"mine"}


async def test_a_folder_that_is_ahead_of_the_database_is_left_as_it_is(world, tmp_path, said, monkeypatch):
    async with world.running(tiles=tmp_path / "log") as runtime:
        await works(runtime, "one")
        await works(runtime, "two")
    before, ((older,),) = tree(tmp_path / "log"), world.sql("SELECT note FROM checkpoint ORDER BY size LIMIT 1")
    async with world.running(people=False) as runtime:
        monkeypatch.setattr(DatabaseLog, "newest", lambda _self: older)
        published = publishing.Publishing(runtime.parts, tmp_path / "log")
        assert not await published.attempt()
        await published.finish()
    assert "the log's own is an older one" in said[0]
    assert tree(tmp_path / "log") == before


async def test_a_full_disk_stops_nobody_is_said_once_and_tried_again(world, tmp_path, said, monkeypatch):
    place, full = tile_export._place, True

    def placed(path, data, **more):
        if full:
            raise OSError(28, "No space left on device")
        place(path, data, **more)

    monkeypatch.setattr(tile_export, "_place", placed)
    async with world.running(tiles=tmp_path / "log") as runtime:
        await works(runtime, "one")
        await until(lambda: said)
        await works(runtime, "two")
        await asyncio.sleep(0.1)
        assert len(said) == 1 and "No space left on device" in said[0]
        full = False
        await until(lambda: (tmp_path / "log" / "checkpoint").exists())
        assert (await runtime.verify()).ok
    assert checked(tmp_path / "log").findings == []


async def test_of_two_processes_one_writes_and_the_other_takes_over(world, tmp_path, said):
    (tmp_path / "log").mkdir()
    first = FolderLock(tmp_path / "log")
    async with world.running(tiles=tmp_path / "log") as runtime:
        await works(runtime, "one")
        await until(lambda: said)
        assert "takes over when that ends" in said[0] and not (tmp_path / "log" / "checkpoint").exists()
        first.close()
        await until(lambda: (tmp_path / "log" / "checkpoint").exists())
    assert len(said) == 1


async def test_it_goes_over_to_another_signing_key(world, tmp_path):
    async with world.running(tiles=tmp_path / "log") as runtime:
        await works(runtime, "one")
        await until(lambda: (tmp_path / "log" / "checkpoint").exists())
        rotated = await runtime.rotate_signing_key(by="eve", reason="yearly")
        await works(runtime, "two")
    for key in (rotated.old, rotated.new):
        assert verify(TileLog(folder_fetch(tmp_path / "log"), key)).findings == []


DIES = """
import sys, os, signal
from pathlib import Path
from remit.audit import export_tiles, tile_export
from tests.audit.tiny import TinyLog
folder, size, at, order = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
steps = 0
def step(does):
    def stepping(*given, **named):
        global steps
        steps += 1
        if steps == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return does(*given, **named)
    return stepping
place = tile_export._place
if order == "checkpoint first":
    class Writer(tile_export.TileWriter):
        def __init__(self, folder, *given):
            super().__init__(folder, *given)
            from tests.audit.tiny import note
            place(folder / "checkpoint", note(size).encode(), flush=True)
    tile_export.TileWriter = Writer
Path.replace = step(Path.replace)
tile_export._place, tile_export._flush, tile_export.shutil.rmtree = map(step, (tile_export._place, tile_export._flush, tile_export.shutil.rmtree))
export_tiles(TinyLog(size), folder)
"""


def killed_everywhere(folder, order="as it is"):
    """Kill the writer at each of its steps in turn, from 200 leaves to 600; gives the sizes that the folder then showed, whole."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    export_tiles(TinyLog(200), folder.with_name("begun"))
    shown = []
    for at in range(1, 1_000):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(folder.with_name("begun"), folder)
        ended = subprocess.run([sys.executable, "-c", DIES, str(folder), "600", str(at), order], env=environment, check=False)
        report = verify(TileLog(folder_fetch(folder)), meaning=False)
        shown.append((report.ok, report.entries))
        export_tiles(TinyLog(600), folder)
        assert verify(TileLog(folder_fetch(folder)), meaning=False).entries == 600, at
        if ended.returncode == 0:
            return shown
        assert ended.returncode == -signal.SIGKILL
    raise AssertionError


@pytest.mark.on_files("the folder, whatever the database")
@pytest.mark.timeout(240)
def test_killed_at_any_step_the_folder_shows_an_older_log_whole_and_goes_on(tmp_path):
    shown = killed_everywhere(tmp_path / "log")
    assert {ok for ok, _ in shown} == {True}
    assert {entries for _, entries in shown} == {200, 600}
    assert len(shown) > 8


@pytest.mark.on_files("the folder, whatever the database")
def test_control_who_writes_the_checkpoint_first_shows_a_log_that_is_not_there(tmp_path):
    with pytest.raises(AuditError, match=r"can.t be|missing|did not|are not those"):
        killed_everywhere(tmp_path / "log", "checkpoint first")


async def test_what_is_published_is_signed_by_the_logs_own_key(world, tmp_path):
    async with world.running(tiles=tmp_path / "log") as runtime:
        await works(runtime, "one")
        origin, key = runtime.parts.log_id, runtime.parts.store.keys.public_key
    assert verify_checkpoint((tmp_path / "log" / "checkpoint").read_text(), origin, key).size == size_of(tmp_path / "log")


async def test_a_folder_that_is_removed_is_written_anew_and_held_by_one(world, tmp_path, said):
    """What a process holds of a folder that is gone holds nobody off from the one that is made in its place."""
    folder = tmp_path / "log"
    async with world.running(tiles=folder) as runtime:
        await works(runtime, "before")
        await until(lambda: (folder / "checkpoint").exists() and size_of(folder) == newest(world))
        shutil.rmtree(folder)
        await until(lambda: (folder / "checkpoint").exists())
        await asyncio.to_thread(runtime._publishing._write)
        assert checked(folder).findings == [] and size_of(folder) == newest(world)
        with pytest.raises(FolderTaken):
            FolderLock.on(folder)
    FolderLock.on(folder).close()
