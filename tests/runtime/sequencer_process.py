"""A process that places events and dies at one of its steps: it forks a child for each number that it reads, and says how that ended.

    sequencer_process.py FOLDER

A child that was not killed writes the names of the steps that it passed to FOLDER/steps.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from remit.runtime import last_signed, sequencer, signing
from remit.runtime.journal import Journal
from remit.runtime.postgres_writer import PostgresWriter
from remit.runtime.sqlite import SqliteWriter
from tests.runtime.bank import World


class Steps:
    """Count steps, and die at one."""

    def __init__(self, at: int) -> None:
        self._at, self.passed = at, list[str]()

    def reach(self, name: str) -> None:
        self.passed.append(name)
        if len(self.passed) == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str, words: str) -> None:
        """Let a function of a class or module be a step: before it, and after."""
        setattr(owner, name, self._of(getattr(owner, name), words))

    def _of(self, real: Callable[..., Any], words: str) -> Callable[..., Any]:
        async def waited(*values: Any, **named: Any) -> Any:
            self.reach(f"before {words}")
            done = await real(*values, **named)
            self.reach(f"after {words}")
            return done

        def did(*values: Any, **named: Any) -> Any:
            self.reach(f"before {words}")
            done = real(*values, **named)
            self.reach(f"after {words}")
            return done

        return waited if asyncio.iscoroutinefunction(real) else did


async def place(folder: Path, at: int) -> None:
    """Place what waits, and die at a step on the way."""
    steps = Steps(at)
    async with World(folder).running(people=False, wakeups=False, activate=False) as runtime:
        for task in runtime._background:
            task.cancel()
        for writer in (SqliteWriter, PostgresWriter):
            for name in ("begin", "run", "commit"):
                steps.around(writer, name, name)
        steps.around(sequencer.Sequencer, "_head", "reading the head")
        steps.around(sequencer.Sequencer, "_waiting", "reading events")
        steps.around(Journal, "commit", "the transaction")
        steps.around(signing, "sign", "signing")
        steps.around(last_signed.LastSigned, "remember", "remembering")
        steps.around(os, "fsync", "fsync")
        steps.around(Path, "replace", "replacing the file")
        await runtime._sequencer.catch_up()
        (folder / "steps").write_text(json.dumps(steps.passed))
        os._exit(0)


def main() -> None:
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            asyncio.run(place(Path(sys.argv[1]), int(line)))
            os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
