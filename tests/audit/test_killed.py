"""An export that is killed at any step leaves nothing that looks whole: no file, no folder, or the tiles of the log that was there."""

import contextlib
import csv
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from remit.audit import FolderLog, TileLog, export_tiles, folder_fetch, verify
from remit.errors import AuditError
from tests.audit.exporting_process import EVENTS, LEAVES
from tests.audit.tiny import TinyLog


@contextlib.contextmanager
def exporters(form, place):
    """Start the process; gives what lets a child die at a step, and says how it ended."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    command = [sys.executable, "-m", "tests.audit.exporting_process", form, str(place)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def dies(at):
            print(at, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield dies
        process.stdin.close()


def killed(form, place, begin=lambda: None):
    """Kill an export at one step after another, and give what lay there each time; the last one is not killed."""
    with exporters(form, place) as dies:
        for at in itertools.count(1):
            begin()
            ended = dies(at)
            assert ended in {0, -signal.SIGKILL}, ended
            yield at, ended == 0
            if ended == 0:
                return
            shutil.rmtree(place, ignore_errors=True) if place.is_dir() else place.unlink(missing_ok=True)


def looks_whole(form, place):
    """Say whether somebody who finds it could take it for an export."""
    if form.startswith("folder"):
        return place.exists()
    return (place / "checkpoint").exists() if form.startswith("tiles") else place.exists()


def is_whole(form, place):
    match form.partition("-")[0]:
        case "folder":
            return verify(FolderLog(place)).ok
        case "tiles":
            return sum(1 for _ in TileLog(folder_fetch(place)).entries()) == LEAVES
        case "csv":
            return len(list(csv.reader(io.StringIO(place.read_text())))) == 1 + EVENTS
        case _:
            return len([json.loads(line) for line in place.read_text().splitlines()]) == EVENTS


def half(form, place):
    """Give the steps at which what lay there looked whole and was not, and how many there were."""
    wrong = []
    for at, ended in killed(form, place):
        if looks_whole(form, place):
            try:
                whole = is_whole(form, place)
            except (AuditError, ValueError):
                whole = False
            if not whole:
                wrong.append(at)
        else:
            assert not ended
    return wrong, at


@pytest.mark.parametrize("form", ["folder", "tiles", "jsonl", "csv", "ocsf"])
def test_killed_at_any_step_nothing_looks_whole_that_is_not(tmp_path, form):
    wrong, steps = half(form, tmp_path / "out")
    assert wrong == [] and steps > 4


@pytest.mark.parametrize("form", ["folder-broken", "tiles-broken"])
def test_control_written_in_place_it_does(tmp_path, form):
    wrong, _ = half(form, tmp_path / "out")
    assert wrong


def test_tiles_that_were_there_stay_those_of_their_checkpoint(tmp_path):
    place = tmp_path / "out"
    sizes = []
    for at, _ in killed("tiles", place, lambda: export_tiles(TinyLog(200), place)):
        log = TileLog(folder_fetch(place))
        assert sum(1 for _ in log.entries()) == log.size, at
        sizes.append(log.size)
        export_tiles(TinyLog(LEAVES), place)
        assert TileLog(folder_fetch(place)).size == LEAVES, "and the next one goes on"
    assert sizes[0] == 200 and sizes[-1] == LEAVES and sizes == sorted(sizes)
