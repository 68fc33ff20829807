"""The server that the tests start: in a folder whose path a socket can have, one for each clone and user, and gone afterwards."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import postgres

HERE = Path(postgres.__file__)
USES = "from tests.postgres import server; import psycopg; psycopg.connect(server()).close(); print('up', flush=True); input()"


@pytest.mark.parametrize(
    "clone", ["/srv/kay/" + "deep/" * 20 + "remit", "/srv/kay/my clone", "/srv/kay/r\N{LATIN SMALL LETTER E WITH ACUTE}mit"]
)
def test_a_path_that_a_socket_can_not_have_is_not_taken(clone):
    cache = Path(clone) / ".cache"
    assert cache not in postgres.folder(cache).parents
    assert len(os.fsencode(postgres.folder(cache) / ".s.PGSQL.5432")) <= 107
    assert postgres.folder(cache) != postgres.folder(Path("/srv/finn/elsewhere and long") / ".cache")


def test_a_clone_at_a_usual_place_keeps_its_server_beside_the_tests(monkeypatch):
    cache = Path("/srv/kay/remit/.cache")
    assert postgres.folder(cache).parent == cache
    mine = postgres.folder(cache)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert postgres.folder(cache) != mine


@pytest.fixture
def clone(tmp_path):
    """Another clone, at a path that is long and has a space, of which only the server is needed."""
    clone = tmp_path / "my clones" / ("deep" * 25)
    (clone / "tests").mkdir(parents=True)
    shutil.copy(HERE, clone / "tests" / HERE.name)
    place = postgres.folder(clone / ".cache")
    yield clone, place
    for pid in serving(place):
        os.kill(pid, signal.SIGQUIT)
    shutil.rmtree(place.parent, ignore_errors=True)


def using(clone):
    environment = {name: value for name, value in os.environ.items() if name != "REMIT_TEST_POSTGRES"}
    options = {"cwd": clone, "text": True, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": environment}
    return subprocess.Popen([sys.executable, "-c", USES], **options)


def serving(place):
    return [one.pid for one in psutil.process_iter(["name", "cmdline"]) if str(place) in (one.info["cmdline"] or ())]


def ended(process):
    process.communicate("\n")
    assert process.returncode == 0


def test_it_serves_another_clone_and_stops_with_the_last_that_uses_it_though_one_was_killed(clone):
    clone, place = clone
    assert serving(place) == []
    with using(clone) as first, using(clone) as second, using(clone) as killed:
        assert [one.stdout.readline() for one in (first, second, killed)] == ["up\n"] * 3
        assert len(serving(place)) == 1
        ended(first)
        assert len(serving(place)) == 1
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        ended(second)
    assert serving(place) == []
