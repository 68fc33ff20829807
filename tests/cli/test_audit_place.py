"""`remit audit place`: events get their places from a process of its own, as the role that may do nothing else."""

import signal
import subprocess
import sys

import psycopg
import pytest

from tests.runtime.bank import asks, session
from tests.runtime.test_postgres_roles import roles  # noqa: F401 - a fixture


@pytest.fixture
def started(tmp_path):
    """Start processes that place, and leave none behind."""
    running = []

    def start(*arguments):
        command = [sys.executable, "-m", "remit", "audit", "place", *arguments]
        running.append(subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_places_what_the_application_writes_and_stops_when_told(roles, started, number):  # noqa: F811
    async with roles.running("remit_app") as runtime:
        done = await runtime.submit(asks(), session())
        assert await runtime.wait_for_proof(done.call_id, 0.6) is None, "the control: nobody else places"
        process = started(roles.url("remit_sequencer"), "--keys", str(roles.world.folder / "remit.keys"))
        assert (await runtime.wait_for_proof(done.call_id, 30)).size > 0
        process.send_signal(number)
        out, said = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, "") and "giving events of PostgreSQL" in said and said.endswith("stopped\n"), said
        assert (await runtime.verify()).ok


def test_a_file_needs_no_such_process(desk, remit, monkeypatch):
    assert "needs no process that places" in remit("audit", "place", "remit.db").line
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert "name the database" in remit("audit", "place").line
    monkeypatch.setenv("DATABASE_URL", "remit.db")
    assert "remit.db is a file" in remit("audit", "place").line


def test_what_is_missing_is_said_in_one_line(roles, remit, tmp_path):  # noqa: F811
    keys, url = str(roles.world.folder / "remit.keys"), roles.url("remit_sequencer")
    assert "the key file of PostgreSQL" in remit("audit", "place", url, "--keys", str(tmp_path / "none")).line
    assert "can't be opened" in remit("audit", "place", "postgresql://nobody@127.0.0.1:1/remit", "--keys", keys).line
    assert "has no log of the tenant" in remit("audit", "place", url, "--keys", keys, "--tenant", "another").line
    with psycopg.connect(roles.owner, autocommit=True) as connection:
        connection.execute(f"REVOKE INSERT ON checkpoint FROM {roles.names['remit_sequencer']}")
    assert "lacks INSERT on checkpoint" in remit("audit", "place", url, "--keys", keys).line
