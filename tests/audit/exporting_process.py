"""A process that exports a log and dies at one of its steps: it forks a child for each number that it reads, and says how that ended.

    exporting_process.py FORM PLACE

Steps are before and after each file or folder that is made, flushed, renamed, linked or removed. FORM is folder, tiles, csv, …; with
"-broken" at its end it writes without the care that is tested.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from remit.audit import export, export_tiles, tile_export
from remit.runtime import exporting
from tests.audit.building import allowed, log_of
from tests.audit.tiny import TinyLog

LEAVES = 600
"""In tiles; the other forms hold EVENTS."""
EVENTS = 20


def dies_at(at: int) -> None:
    """Let this process die at a step: each is a call of the system that changes something on the disk."""
    passed = 0

    def reach() -> None:
        nonlocal passed
        passed += 1
        if passed == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def step(*values: Any, **named: Any) -> Any:
            reach()
            done = real(*values, **named)
            reach()
            return done

        setattr(owner, name, step)

    for owner, name in (
        (os, "fsync"),
        (os, "link"),
        (Path, "rename"),
        (Path, "replace"),
        (Path, "mkdir"),
        (Path, "unlink"),
        (Path, "chmod"),
    ):
        around(owner, name)
    around(shutil, "rmtree")


def exported(form: str, place: Path) -> None:
    """Export a log in a form."""
    match form:
        case "folder":
            export(story(), place)
        case "folder-broken":
            place.mkdir()
            sys.modules[export.__module__]._write(story(), place)
        case "tiles":
            export_tiles(TinyLog(LEAVES), place)
        case "tiles-broken":
            log, real = TinyLog(LEAVES), tile_export._describe
            tile_export._describe = lambda *given, **more: (
                real(*given, **more),
                tile_export._place(place / "checkpoint", next(log.checkpoints()).encode()),
            )
            export_tiles(log, place)
        case "jsonl" | "csv" | "ocsf":
            exporting.export_events(story(), place, form, exporting.Filter())  # type: ignore[arg-type]
        case _:
            raise AssertionError(form)


def story() -> Any:
    """Give a log whose leaves are events."""
    return log_of(*(allowed(f"c{number}") for number in range(5)))


def main() -> None:
    form, place = sys.argv[1], Path(sys.argv[2])
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            dies_at(int(line))
            exported(form, place)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
