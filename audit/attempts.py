"""Follow the attempts of one call: each must be one that may be made, and each outcome one that something has shown.

An attempt whose outcome nobody knows may have had its effect. Until a look-up, an answer under the same key or a person says that it
had none, nothing is sent but the same again, under the same key, to a provider that honours it.

Nothing here is shared with the code that makes attempts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .event import Event, Json, State

Faults = Iterator[tuple[str, str]]
"""Codes of findings, and what they mean here."""

KINDS = frozenset(
    ["call.amended", "call.intended", "call.became_unknown", "call.cancel_asked", "call.reconciled", "call.resolved", "call.dead_lettered"]
)
"""The events that are about an attempt."""

_ENDS = {True: "call.succeeded", False: "call.failed"}
"""What follows a person's word on whether it was applied, in the same transaction."""
_WHILE_UNKNOWN = {
    "call.resolved": ("resolution_unasked", "a person said what became of its effect"),
    "call.dead_lettered": ("dead_letter_unfounded", "it was given up on"),
}


class Attempts:
    """The attempts of a call so far, what is known of the last one, and under which effect key and ordinal (`place`) they are made."""

    __slots__ = (
        "_dead",
        "_digest",
        "_forbidden",
        "_kind",
        "_proof",
        "_provider_key",
        "_unsure",
        "count",
        "place",
        "resolved",
        "since",
        "until",
    )

    def __init__(self) -> None:
        self.count = 0
        self.place: str | None = None
        self.since: str | None = None  # when it was first sent under this effect key and ordinal
        self.until: str | None = None  # when it let go of them
        self._digest: Json = None  # of the last attempt, as the next two
        self._kind: Json = None
        self._provider_key: Json = None
        self._proof: Json = None  # whether something says that the last one was applied
        self.resolved: bool | None = None  # the same, said by a person by the event before
        self._unsure = False
        self._forbidden = False
        self._dead = 0  # the attempt after which it was given up on

    def take(self, event: Event, state: State) -> Faults:
        """Take in an event, if it is about an attempt; `state` is the call's before it."""
        body = event.body
        if self.resolved is not None:
            yield from self._resolution_ends(event.kind)
        match event.kind:
            case "call.amended":
                self.place = self.since = None  # it lets go of what it held
            case "call.intended":
                yield from self._intended(event, state)
            case "call.became_unknown":
                self._unsure, self._proof = True, None
            case "call.cancel_asked":
                self._forbidden = True
            case "call.reconciled":
                self._proof = body.get("found") if state is State.UNKNOWN else body.get("applied")
            case "call.resolved":
                self._proof = self.resolved = bool(body["applied"])
            case "call.dead_lettered":
                yield from self._given_up(body)
            case _:
                return
        if event.kind in _WHILE_UNKNOWN and state is not State.UNKNOWN:
            code, what = _WHILE_UNKNOWN[event.kind]
            yield code, f"{what}, though the call was {state}"

    def moved(self, before: State, after: State, event: Event) -> Faults:
        """Hold a move of the call against what is known of its last attempt."""
        if before is State.UNKNOWN and after is not State.EXECUTING:
            self._unsure = False
            if self._proof is not (after is State.SUCCEEDED):
                yield "outcome_unfounded", f"nobody knew what became of it, and it is {after} without anything having shown that"
        elif before is State.EXECUTING and after is State.READY:
            if self._proof is not False or event.kind != "call.reconciled":
                yield "retry_unfounded", "it is to be sent again, and nothing says that it was not applied"
            elif self._unsure:
                yield "retry_unfounded", "it is to be sent again, though an earlier attempt may have been applied"

    def finish(self) -> Faults:
        """Report a person's word on which nothing followed."""
        if self.resolved is not None:
            yield from self._resolution_ends("nothing")

    def end(self, at: str | None) -> None:
        """Forget what only a further attempt is held against; at that time the call let go of its effect key, unless it holds it for good."""
        self._digest = self._provider_key = self._kind = None
        if self.until is None:
            self.until = at

    def outcome(self, event: Event) -> Faults:
        """Hold an outcome against the attempts: there was one, and it is of the last."""
        if not self.count:
            yield "intent_missing", f"it is {event.kind} without an intent before"
        else:
            yield from self._counted(event.body.get("attempt", self.count), "it is of attempt")

    def _intended(self, event: Event, state: State) -> Faults:
        body = event.body
        self.count += 1
        if body["attempt"] != self.count:
            yield "attempt_differs", f"it is intent {self.count} of the call, but says attempt {body['attempt']}"
        if state is State.UNKNOWN and self._kind != "keyed":
            yield "effect_repeated", "it is sent again while nobody knows what became of it, to a provider that honours no key"
        if self._forbidden:
            yield "attempt_forbidden", "it is sent after somebody has asked to cancel it, when no further attempt may be made"
        place = _place(body)
        same = self._unsure or self._digest == body["digest"]  # what was amended, and not applied before, is another effect
        if same and self._provider_key not in (None, body["provider_key"]):
            yield "provider_key_differs", "a further attempt goes out under another provider key: the effect could happen twice"
        if same and self.place not in (None, place):
            yield "effect_key_differs", f"a further attempt is under the effect key and ordinal {place}, the one before under {self.place}"
        if place != self.place:
            self.place, self.since = place, event.at
        self._digest, self._provider_key, self._kind, self._proof = body["digest"], body["provider_key"], body["kind"], None

    def _given_up(self, body: Mapping[str, Json]) -> Faults:
        yield from self._counted(body["attempts"], "it was given up on after")
        if self._dead == self.count:
            yield "dead_letter_doubled", "it was given up on before, and not sent since"
        self._dead = self.count

    def _resolution_ends(self, kind: str) -> Faults:
        said, self.resolved = _ENDS[bool(self.resolved)], None
        if kind != said:
            yield "resolution_unfinished", f"a person said what became of it, so {said} should follow at once, not {kind}"

    def _counted(self, said: Json, words: str) -> Faults:
        if said != self.count:
            yield "attempt_differs", f"{words} {said}, but the last intent was {self.count}"


def _place(body: Json) -> str | None:
    """Name an effect key and ordinal; half of a hash is as good, and a log may have millions."""
    key, ordinal = body.get("effect_key"), body.get("ordinal")
    return f"{key[:32]}/{ordinal}" if type(key) is str and type(ordinal) is int else None
