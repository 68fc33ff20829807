"""Others' software as processes of their own, in the environments that the tests' counterparts have, asked for a round at a time."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.environments import EnvironmentUnavailable, environment

HERE = Path(__file__).parent


class Unavailable(Exception):
    """The counterpart can't be had on this machine."""


class Counterpart:
    """Run a program of this folder in the environment of the package `name`; it answers each line of JSON with another."""

    def __init__(self, name: str, *arguments: str) -> None:
        try:
            python = environment(name) / "bin" / "python"
        except EnvironmentUnavailable as error:
            raise Unavailable(str(error)) from error
        command = [str(python), str(HERE / f"{name}_program.py"), *arguments]
        self._running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process = self._running.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._running.communicate()

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Send a question and wait for the answer; raises `Unavailable` when the program has stopped."""
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._running.stdin.write(json.dumps(question) + "\n")
        self._running.stdin.flush()
        answer = self._running.stdout.readline()
        if not answer:
            raise Unavailable(f"it stopped with exit code {self._running.wait()}")
        found: dict[str, Any] = json.loads(answer)
        return found


class CtrlRun(Counterpart):
    """Run CTRLRun 0.12.2 over a folder of its own; `files` sets it up from its policy file, which adds two JSON files to its store."""

    def __init__(self, folder: Path, *, files: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__("ctrlrun", str(folder), "files" if files else "store")

    def round(self, calls: int, callers: int) -> float:
        """Let it make so many calls from so many threads; gives the seconds that it took, by its own clock."""
        return float(self.ask({"calls": calls, "callers": callers})["seconds"])

    def recorded(self) -> dict[str, int]:
        """Count the rows that it has kept."""
        return dict(self.ask({"count": True}))


class Cedar(Counterpart):
    """Run cedarpy 4.12.2, the binding of Cedar for Python."""

    def __init__(self) -> None:
        super().__init__("cedarpy")

    def times(self, rules: int, count: int) -> list[float]:
        """Let it decide so often by so many policies; gives the microseconds of each."""
        return list(self.ask({"rules": rules, "count": count})["taken"])
