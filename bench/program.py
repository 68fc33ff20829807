"""Programs that measure in processes of their own, each asked by lines of JSON and answering with others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent


class Unavailable(Exception):
    """What is needed for a measurement can't be had on this machine."""


class Program:
    """A process that answers each line with one line, until its input ends; `process` is its id."""

    def __init__(self, command: Sequence[str]) -> None:
        self._running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.process = self._running.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._running.communicate()

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Send a question and wait for the answer; raises `Unavailable` when the program has stopped."""
        self.send(question)
        return self.receive()

    def send(self, question: Mapping[str, Any]) -> None:
        """Send a question."""
        assert self._running.stdin is not None
        self._running.stdin.write(json.dumps(question) + "\n")
        self._running.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Wait for the answer to the last question."""
        assert self._running.stdout is not None
        answer = self._running.stdout.readline()
        if not answer:
            raise Unavailable(f"it stopped with exit code {self._running.wait()}")
        found: dict[str, Any] = json.loads(answer)
        return found


class Worker(Program):
    """A runtime in a process of its own: worker.py, opened as `workload.open_runtime` opens it with these settings."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__([sys.executable, "-m", "bench.worker", json.dumps({"folder": str(folder), **settings})])

    def round(self, calls: int, callers: int) -> float:
        """Let it make so many calls; gives the seconds that it took, by its own clock."""
        return float(self.ask({"calls": calls, "callers": callers})["seconds"])


def together(programs: Sequence[Program], question: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Ask several at once, and wait for all of them."""
    for program in programs:
        program.send(question)
    return [program.receive() for program in programs]
