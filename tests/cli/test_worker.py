"""`remit worker`: it takes up what rests, says what it does, and stops when it is told to."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from remit import Session
from remit.audit import KeyFile
from remit.cli.application import publishing
from remit.runtime.votes import vote
from tests.postgres import database
from tests.runtime.older_process import ALLOW as ALLOWED
from tests.runtime.older_process import asks, runtime

SLOW = """
import time
from pathlib import Path
from remit import Retryable, Runtime, action
from remit.actions import once, per_call

@action(effect=once, key=per_call, deadline="60s", owns=None, owns_reason="it is about nobody")
def dawdle(text: str) -> str:
    \"\"\"Take a long time.\"\"\"
    if not Path("tried").exists():
        Path("tried").touch()
        raise Retryable("not yet")
    Path("began").touch()
    time.sleep(40)
    return text

runtime = Runtime([dawdle], policies="slow.yaml", activate=True)
"""
ALLOW = "policy: slow\nactions: [dawdle]\nrules:\n  - {id: anybody, then: allow}\n"


class Worker:
    def __init__(self, *arguments):
        command = [sys.executable, "-m", "remit", "worker", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.begun = self.process.stderr.readline()

    def told(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def ended(self):
        out, err = self.process.communicate(timeout=60)
        assert out == ""
        return self.process.returncode, err


@pytest.fixture
def started():
    """Start workers, and leave none behind."""
    workers = []

    def start(*arguments):
        workers.append(Worker(*arguments))
        return workers[-1]

    yield start
    for worker in workers:
        worker.process.kill()
        worker.process.communicate()


def state(call):
    with sqlite3.connect("remit.db") as connection:
        found = connection.execute("SELECT state FROM call WHERE id = ?", (call,)).fetchone()[0]
    connection.close()
    return found


def change(sql, *values):
    with sqlite3.connect("remit.db") as connection:
        connection.execute(sql, values)
    connection.close()


def until(true):
    for _ in range(600):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_takes_up_what_is_due_and_stops_when_told(waiting, started, number):
    change("UPDATE call SET deadline_at = 1, wake_at = 1 WHERE id = ?", waiting)
    change("UPDATE requirement SET deadline_at = 1 WHERE call = ?", waiting)
    worker = started()
    assert worker.begun.endswith("taking up calls of give_credit, look_up_order in remit.db\n")
    until(lambda: state(waiting) == "expired")
    worker.told(number)
    code, said = worker.ended()
    assert code == 0
    assert said.endswith("stopped\n")


def test_it_takes_up_calls_though_the_app_leaves_them_to_workers(waiting, started, desk):
    app = desk / "app.py"
    app.write_text(app.read_text().replace("policies=", "wakeups=False, policies="))
    change("UPDATE call SET deadline_at = 1, wake_at = 1 WHERE id = ?", waiting)
    change("UPDATE requirement SET deadline_at = 1 WHERE call = ?", waiting)
    started()
    until(lambda: state(waiting) == "expired")


def test_a_second_signal_ends_it_at_once_and_the_call_is_left_to_its_lease(tmp_path, monkeypatch, started, remit):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text(SLOW)
    (tmp_path / "slow.yaml").write_text(ALLOW)
    call = remit("call", "dawdle", "--arg=text=x", "--json").document["call"]
    assert state(call) == "ready"
    worker = started()
    until((tmp_path / "began").exists)
    worker.told()
    time.sleep(0.5)
    assert worker.process.poll() is None, "it waits for what runs"
    worker.told()
    assert worker.ended()[0] == 1
    assert state(call) == "executing"


def test_it_stops_with_a_clear_line_when_a_newer_remit_brings_the_database_forward(desk, started, remit):
    assert remit("db", "upgrade").code == 0
    worker = started()
    change("UPDATE alembic_version SET version_num = '9999'")
    change("UPDATE tenant_control SET epoch = epoch + 1")
    code, said = worker.ended()
    assert code == 2
    assert said.splitlines()[-1].startswith("remit.db, while this process ran: brought forward by a newer Remit (revision 9999")
    assert "Traceback" not in said


SERVED = """
from remit import Runtime
from tests.runtime.older_process import pay

runtime = Runtime([pay], policies="policies", database={url!r}, keys="remit.keys", wakeups=False)
"""


async def test_on_a_server_it_carries_out_what_another_process_has_only_written_down(tmp_path, monkeypatch, started):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "payments.yaml").write_text(ALLOWED)
    KeyFile.create(tmp_path / "remit.keys")
    with database() as url:
        (tmp_path / "app.py").write_text(SERVED.format(url=url))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        async with runtime(url, keys="remit.keys", wakeups=False) as serving:
            for person in ("fay", "finn"):
                await serving.people.add(person, roles=["finance"])
            await serving.people.add_agent("bot", owner="fay")
            waiting = await serving.submit(asks("large", "99.00"), Session(principal="bot", subject="kay"))
            nothing_more = {"digest": None, "shown": None, "reason": "", "via": "api"}
            await vote(serving.parts, serving.people, waiting.call_id, person="finn", answer="approve", **nothing_more)
            assert (await serving.wait(waiting.call_id, 1)).state == "waiting", "nobody takes it up here"
            worker = await asyncio.to_thread(started)
            assert worker.begun.split("taking up calls of ")[1].startswith("pay in PostgreSQL remit_")
            assert (await serving.wait(waiting.call_id, 30)).state == "succeeded"
            worker.told()
            code, said = await asyncio.to_thread(worker.ended)
            assert code == 0, said
            assert said.endswith("stopped\n")


def test_what_it_can_not_start_with_is_one_line(desk, remit):
    assert remit("db", "upgrade").code == 0
    (desk / "remit.keys").unlink()
    assert "remit.keys" in remit("worker").line


def test_where_the_log_is_published_the_option_says_else_the_setting_else_the_app(monkeypatch):
    runtime = SimpleNamespace(tiles=Path("as-the-app-says"))
    monkeypatch.delenv("REMIT_TILES", raising=False)
    assert publishing(runtime, None).tiles == Path("as-the-app-says")
    monkeypatch.setenv("REMIT_TILES", "as-it-is-set")
    assert publishing(runtime, None).tiles == Path("as-it-is-set")
    assert publishing(runtime, Path("as-it-is-asked")).tiles == Path("as-it-is-asked")
