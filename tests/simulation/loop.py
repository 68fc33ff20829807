"""An event loop without time, threads or sockets: what runs next is thrown with dice, and time passes only when nothing is left to do.

Whatever runs belongs to a simulated process, found by its context. Within a process callbacks run in the order in which they were
scheduled, as in asyncio; between processes, and in `loose` loops everywhere, dice say which comes first. What belongs to a process that
has died never runs; what belongs to one that sleeps runs when it wakes.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class Owner:
    """A process to whom callbacks belong."""

    name: str
    dead: bool = False
    sleeps_until: float = 0.0

    def context(self) -> Context:
        context = copy_context()
        context.run(OWNER.set, self)
        return context


OWNER: ContextVar[Owner | None] = ContextVar("owner", default=None)


class Stuck(AssertionError):
    """Somebody waits, and nothing will ever happen."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """Run one callback after the other, in virtual time."""

    def __init__(self, dice: random.Random, *, loose: bool = False) -> None:
        super().__init__()
        self.dice, self.loose = dice, loose
        self.moment = 0.0
        self.steps = 0
        self._made: list[asyncio.Task[Any]] = []
        self.set_task_factory(self._make)
        self.set_exception_handler(lambda _loop, _context: None)  # what nobody awaits any more has died with its process

    def time(self) -> float:
        return self.moment

    def skip(self, seconds: float) -> None:
        """Let time pass at once, as if everybody had slept: what came due meanwhile comes late."""
        self.moment += seconds

    def bury(self) -> None:
        """End what will never run again, so that nothing of it is left to the garbage collector."""
        for task in self._made:
            if not task.done():
                task._log_destroy_pending = False
                for _ in range(20):  # some wait again in their `finally`
                    with contextlib.suppress(Exception):
                        task.get_coro().close()
                        break
        self._made.clear()
        self._ready.clear()
        self._scheduled.clear()
        self.close()

    def _make(self, loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=loop, **more)
        self._made.append(task)
        return task

    def run_in_executor(self, _executor: Any, do: Callable[..., Any], *values: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Do at once what others let a thread do."""
        done = self.create_future()
        try:
            done.set_result(do(*values))
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            done.set_exception(error)
        return done

    def _write_to_self(self) -> None:
        """Nobody waits for a socket here."""

    def _process_events(self, event_list: Any) -> None:
        raise AssertionError("there are no sockets here")

    def _run_once(self) -> None:
        self._let_due()
        if (handle := self._choose()) is not None:
            self.steps += 1
            handle._run()
            return
        self.moment = max(self.moment, self._next_moment())

    def _let_due(self) -> None:
        while self._scheduled and (self._scheduled[0]._cancelled or self._scheduled[0]._when <= self.moment):
            handle = heapq.heappop(self._scheduled)
            handle._scheduled = False
            if not handle._cancelled:
                self._ready.append(handle)

    def _choose(self) -> asyncio.Handle | None:
        gone, found, seen = [], [], set()
        for place, handle in enumerate(self._ready):
            owner = handle._context.get(OWNER)
            if handle._cancelled or (owner is not None and owner.dead):
                gone.append(place)
            elif (owner is None or owner.sleeps_until <= self.moment) and (self.loose or owner not in seen):
                seen.add(owner)
                found.append(handle)
        for place in reversed(gone):
            del self._ready[place]
        if not found:
            return None
        handle = found[0] if len(found) == 1 else self.dice.choice(found)
        self._ready.remove(handle)
        return handle

    def _next_moment(self) -> float:
        owners = (handle._context.get(OWNER) for handle in self._ready)
        moments = [owner.sleeps_until for owner in owners if owner is not None]
        if self._scheduled:
            moments.append(self._scheduled[0]._when)
        if not moments:
            raise Stuck("somebody waits, and nothing will ever happen")
        return min(moments)
