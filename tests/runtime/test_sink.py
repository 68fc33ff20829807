"""The log as files that grow: killed and begun again, no event is left out and none is there twice."""

import json
import subprocess
import sys

import pytest

from remit.errors import AuditError
from remit.runtime.sink import Sink, follow
from tests.runtime.bank import asks, session

ONE_LIFE = """
import os, signal, sys
from pathlib import Path
from remit.runtime.sink import Sink
folder, ends_at, how, position = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[1] + ".position")
sink = Sink(folder, largest=20_000)
if how == "stored apart" and position.exists():
    sink.upcoming = int(position.read_text())
def events(start):
    for place in range(start, start + 150):
        if place == ends_at:
            os.kill(os.getpid(), signal.SIGKILL)
        yield {"place": place, "body": "x" * (place * 37 % 400)}
while sink.upcoming < 2_400:
    sink.write(events(sink.upcoming))
    position.write_text(str(sink.upcoming))
"""
PURE = pytest.mark.on_files("files, whatever the database")


def lives(folder, how):
    for ends_at in (1, 149, 151, 400, 777, 1_000, 1_777, 2_300, -1):
        ended = subprocess.run([sys.executable, "-c", ONE_LIFE, str(folder), str(ends_at), how], check=False)
        assert ended.returncode == (-9 if ends_at >= 0 else 0)
    return places(folder)


def places(folder):
    return [json.loads(line)["place"] for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


@PURE
def test_killed_again_and_again_it_leaves_nothing_out_and_nothing_twice(tmp_path):
    found = lives(tmp_path / "out", "as it is")
    assert found == list(range(len(found)))
    assert len(found) >= 2_400
    assert len(list((tmp_path / "out").glob("*.jsonl"))) > 10


@PURE
def test_control_a_position_stored_apart_writes_events_twice(tmp_path):
    found = lives(tmp_path / "out", "stored apart")
    assert len(found) > len(set(found))


@PURE
def test_a_line_that_was_cut_off_is_written_again(tmp_path):
    Sink(tmp_path).write([{"place": 0}, {"place": 1}])
    (path,) = tmp_path.glob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-3])
    again = Sink(tmp_path)
    assert again.upcoming == 1
    again.write([{"place": 1}])
    assert places(tmp_path) == [0, 1]


@PURE
def test_an_event_left_out_or_a_foreign_file_is_refused(tmp_path):
    with pytest.raises(AuditError, match="is next"):
        Sink(tmp_path).write([{"place": 1}])
    (tmp_path / "events-000000000000009.jsonl").write_text("not an event\n")
    with pytest.raises(AuditError, match="does not end in an event"):
        Sink(tmp_path)


async def test_it_follows_a_runtime(runtime, tmp_path):
    async def source(after):
        return await runtime.events(after=after, most=3)

    for payment in ("pay_1", "pay_2"):
        await runtime.submit(asks(payment=payment), session())
        await runtime._sequencer.catch_up()
        await follow(source, Sink(tmp_path / "out", largest=2_000), once=True)
    told = await runtime.events(most=1_000)
    written = [json.loads(line) for path in sorted((tmp_path / "out").glob("*")) for line in path.read_text().splitlines()]
    assert written == told


def after_a_full_disk(folder, monkeypatch, *, honest):
    """Let the disk be full for the second batch, and give what is in the file after the third."""
    sink = Sink(folder)
    sink.write([{"place": 0}])
    with monkeypatch.context() as full, pytest.raises(AuditError, match="No space"):
        full.setattr("remit.runtime.sink.os.fsync", _full)
        sink.write([{"place": 1}, {"place": 2}])
    (folder / "events-000000000000000.jsonl").write_text('{"place":0}\n{"pla')  # what reached the disk
    if not honest:
        sink._failed = False
    try:
        sink.write([{"place": sink.upcoming}])
    except AuditError:
        Sink(folder).write([{"place": 1}, {"place": 2}, {"place": 3}])
    return (folder / "events-000000000000000.jsonl").read_text()


def _full(_file):
    raise OSError(28, "No space left on device")


@PURE
def test_after_the_disk_was_full_it_is_opened_anew_and_nothing_is_missing(tmp_path, monkeypatch):
    assert after_a_full_disk(tmp_path, monkeypatch, honest=True) == "".join(f'{{"place":{place}}}\n' for place in range(4))


@PURE
def test_control_who_goes_on_after_a_full_disk_leaves_events_out(tmp_path, monkeypatch):
    assert '"place":1' not in after_a_full_disk(tmp_path, monkeypatch, honest=False)


HOLDS = """
import sys
from pathlib import Path
from remit.runtime.sink import Sink
sink = Sink(Path(sys.argv[1]))
print("holds", flush=True)
sys.stdin.read()
"""


@PURE
def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path):
    folder = tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout.readline() == b"holds\n"
        with pytest.raises(AuditError, match=r"another process writes to .*out: end that, or name another folder"):
            Sink(folder)
        Sink(tmp_path / "other").write([{"place": 0}])
        first.kill()
        first.wait()
        Sink(folder).write([{"place": 0}])
    assert places(folder) == [0]


@PURE
def test_control_without_the_lock_two_write_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("remit.runtime.sink.FolderLock", lambda _folder: None)
    one, other = Sink(tmp_path), Sink(tmp_path)
    one.write([{"place": 0}])
    other.write([{"place": 0}])
    assert places(tmp_path) == [0, 0]
