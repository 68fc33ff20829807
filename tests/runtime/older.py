"""The code of before, out of the history of this repository, at work in a process of its own."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests" / "runtime" / "older_process.py"
NEXT = {"0001": "0002_requirements_limits_switches.py", "0002": "0004_postgres.py"}
"""For each revision the migration that came after it: the code of then is that of the commit before."""


def _git(*words: str) -> bytes:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.fail(f"the code of before is in the history, which is not here (a shallow clone?): {done.stderr.decode()}")
    return done.stdout


@functools.cache
def code_of(revision: str) -> Path:
    """Give a folder with the code whose newest revision this was."""
    added = _git("log", "--diff-filter=A", "--format=%H", "--", f"runtime/migrations/versions/{NEXT[revision]}").split()
    if not added:
        pytest.fail(f"the history does not say when {NEXT[revision]} was added")
    commit = _git("rev-parse", f"{added[-1].decode()}^").decode().strip()
    kept = ROOT / ".cache" / "older" / commit
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=kept.parent))
        with tarfile.open(fileobj=BytesIO(_git("archive", commit))) as archive:
            archive.extractall(draft, filter="tar")
        with contextlib.suppress(OSError):  # another process was quicker
            draft.rename(kept)
    return kept


@dataclass
class Older:
    """A process of then, and what it has said so far, line by line."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.said += (line.rstrip("\n") for line in self.process.stdout)

    def acknowledged(self, state: str) -> dict[str, str]:
        """Give the payments that it was told are in this state, each with its call."""
        lines = [line.split() for line in list(self.said)]
        return {payment: call for told, call, payment in (line[:3] for line in lines) if told == state}

    def refusals(self) -> list[str]:
        return [line for line in list(self.said) if line.startswith("refused")]


def begun(revision: str, folder: Path, *, first: bool) -> subprocess.Popen[str]:
    """Begin a process with the code of then."""
    environment = {**os.environ, "PYTHONPATH": str(code_of(revision)), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", str(PROGRAM), *(["first"] if first else [])]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=environment, **options)


@contextlib.contextmanager
def older(revision: str, folder: Path, *, first: bool = True) -> Iterator[Older]:
    """Let the code of then work in a folder until the block ends, and end it as it would be ended."""
    with begun(revision, folder, first=first) as process:
        started = Older(process)
        listening = threading.Thread(target=started.listen)
        listening.start()
        try:
            yield started
        finally:
            process.stdin.close()
            process.wait(30)
            listening.join()
            assert process.returncode == 0, process.stderr.read()
