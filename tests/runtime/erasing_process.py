"""A process that erases a person and dies at one of its steps: it forks a child for each line that it reads, and says how that ended.

    erasing_process.py FOLDER

A line is the number of the step and the person. A child that was not killed writes the names of the steps that it passed to FOLDER/steps.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from remit.audit import KeyFile
from remit.runtime import subjects_rotation
from remit.runtime.journal import Journal
from remit.runtime.postgres_writer import PostgresWriter
from remit.runtime.sqlite import SqliteWriter
from remit.runtime.store import Store
from tests.runtime.bank import World
from tests.runtime.sequencer_process import Steps

WHY = {"reason": "asked by letter", "legal_basis": "GDPR 17(1)(b)", "by": "fay"}


async def erase(folder: Path, at: int, who: str) -> None:
    """Erase a person, in both halves, and die at a step on the way."""
    steps = Steps(at)
    async with World(folder).running(people=False, wakeups=False, activate=False) as runtime:
        for task in runtime._background:
            task.cancel()
        for writer in (SqliteWriter, PostgresWriter):
            for name in ("begin", "run", "commit"):
                steps.around(writer, name, name)
        steps.around(Journal, "commit", "the transaction")
        steps.around(Store, "scrub", "scrubbing")
        steps.around(KeyFile, "save", "saving keys")
        for name in ("prepare", "_stand", "_wrap_anew"):
            steps.around(subjects_rotation, name, name)
        steps.around(os, "fsync", "fsync")
        steps.around(Path, "replace", "replacing the file")
        await runtime.subjects.erase(who, **WHY)
        await runtime.subjects.complete()
        (folder / "steps").write_text(json.dumps(steps.passed))
        os._exit(0)


def main() -> None:
    for line in sys.stdin:
        at, who = line.split()
        if (child := os.fork()) == 0:
            asyncio.run(erase(Path(sys.argv[1]), int(at), who))
            os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
