"""What a runtime does beside the calls that come in: places events, takes over policies, wakes calls, measures."""

from __future__ import annotations

import asyncio

from . import telemetry
from .journeys import Journeys
from .measuring import measure
from .sequencer import Sequencer
from .wakeups import Wakeups
from .work import Parts


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
