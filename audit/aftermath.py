"""Follow what became of one call's effect where that was not said at once: found out, resolved, cooled off, undone, reversed.

Nothing here is shared with the code that settles calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .event import Event, Json, State

Faults = Iterator[tuple[str, str]]
"""Codes of findings, and what they mean here."""


class Aftermath:
    """What is known of an effect of unknown outcome, until when a call cools off, and whether its effect was taken back."""

    def __init__(self) -> None:
        self.taken_back: str | None = None  # the kind of event that says so
        self.undoes: str | None = None
        self.undone_by: str | None = None
        self._proof: bool | None = None  # whether a look-up or a person says that it was applied
        self._until: str | None = None

    def take(self, event: Event, state: State) -> Faults:
        """Take in an event, if it is one of these; `state` is the call's before it."""
        body = event.body
        match event.kind:
            case "call.received":
                self.undoes = body.get("undoes")
            case "call.became_unknown" | "call.intended":
                self._proof = None
            case "call.reconciled":
                self._proof = body.get("found", body.get("applied"))
            case "call.resolved":
                self._proof = body["applied"]
                if state is not State.UNKNOWN:
                    yield "resolution_unasked", f"a person said what became of its effect, though the call was {state}"
            case "call.dead_lettered":
                if state is not State.UNKNOWN:
                    yield "dead_letter_unfounded", f"it was given up on, though it was {state}"
            case "call.delayed":
                self._until = body["until"]
            case "call.undone" | "effect.reversed":
                yield from self._took_back(event.kind, body, state)

    def moved(self, before: State, after: State) -> Faults:
        """Hold the end of an unknown outcome against what was found out about it."""
        if before is not State.UNKNOWN or after is State.EXECUTING:
            return
        if self._proof is not (after is State.SUCCEEDED):
            yield "outcome_unfounded", f"nobody knew what became of it, and it is {after} without anything having shown that"

    def early(self, event: Event) -> Faults:
        """Hold an intent against the time until which its call was to cool off: both are in the form that sorts by time."""
        if self._until is not None and event.at < self._until:
            yield "delay_passed", f"it was to wait until {self._until}, and is sent at {event.at}"

    def _took_back(self, kind: str, body: Mapping[str, Json], state: State) -> Faults:
        if state is not State.SUCCEEDED:
            yield "taken_back_unfounded", f"it is {kind}, though the call was {state}"
        if self.taken_back is not None:
            yield "taken_back_twice", f"it is {kind} after {self.taken_back}"
        self.taken_back = kind
        if kind == "call.undone":
            self.undone_by = body["undo"]
