"""Check that the events of one call make sense together, whatever order their leaves are in.

A call's events chain: each counts one further and names the leaf hash of the one before. Along the chain this follows the state,
and holds every intent against the decision, the votes and the digest that came before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from .aftermath import Aftermath
from .agreement import Agreement
from .event import REACHED, READ_TRANSITIONS, TRANSITIONS, Event, Json, State
from .report import Finding

_OUTCOMES = frozenset(["call.succeeded", "call.failed", "call.became_unknown"])


@dataclass(frozen=True, slots=True)
class Told:
    """An event as its leaf tells it: where, under which hash (hex), and with which of its personal values proved."""

    leaf: int | None
    hash: str
    event: Event
    proved: Mapping[str, Json]


class Story:
    """One call, followed from event to event. What is wrong comes out as findings; nothing is raised."""

    def __init__(self, call: str) -> None:
        self.state = State.NEW
        self.aftermath = Aftermath()
        self._call = call
        self._sequence = 0
        self._last: tuple[int | None, str] | None = None  # leaf and hash of the last event told
        self._ahead: dict[int, Told] = {}  # events whose predecessors have not come yet
        self._effect: str | None = None
        self._digest: str | None = None
        self._decision: Mapping[str, Json] | None = None
        self._agreement = Agreement()
        self._reserved: dict[str, int] = {}  # by limit what its intents took
        self._attempt = 0
        self._provider_key: str | None = None

    def add(self, told: Told) -> Iterator[Finding]:
        """Take an event in; tell it, and what waited for it, once all before it are there."""
        sequence = told.event.sequence
        if sequence <= self._sequence or sequence in self._ahead:
            yield self._found("event_doubled", f"event {sequence} of this call is there more than once", told)
            return
        self._ahead[sequence] = told
        while (upcoming := self._ahead.pop(self._sequence + 1, None)) is not None:
            self._sequence += 1
            try:
                yield from self._tell(upcoming)
            except (KeyError, TypeError, ValueError, AttributeError) as error:  # a body that its writer's code can't have made
                yield self._found("event_malformed", f"its body is not one of a {upcoming.event.kind} event: {error!r}", upcoming)

    def finish(self) -> Iterator[Finding]:
        """Report what never came."""
        if self._ahead:
            following = min(self._ahead)
            message = f"event {self._sequence + 1} of this call is missing, though event {following} is there"
            yield self._found("event_missing", message, self._ahead[following])

    def _tell(self, told: Told) -> Iterator[Finding]:
        yield from (self._found(code, message, told) for code, message in self.aftermath.take(told.event, self.state))
        for check in (self._chained, self._moved, self._meant):
            for code, message in check(told):
                yield self._found(code, message, told)

    def _chained(self, told: Told) -> Iterator[tuple[str, str]]:
        before, self._last = self._last, (told.leaf, told.hash)
        named = told.event.previous
        if before is None and named is not None:
            yield "chain_broken", f"it is the first event of its call, but names {named} as the one before"
        elif before is not None and named != before[1]:
            yield (
                "chain_broken",
                f"it names {named} as the event before it, but leaf {before[0]} hashes to {before[1]}: one of the two was changed",
            )
        if before is None and told.event.kind not in ("call.received", "call.rejected"):
            yield "not_received", f"its call begins with {told.event.kind}"

    def _moved(self, told: Told) -> Iterator[tuple[str, str]]:
        event = told.event
        if event.kind == "call.received":
            self._effect = event.body["effect"]
        if event.change is not None:
            before, after = (State(each) for each in event.change)
            if before is not self.state:
                yield "state_differs", f"it says that the call was {before}, which was {self.state}"
            if after not in (READ_TRANSITIONS if self._effect == "read" else TRANSITIONS)[before]:
                yield "transition_illegal", f"a call that is {before} can't become {after}"
            if after is State.EXECUTING and event.kind != "call.intended":
                yield "intent_missing", "the call is executing without an intent"
            if (before, after) == (State.UNKNOWN, State.EXECUTING) and self._effect != "keyed":
                yield "effect_repeated", "it is sent again while nobody knows what became of it, to a provider that honours no key"
            yield from self.aftermath.moved(before, after)
            if after is State.READY and before in (State.EXECUTING, State.UNKNOWN):
                self._decision = None  # it has rested: it must be decided anew
            self.state = after
        if REACHED.get(event.kind, self.state) is not self.state:
            yield "state_differs", f"it is {event.kind}, but leaves the call {self.state}"

    def _meant(self, told: Told) -> Iterator[tuple[str, str]]:
        event, body = told.event, told.event.body
        match event.kind:
            case "call.received":
                self._digest = body["digest"]
                self._agreement.belongs_to((event.principal or {}).get("id"))
                self._agreement.belongs_to(told.proved.get("/subject"))
            case "call.decided":
                self._decision = body["decision"]
            case "call.delayed":
                self._decision = None  # it is decided anew when it has cooled off
            case "call.amended":
                return self._amended(body)
            case "call.intended":
                return chain(self.aftermath.early(event), self._intended(body))
            case kind if kind in _OUTCOMES:
                return self._settled(event)
            case kind:
                return self._agreement.take(kind, body)
        return iter(())

    def _amended(self, body: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        if body["digest_before"] != self._digest:
            yield "digest_differs", "what was amended is not what was received: the digests differ"
        self._digest, self._decision = body["digest"], None  # it must be decided anew
        self._agreement.amended(body)

    def _intended(self, body: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        self._attempt += 1
        if body["attempt"] != self._attempt:
            yield "attempt_differs", f"it is intent {self._attempt} of the call, but says attempt {body['attempt']}"
        if body["digest"] != self._digest:
            yield "digest_differs", "what is to run is not what was received: the digests differ"
        if self._provider_key not in (None, body["provider_key"]):
            yield "provider_key_differs", "a further attempt goes out under another provider key: the effect could happen twice"
        self._provider_key = body["provider_key"]
        self._reserved |= {each["limit"]: each["takes"] for each in body.get("reservations", ())}
        yield from self._agreed(body["digest"])

    def _settled(self, event: Event) -> Iterator[tuple[str, str]]:
        if self._effect == "read":
            if event.kind == "call.succeeded" and not self._attempt:
                yield from self._agreed(self._digest)
        elif not self._attempt:
            yield "intent_missing", f"it is {event.kind} without an intent before"
        elif event.body.get("attempt", self._attempt) != self._attempt:
            yield "attempt_differs", f"it is of attempt {event.body['attempt']}, but the last intent was {self._attempt}"

    def _agreed(self, digest: str | None) -> Iterator[tuple[str, str]]:
        """Hold what runs against the last decision, the votes and the customer's answer."""
        if self._decision is None:
            yield "not_decided", "it runs without a decision"
            return
        if self._decision["allowed"] is not True:
            yield "not_allowed", "it runs though the last decision denied it"
        yield from self._counted(self._decision)
        yield from self._agreement.missing(self._decision, digest)

    def _counted(self, decision: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        for limit in decision.get("limits", ()):
            if self._reserved.get(limit["limit"], -1) < limit["takes"]:
                yield "limit_unreserved", f"it runs without reserving the {limit['takes']} that it takes of {limit['limit']}"

    def _found(self, code: str, message: str, told: Told) -> Finding:
        return Finding(code, message, told.leaf, self._call)
