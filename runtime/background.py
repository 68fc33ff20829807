"""What a runtime does beside the calls that come in: places events, takes over policies, wakes calls, measures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from . import telemetry
from .journeys import Journeys
from .measuring import measure
from .sequencer import Sequencer
from .wakeups import Wakeups
from .work import Parts

AGAIN = 3.0
"""Seconds after which a task that goes on is cancelled once more."""


def begun(parts: Parts, journeys: Journeys, sequencer: Sequencer, wakeups: Wakeups) -> list[asyncio.Task[None]]:
    """Begin all of it; the tasks go on until they are cancelled. Those that wake calls end when the database is too new."""
    watching = asyncio.create_task(wakeups.run())
    background = [watching, asyncio.create_task(sequencer.run())]
    if telemetry.measured():
        background.append(asyncio.create_task(measure(parts, journeys)))
    if parts.store.queue is not None and wakeups.wakes:
        waking = asyncio.create_task(parts.store.queue.run(journeys.advance, list(parts.catalog)))
        # Once only: whoever is cancelled a second time while it lets its jobs come to rest leaves them lying.
        watching.add_done_callback(lambda ended: None if ended.cancelled() else waking.cancel())
        background.append(waking)
    return background


async def ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended.

    On Python 3.11 a cancellation that meets the answer somebody waited for is lost (`wait_for`, python/cpython#86296), also in libraries.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN)
