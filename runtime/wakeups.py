"""Wake calls whose time has come: a deadline, a pause before another try, a lease that ended, an effect to look up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from .call import Call
from .control import refresh
from .rejection import Rejections
from .work import Parts

POLL = 0.2
MOST = 100
NOT_BEFORE = 30_000_000
PAUSE = 1.0

log = logging.getLogger("remit.wakeups")


class Wakeups:
    """Look every 200 ms for calls that are due, and advance each of them."""

    def __init__(self, parts: Parts, advance: Callable[[str], Awaitable[Call]], rejections: Rejections) -> None:
        self._parts, self._advance, self._rejections = parts, advance, rejections
        self._not_before: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Take over new policies and wake what is due, again and again, until cancelled."""
        while True:
            try:
                await refresh(self._parts)
                await self._look()
                await self._rejections.flush_ended()
            except Exception:
                log.exception("due calls could not be looked for; it is tried again")
                await asyncio.sleep(PAUSE)
            await asyncio.sleep(POLL)

    async def _look(self) -> None:
        now = self._parts.clock.now()
        self._not_before = {call_id: when for call_id, when in self._not_before.items() if when > now}
        # Those that can't be moved here, for want of their action or for an error, must not hide the others.
        for call_id, version in await self._parts.store.due(now, most=MOST + len(self._not_before)):
            if call_id not in self._not_before:
                self._not_before[call_id] = now + NOT_BEFORE
                task = asyncio.create_task(self._wake(call_id, version))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _wake(self, call_id: str, version: int) -> None:
        try:
            call = await self._advance(call_id)
        except Exception:
            log.exception("call %s could not be advanced; it is tried again in %d s", call_id, NOT_BEFORE // 1_000_000)
        else:
            if call.version != version:
                self._not_before.pop(call_id, None)
