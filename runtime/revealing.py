"""Whoever opens calls to work on them: may they, and it is recorded before they see anything, once for each time that they open it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .access import noted, opener
from .call import Call
from .people import People
from .work import Parts

AGAIN = 3_600 * 1_000_000
"""Microseconds for which the same sight is one opening: a page that refreshes itself is recorded once an hour, and when it changes."""
MOST = 10_000
"""Openings that a process remembers; beyond them one is recorded a second time, never left out."""


class Revealing:
    """Record to whom this process has shown calls; what is remembered is only what need not be recorded again."""

    def __init__(self, parts: Parts, people: People) -> None:
        self._parts, self._people = parts, people
        self._lately: dict[tuple[str, ...], int] = {}

    async def call(self, call: Call, who: str, purpose: str = "") -> None:
        """Record that a call's personal values are opened to `who`; raises `NotAReader` and `PurposeMissing`."""
        purpose = await opener(self._parts, self._people, who, call, purpose)
        seen = ("call", who, purpose, *_sight(call))  # for another purpose it is another opening
        if not self._is_known(seen):
            await noted(self._parts, "personal.revealed", who, call=call.id, found=1, purpose=purpose)
            self._remember([seen])

    async def inbox(self, calls: Iterable[Call], who: str) -> None:
        """Record which calls an inbox shows to `who`, in one row: those that it has not shown to them lately, as they are now."""
        new = [call for call in calls if not self._is_known(("inbox", who, *_sight(call)))]
        if new:
            sought = {"inbox": [call.id for call in new]}
            await noted(self._parts, "personal.revealed", who, sought=sought, found=len(new), purpose="approval")
            self._remember([("inbox", who, *_sight(call)) for call in new])

    async def list(self, who: str, sought: Mapping[str, Any], found: int) -> None:
        """Record that a list without personal values was read."""
        seen = ("list", who, repr(sorted(sought.items())))
        if not self._is_known(seen):
            await noted(self._parts, "audit.read", who, sought=sought, found=found)
            self._remember([seen])

    def _is_known(self, seen: tuple[str, ...]) -> bool:
        at = self._lately.get(seen)
        return at is not None and self._parts.clock.now() - at < AGAIN

    def _remember(self, what: Iterable[tuple[str, ...]]) -> None:
        now = self._parts.clock.now()
        for seen in what:
            self._lately.pop(seen, None)  # the latest stand last
            self._lately[seen] = now
        while len(self._lately) > MOST:
            del self._lately[next(iter(self._lately))]


def _sight(call: Call) -> tuple[str, str]:
    return call.id, str(call.version)
