"""What the tests of both calendars share: a Monday, opening hours, and how many of a race won."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, date, datetime
from typing import Any

from remit.actions.library.appointments import Appointment, Calendar
from remit.errors import Refused

NOW = datetime(2030, 1, 4, 12, tzinfo=UTC)  # a Friday
MONDAY = date(2030, 1, 7)
NINE, HALF_PAST, TEN = "20300107T0900Z", "20300107T0930Z", "20300107T1000Z"


def now() -> datetime:
    return NOW


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2030, 1, 7, hour, minute, tzinfo=UTC)


async def race(*attempts: Awaitable[Any]) -> tuple[list[Appointment], list[Refused]]:
    """Run the attempts at once; give who won and who was refused. Anything else is raised."""
    results = await asyncio.gather(*attempts, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, Refused):
            raise result
    return [r for r in results if not isinstance(r, Refused)], [r for r in results if isinstance(r, Refused)]


async def free(calendar: Calendar) -> set[str]:
    return {slot.id for slot in await calendar.free(MONDAY, 1)}
