"""Decide many recorded calls again, in two processes that have the policies only."""

from __future__ import annotations

import os
import pickle
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from queue import SimpleQueue
from subprocess import PIPE, Popen

import orjson

from ..policies import ActionShape, Policies
from ..policies.again import Again, Asked, decide_again

CHUNK = 2_000
WORKERS = 2
IN_FLIGHT = 3 * WORKERS
FEW = CHUNK
"""Fewer are decided here: to start workers takes longer."""
_SERVE = f"from {decide_again.__module__} import serve; serve()"


def all_again(policies: Policies, known: Mapping[str, ActionShape], asked: Iterator[Asked], *, about: int) -> Iterator[Again]:
    """Decide all of them, in their order; `about` so many: many of them in two processes."""
    if about < FEW:
        yield from (decide_again(policies, *one) for one in asked)
        return
    with ExitStack() as stack:
        free: SimpleQueue[_Worker] = SimpleQueue()
        for _ in range(WORKERS):
            free.put(stack.enter_context(closing(_Worker(policies.sources, known))))
        threads = stack.enter_context(ThreadPoolExecutor(WORKERS))
        under_way: deque[Future[list[Again]]] = deque()
        while chunk := [one for _, one in zip(range(CHUNK), asked, strict=False)]:
            under_way.append(threads.submit(_asked, free, chunk))
            if len(under_way) >= IN_FLIGHT:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()


class _Worker:
    """A process that decides; a plain one, because those of `multiprocessing` would run the caller's own script again."""

    def __init__(self, sources: Mapping[str, str], known: Mapping[str, ActionShape]) -> None:
        command, path = [sys.executable, "-c", _SERVE], os.pathsep.join(sys.path)
        self._process = Popen(command, stdin=PIPE, stdout=PIPE, env={**os.environ, "PYTHONPATH": path})  # noqa: S603 - this very package
        self._tell((dict(sources), dict(known)))

    def ask(self, chunk: list[Asked]) -> list[Again]:
        """Let it decide, and wait for that."""
        self._tell(orjson.dumps(chunk))
        assert self._process.stdout is not None
        answers: list[Again] = pickle.load(self._process.stdout)  # noqa: S301 - what our own process says
        return answers

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()

    def _tell(self, what: object) -> None:
        assert self._process.stdin is not None
        pickle.dump(what, self._process.stdin)
        self._process.stdin.flush()


def _asked(free: SimpleQueue[_Worker], chunk: list[Asked]) -> list[Again]:
    worker = free.get()
    try:
        return worker.ask(chunk)
    finally:
        free.put(worker)
