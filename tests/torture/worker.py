"""A process that is killed again and again: it forks a child for each life, so that every life starts at once.

    worker.py

Reads lines of JSON from standard input. One that says which `life` to live, and with what, is answered with the child's pid; the
child says `begun` when it starts to ask. `"wait": "stop"` is answered once the child has stopped or ended, and `"wait": "end"`
once it has ended: with its exit status, or with minus the signal that stopped or killed it.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import random
import ssl
import sys
from pathlib import Path
from typing import Any

import certifi

from tests.torture import lives
from tests.torture.paying import Desk

WAKEUPS, PHASES = "remit.runtime.wakeups", "remit.runtime.phases"


def main() -> None:
    sys.modules[WAKEUPS].POLL = 0.02  # type: ignore[attr-defined]  # what is due is looked for ten times as often, to be done sooner
    sys.modules[PHASES].SETTLE_PAUSES = (0.01,)  # type: ignore[attr-defined]  # and a disk that is full stays full
    ssl.create_default_context = functools.cache(ssl.create_default_context)  # read certificates once for all lives: they need none
    ssl.create_default_context(cafile=certifi.where())
    child = 0
    while told := json.loads(sys.stdin.readline() or "null"):
        if "wait" in told:
            # A child that has ended keeps its pid until it is waited for, so nobody else is killed in its place.
            _, status = os.waitpid(child, os.WUNTRACED if told["wait"] == "stop" else 0)
            print(-os.WSTOPSIG(status) if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status), flush=True)
        elif child := os.fork():
            print(child, flush=True)
        else:
            random.seed()
            _live(told)


def _live(told: dict[str, Any]) -> None:
    try:
        desk = Desk(Path(told.pop("folder")), told.pop("database"), told.pop("url"), provider=told.pop("provider"))
        asyncio.run(getattr(lives, told.pop("life"))(desk, **told))
    except BaseException as error:  # noqa: BLE001
        print(f"{type(error).__name__}: {error}", flush=True)  # in the place of `begun`, so that the parent does not wait for it
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
