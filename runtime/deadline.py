"""Run the developer's code under a deadline that it can't outlast, whatever it does when it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any


class Overdue(TimeoutError):
    """The time is over; `task` may run on all the same, as a thread does that nobody can stop."""

    def __init__(self, task: asyncio.Task[Any], deadline: timedelta) -> None:
        super().__init__(f"no answer within {deadline.total_seconds():g} s")
        self.task = task


async def within(deadline: timedelta, code: Coroutine[Any, Any, Any], *, cancel: bool = True) -> Any:
    """Give what `code` returns and raise what it raises, or `Overdue`; `cancel` tells it that nobody waits any more."""
    task = asyncio.create_task(code)
    try:
        await asyncio.wait({task}, timeout=deadline.total_seconds())
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not task.done():
        if cancel:
            task.cancel()
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        raise Overdue(task, deadline)
    if task.cancelled():
        raise RuntimeError("it cancelled itself")  # must not look as if our caller had gone away
    return task.result()
