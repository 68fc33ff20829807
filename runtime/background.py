"""The tasks of a process that run beside its calls, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

AGAIN = 0.2


async def ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended.

    On Python 3.11 a cancellation that meets the answer somebody waited for is lost (`wait_for`, python/cpython#86296), also in libraries.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN)
