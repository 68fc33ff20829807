"""Time inside a transaction: it never runs backward, whatever the machine's clock does."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000
"""In microseconds, as every time here."""


def to_micros(moment: datetime) -> int:
    """Count the microseconds since 1970-01-01T00:00:00Z, as the database stores time."""
    return (moment - EPOCH) // MICROSECOND


def to_text(micros: int) -> str:
    """Write microseconds as RFC 3339 in UTC with six decimals, as events store time."""
    seconds, fraction = divmod(micros, 1_000_000)
    return f"{_second(seconds)}.{fraction:06d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """Write a whole second, which many events share."""
    return (EPOCH + timedelta(seconds=seconds)).isoformat()[:-6]


def to_datetime(micros: int) -> datetime:
    """Give microseconds as an aware datetime in UTC."""
    return EPOCH + timedelta(microseconds=micros)


@cache
def started() -> str | None:
    """Name this start of the machine (36 letters), since which all its processes share one steady clock; None where that can't be known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


class Clock:
    """Give microseconds: the wall clock at start plus the monotonic clock, and never less than the last recorded time.

    A backward jump of the wall clock therefore expires nothing early and reuses nothing; a forward jump while no process
    ran is taken at its word (see docs/limitations.md).
    """

    shared = True
    """Whether the steady clock is the machine's, which all its processes have in common: a test's own may not be."""

    def __init__(
        self, *, last_recorded: int = 0, wall: Callable[[], int] = time.time_ns, steady: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._steady = steady
        self._least = last_recorded + 1 - steady() // 1000
        self._offset = max(wall() // 1000 - steady() // 1000, self._least)
        self._last = 0

    @property
    def offset(self) -> int:
        """Give the microseconds by which this clock is ahead of the machine's steady one."""
        return self._offset

    def begin_at(self, offset: int) -> None:
        """Begin with the time of the other processes of this machine, although the wall clock is further ahead."""
        self._offset = max(offset, self._least)

    def at_least(self, offset: int) -> None:
        """Go as far ahead as another process of this machine: time runs forward alone, for all of them together."""
        self._offset = max(self._offset, offset)

    def follow(self, moment: int) -> None:
        """Take a moment of the database's clock for the present: several machines then have one time."""
        self._offset = moment - self._steady() // 1000

    def now(self) -> int:
        """Give the present in microseconds; two readings are never equal."""
        self._last = max(self._offset + self._steady() // 1000, self._last + 1)
        return self._last
