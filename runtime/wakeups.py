"""Wake calls whose time has come: a deadline, a pause before another try, a lease that ended, an effect to look up.

A call's own row says when. On SQLite that is looked for every 200 ms. On PostgreSQL a queue wakes calls, and only what it leaves lying
is found here: an attempt whose lease ended, and what was on a worker that died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..errors import DatabaseTooNew
from . import telemetry
from .call import Call
from .control import refresh, take_time
from .rejection import Rejections
from .work import Parts

POLL = 0.2
MOST = 100
NOT_BEFORE = 30_000_000
PAUSE = 1.0
LEFT_LYING = 2_000_000
"""Microseconds that a queue has before a call that is due counts as left lying."""

log = telemetry.logger("remit.wakeups")


class Wakeups:
    """Look every 200 ms for calls that are due, and advance each of them.

    With `wake` false the calls are left to other processes; policies, time and rejections are looked after all the same.
    """

    def __init__(self, parts: Parts, advance: Callable[[str], Awaitable[Call]], rejections: Rejections, *, wake: bool) -> None:
        self._parts, self._advance, self._rejections, self.wakes = parts, advance, rejections, wake
        self._not_before: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Take over new policies and wake what is due, again and again, until cancelled or the database is too new."""
        while True:
            try:
                await take_time(self._parts)
                await refresh(self._parts)
                if self.wakes:
                    await self._look()
                await self._rejections.flush_ended()
            except DatabaseTooNew as error:
                log.critical("nothing more is begun here: %s", error)
                return
            except Exception as error:  # noqa: BLE001 - it goes on
                log.error("due calls could not be looked for; it is tried again: %s", telemetry.places(error))  # noqa: TRY400 - not its words
                await asyncio.sleep(PAUSE)
            await asyncio.sleep(POLL)

    async def _look(self) -> None:
        now = self._parts.clock.now()
        self._not_before = {call_id: when for call_id, when in self._not_before.items() if when > now}
        # Those that can't be moved here, for want of their action or for an error, must not hide the others.
        due = now - (LEFT_LYING if self._parts.store.queue else 0)
        for call_id, version in await self._parts.store.due(due, most=MOST + len(self._not_before)):
            if call_id not in self._not_before:
                self._not_before[call_id] = now + NOT_BEFORE
                task = asyncio.create_task(self._wake(call_id, version))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _wake(self, call_id: str, version: int) -> None:
        try:
            call = await self._advance(call_id)
        except Exception as error:  # noqa: BLE001 - the others go on
            why = telemetry.places(error)
            log.error("call %s could not be advanced; it is tried again in %d s: %s", call_id, NOT_BEFORE // 1_000_000, why)  # noqa: TRY400 - not its words
        else:
            if call.version != version:
                self._not_before.pop(call_id, None)
