"""CTRLRun 0.12.2 as a process of its own, in the environment that the tests' counterparts have, asked for a round at a time."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.environments import EnvironmentUnavailable, environment

PROGRAM = Path(__file__).with_name("ctrlrun_program.py")


class Unavailable(Exception):
    """The counterpart can't be had on this machine."""


class CtrlRun:
    """Run CTRLRun over a folder of its own; `files` sets it up from its policy file, which adds two JSON files to its store."""

    def __init__(self, folder: Path, *, files: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            python = environment("ctrlrun") / "bin" / "python"
        except EnvironmentUnavailable as error:
            raise Unavailable(str(error)) from error
        command = [str(python), str(PROGRAM), str(folder), "files" if files else "store"]
        self._running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process = self._running.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._running.communicate()

    def round(self, calls: int, callers: int) -> float:
        """Let it make so many calls from so many threads; gives the seconds that it took, by its own clock."""
        return float(self._ask({"calls": calls, "callers": callers})["seconds"])

    def recorded(self) -> dict[str, int]:
        """Count the rows that it has kept."""
        return dict(self._ask({"count": True}))

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._running.stdin.write(json.dumps(question) + "\n")
        self._running.stdin.flush()
        answer = self._running.stdout.readline()
        if not answer:
            raise Unavailable(f"it stopped with exit code {self._running.wait()}")
        found: dict[str, Any] = json.loads(answer)
        return found
