"""Stop sending through a connector that answers nobody: a circuit breaker for each, in the memory of each process.

After several failures in a row within a window a connector is *open*: nothing new is sent through it until a while has passed.
Then it is *half open*: one call goes through, and what becomes of it closes the breaker, or opens it for longer. Look-ups and second
sendings under the same key go on meanwhile, one at a time: they are how it is found out. A process that restarts begins anew, and
each learns for itself: what holds across processes is the database's, and this is only a courtesy to a provider in trouble.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from ..actions import Action
from .backoff import pause, spread
from .clock import SECOND, Clock


class Standing(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


Listener = Callable[[str, Standing], None]
"""Told the name of a connector and how its breaker stands now, at every change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaking:
    """When a connector counts as out of reach: so many failures in a row within so many seconds.

    It is left alone for `rest` seconds then, for twice as long each time that it fails again, at most for `longest`; once it is tried
    again, and while it is looked up, one call at a time has `alone` seconds for that.
    """

    failures: int = 10
    window: float = 60.0
    rest: float = 15.0
    longest: float = 300.0
    alone: float = 5.0


@dataclass(slots=True)
class _Breaker:
    standing: Standing = Standing.CLOSED
    failed: list[int] = field(default_factory=list)  # times of the latest failures in a row
    opened: int = 0  # how often in a row
    until: int = 0
    next_look: int = 0


class Breakers:
    """The breakers of one process, by the name of their connector."""

    def __init__(self, settings: Breaking, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._breakers: dict[str, _Breaker] = {}
        self.listeners: list[Listener] = []

    def standing(self, connector: str) -> Standing:
        """Say how the breaker of a connector stands."""
        return self._breakers[connector].standing if connector in self._breakers else Standing.CLOSED

    def closed_until(self, connectors: Iterable[str]) -> int | None:
        """Say until when a new call can't go through all of these, in microseconds; None where it can. Counts nothing."""
        now = self._clock.now()
        return max((one.until for one in self._open(connectors) if one.until > now), default=None)

    def turn(self, connectors: Iterable[str]) -> int | None:
        """Say when a call that waits for one of these is to ask again, each a little apart from the others; None where it can go on."""
        until = self.closed_until(connectors)
        return None if until is None else until + spread(self._settings.alone)

    def admit(self, connectors: Iterable[str]) -> int | None:
        """Let a call through all of these, or say until when it can't go; where they are to be tried again, this one is the trial."""
        names = tuple(connectors)
        if (until := self.closed_until(names)) is not None:
            return until
        for name in names:
            if (one := self._breakers.get(name)) and one.standing is not Standing.CLOSED:
                one.until = self._clock.now() + self._alone
                self._becomes(name, one, Standing.HALF_OPEN)
        return None

    def pace(self, connectors: Iterable[str]) -> int | None:
        """Let a look-up or a second sending through at once, or say when its turn is: one at a time while a connector is out of reach."""
        now, held = self._clock.now(), list(self._open(connectors))
        if (until := max((one.next_look for one in held if one.next_look > now), default=None)) is not None:
            return until + spread(self._settings.rest)
        for one in held:
            one.next_look = now + self._alone
        return None

    def answered(self, connectors: Iterable[str]) -> None:
        """Count that a provider has answered, whatever it said."""
        for name in connectors:
            if one := self._breakers.pop(name, None):
                self._becomes(name, one, Standing.CLOSED)

    def failed(self, connectors: Iterable[str]) -> None:
        """Count that a provider could not be reached, or that nobody knows what became of what was sent to it."""
        now = self._clock.now()
        for name in connectors:
            one = self._breakers.setdefault(name, _Breaker())
            recent = [at for at in one.failed if at > now - int(self._settings.window * SECOND)]
            one.failed = [*recent, now][-self._settings.failures :]
            if one.standing is Standing.HALF_OPEN or (one.standing is Standing.CLOSED and len(one.failed) >= self._settings.failures):
                one.opened += 1
                one.until = now + pause(one.opened, first=self._settings.rest, most=self._settings.longest)
                self._becomes(name, one, Standing.OPEN)

    @property
    def _alone(self) -> int:
        return int(self._settings.alone * SECOND)

    def _open(self, connectors: Iterable[str]) -> Iterable[_Breaker]:
        return (one for name in connectors if (one := self._breakers.get(name)) and one.standing is not Standing.CLOSED)

    def _becomes(self, name: str, one: _Breaker, standing: Standing) -> None:
        if one.standing is standing:
            return
        one.standing = standing
        for listener in self.listeners:
            listener(name, standing)


def connectors_of(action: Action) -> tuple[str, ...]:
    """Name the connectors that an action goes through: the types that its handler asks for, or itself where it asks for none."""
    return tuple(sorted({kind.__name__ for kind in action.injected.values()})) or (action.name,)
