"""A clock that can be made to jump, and a sandbox that can be told from another process what to do next."""

from __future__ import annotations

import time

import httpx

from remit.runtime.clock import Clock

SECOND = 10**9


class Steered:
    """Hold the two clocks of a machine, in nanoseconds: by `wall` seconds the one is off from the start, `later` have passed on both."""

    def __init__(self, wall: float = 0, *, later: float = 0) -> None:
        self._wall, self._steady = int((wall + later) * SECOND), int(later * SECOND)

    def pass_(self, seconds: float) -> None:
        """Let time pass at once."""
        self._wall += int(seconds * SECOND)
        self._steady += int(seconds * SECOND)

    def set(self, seconds: float) -> None:
        """Set the wall clock forward, or back where `seconds` are less than 0: no time passes by that."""
        self._wall += int(seconds * SECOND)

    def wall(self) -> int:
        """Read the machine's clock."""
        return time.time_ns() + self._wall

    def steady(self) -> int:
        """Read the clock that is never set."""
        return time.monotonic_ns() + self._steady

    def clock(self, *, last_recorded: int = 0) -> Clock:
        """Make the clock of a runtime."""
        return Clock(last_recorded=last_recorded, wall=self.wall, steady=self.steady)


async def order(url: str, fault: str, *, seconds: float = 1) -> None:
    """Order a fault for the next refund."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as api:
        (await api.post("/_sandbox/faults", json={"fault": fault, "seconds": seconds})).raise_for_status()
