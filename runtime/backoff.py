"""How long to wait before the next try: longer each time, and never the same for two calls.

The waits are stamina's; what waits is a row with `wake_at`, because a process may be gone by then. `stamina.set_testing(True)` and
`stamina.set_active(False)` take the waits away here as they do everywhere.
"""

from __future__ import annotations

import random

import stamina

from ..errors import Retryable
from .clock import SECOND

FIRST, LONGEST = 0.25, 600.0
"""Seconds before the second attempt, at least, and before any."""
FIRST_LOOK, LONGEST_LOOK = 15.0, 3_600.0
_DOUBLINGS = 24
"""After so many the longest wait is reached, wherever one begins."""
APART = 0.5
"""Seconds over which those are spread that were told the same time by their provider."""


def pause(tries: int, *, first: float = FIRST, most: float = LONGEST) -> int:
    """Give the microseconds to wait after so many tries (from 1): doubled each time, up to as much again by chance, at most `most` seconds."""
    initial = first * 2 ** min(tries - 1, _DOUBLINGS)
    least = next(iter(stamina.retry_context(on=Retryable, attempts=None, timeout=None, wait_initial=initial, wait_max=most))).next_wait
    return int(min(most, least * random.uniform(1, 2)) * SECOND)  # noqa: S311 - spreads retries, guards nothing


def asked_for(seconds: float) -> int:
    """Give the microseconds to wait where the provider has said how long: never less, and a little more by chance."""
    return int(max(0.0, seconds) * SECOND) + spread(APART)


def spread(seconds: float) -> int:
    """Give up to so many seconds, in microseconds, by chance: for those that would all come at once."""
    return int(random.uniform(0, seconds) * SECOND)  # noqa: S311 - as above
