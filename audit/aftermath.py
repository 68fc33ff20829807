"""Follow until when one call cools off before its effect, and whether its effect was taken back afterwards: undone, or reversed.

Nothing here is shared with the code that lets calls wait and takes effects back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from .event import Event, Json, State

Faults = Iterator[tuple[str, str]]
"""Codes of findings, and what they mean here."""

KINDS = frozenset(["call.received", "call.decided", "call.delayed", "call.undone", "effect.reversed"])
"""The events that are about a cooling-off, or about taking back."""


class Aftermath:
    """Until when a call cools off, what it undoes, and what has taken its own effect back."""

    __slots__ = ("_begun", "_delay", "_until", "taken_back", "undoes", "undone_by")

    def __init__(self) -> None:
        self.taken_back: str | None = None  # the kind of event that says so
        self.undoes: str | None = None
        self.undone_by: str | None = None
        self._begun: str | None = None  # no later than when it had all that it needed, from which it cools off
        self._delay: int = 0  # the seconds that the last decision lets it cool off
        self._until: str | None = None

    def take(self, event: Event, state: State) -> Faults:
        """Take in an event, if it is one of these; `state` is the call's before it."""
        body = event.body
        match event.kind:
            case "call.received":
                self.undoes = _name(body.get("undoes"))
            case "call.decided":
                self._delay = body["decision"].get("delay", 0)
                now = body["inputs"].get("now")
                self._begun = now if self._begun is None else min(self._begun, now)
            case "call.delayed":
                yield from self._delayed(body)
            case "call.undone" | "effect.reversed":
                yield from self._took_back(event.kind, body, state)

    def ended(self) -> Aftermath:
        """Forget what only an intent is held against; calls with nothing else to tell share one, for a log may have millions."""
        self._begun = self._until = None
        return NOTHING if self.undoes is None and self.taken_back is None else self

    def open(self) -> Aftermath:
        """Give one of its own to a call of which there is something to tell."""
        return Aftermath() if self is NOTHING else self

    def early(self, event: Event) -> Faults:
        """Hold an intent against the time until which its call was to cool off; times are in the form that sorts."""
        if self._until is not None and event.at < self._until:
            yield "delay_passed", f"it was to wait until {self._until}, and is sent at {event.at}"
        elif self._delay and self._since_begun(event.at) < timedelta(seconds=self._delay):
            yield "delay_passed", f"its decision lets it cool off for {self._delay} s, and it is sent without that, at {event.at}"

    def _delayed(self, body: Mapping[str, Json]) -> Faults:
        """Take in a cooling-off: as long as the decision says, or longer."""
        self._until = body["until"]
        if body["seconds"] < self._delay or self._since_begun(body["until"]) < timedelta(seconds=body["seconds"]):
            yield (
                "delay_short",
                f"it is to wait {body['seconds']} s, until {body['until']}: less than its decision asks for, or than it says",
            )

    def _since_begun(self, at: str) -> timedelta:
        return datetime.fromisoformat(at) - datetime.fromisoformat(self._begun or at)

    def _took_back(self, kind: str, body: Mapping[str, Json], state: State) -> Faults:
        if state is not State.SUCCEEDED:
            yield "taken_back_unfounded", f"it is {kind}, though the call was {state}"
        if self.taken_back is not None:
            yield "taken_back_twice", f"it is {kind} after {self.taken_back}"
        self.taken_back = kind
        if kind == "call.undone":
            self.undone_by = _name(body["undo"])


NOTHING = Aftermath()
"""That of calls that have ended, undo nothing, and were not undone."""


def _name(value: Json) -> str | None:
    """Give the id of a call; raises TypeError for anything else."""
    if not isinstance(value, str | None):
        raise TypeError(f"{value!r} names no call")
    return value
