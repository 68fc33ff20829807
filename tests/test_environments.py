"""The environments of third-party servers: built once, whole or not at all, and a server that does not start says why."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests import environments
from tests.environments import EnvironmentUnavailable, environment, free_port, server


@pytest.fixture
def builds(tmp_path, monkeypatch):
    """Build environments in a temporary folder, with a symbolic link to this Python as their only program."""
    made = []

    def build(folder, pins):
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(sys.executable)
        made.append(pins)

    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "envs")
    monkeypatch.setattr(environments, "PINS", {"tool": ["tool==1"]})
    monkeypatch.setattr(environments, "_build", build)
    return made


def test_many_at_once_build_it_once(builds):
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(environment, ["tool"] * 8))
    assert len(folders) == len(builds) == 1


def test_other_pins_build_it_anew(builds, monkeypatch):
    environment("tool")
    monkeypatch.setattr(environments, "PINS", {"tool": ["tool==2"]})
    environment("tool")
    assert builds == [["tool==1"], ["tool==2"]]


def test_what_stopped_halfway_is_not_used(builds, monkeypatch):
    whole = environments._build

    def stops(folder, pins):
        whole(folder, pins)
        (folder / "half").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(environments, "_build", stops)
    with pytest.raises(KeyboardInterrupt):
        environment("tool")
    monkeypatch.setattr(environments, "_build", whole)
    assert not (environment("tool") / "half").exists()


def test_a_package_that_can_not_be_had_fails_with_the_reason(builds, monkeypatch):
    monkeypatch.undo()
    failed = subprocess.CompletedProcess([], 1, "", "no matching distribution")
    monkeypatch.setattr(environments.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(EnvironmentUnavailable, match="is a package index reachable"):
        environments._build(environments.ENVIRONMENTS / "never", ["tool==1"])


def test_a_server_is_there_while_the_block_lasts(builds):
    port = free_port()
    with server("tool", ["python", "-m", "http.server", str(port), "--bind", "127.0.0.1"], port) as url:
        assert httpx.get(url).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_a_server_that_does_not_start_says_why(builds):
    with pytest.raises(EnvironmentUnavailable, match="out of order"), server("tool", ["python", "-c", "exit('out of order')"], free_port()):
        pass
