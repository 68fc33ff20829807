"""Start the worker, let it live, and kill it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.torture.paying import Desk
from tests.torture.sizes import size

LONGEST = size(100, 1_800)
"""Seconds in which a child must say something."""
Written = Callable[[], int]
"""Counts the writing requests that the provider has seen."""


class Worker:
    """The worker process: one child lives at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def begin(self, desk: Desk, life: str, **more: Any) -> int:
        """Let a child begin to live at a desk; gives its pid once it has begun to ask."""
        where = {"folder": str(desk.folder), "database": desk.database, "url": desk.url, "provider": desk.provider}
        pid = int(self._say(life=life, **where, **more))
        assert (said := self._hear()) == "begun", said
        return pid

    def ended(self) -> int:
        """Wait for the child's end, and give its exit status: minus the signal that killed it."""
        return int(self._say(wait="end"))

    def rests(self) -> int:
        """Wait until the child has stopped or ended; gives minus the signal that did it, or its exit status."""
        return int(self._say(wait="stop"))

    def live(self, desk: Desk, life: str, **more: Any) -> None:
        """Let a child live to its end, unharmed."""
        self.begin(desk, life, **more)
        assert (status := self.ended()) == 0, f"the child ended with {status}"

    def _say(self, **words: Any) -> str:
        assert self._process.stdin
        print(json.dumps(words), file=self._process.stdin, flush=True)
        return self._hear()

    def _hear(self) -> str:
        """Hear one line; a child that has died in silence would be waited for for ever, by a thread that no timeout of a test ends."""
        assert self._process.stdout
        given_up = threading.Timer(LONGEST, os.killpg, (self._process.pid, signal.SIGKILL))
        given_up.start()
        try:
            line = self._process.stdout.readline()
        finally:
            given_up.cancel()
        assert line, f"the worker said nothing for {LONGEST} seconds, or ended"
        return line.strip()


@contextlib.contextmanager
def worker(*under: str) -> Iterator[Worker]:
    """Run a worker while the block lasts; `under` is a program that runs it, with its arguments."""
    command = [*under, sys.executable, "-m", "tests.torture.worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdin
        yield Worker(process)
        process.stdin.close()


def kill_at_random(pid: int, *, written: Written | None = None) -> None:
    """Kill a child at random 2 to 60 ms from now, or from its next writing request, where there is one soon."""
    if written is not None:
        before = written()
        for _ in range(200):
            if written() > before:
                break
            time.sleep(0.005)
    time.sleep(random.uniform(0.002, 0.060))
    os.kill(pid, signal.SIGKILL)
