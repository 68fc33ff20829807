"""Tell how a runtime stands to whoever listens to metrics, again and again."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ..errors import StoreError
from . import telemetry
from .journeys import Journeys
from .views import health
from .work import Parts

EVERY = 5.0


async def measure(parts: Parts, journeys: Journeys) -> None:
    """Look, and tell, until cancelled."""
    while True:
        with suppress(StoreError):
            seen = await health(parts, running=len(journeys))
            told = {"running": seen.running, "queued": seen.queued, "switches": seen.switches, "dead": seen.dead}
            telemetry.health(unsequenced=seen.oldest_unsequenced.total_seconds(), **told)
        await asyncio.sleep(EVERY)
