"""Check that the events of one call make sense together, whatever order their leaves are in.

A call's events chain: each counts one further and names the leaf hash of the one before. Along the chain this follows the state,
and holds every intent against the decision, the votes and the digest that came before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .aftermath import KINDS as _AFTERMATH
from .aftermath import Aftermath
from .agreement import Agreement
from .attempts import KINDS as _ATTEMPTS
from .attempts import Attempts
from .event import FINAL, MALFORMED, REACHED, READ_TRANSITIONS, TAKEN_BACK, TRANSITIONS, Event, Json, State
from .report import Finding

_OUTCOMES = frozenset(["call.succeeded", "call.failed", "call.became_unknown"])
_RESTS = frozenset(["call.held", "call.delayed", "call.stepped_up", "call.confirmed", "approval.voted", "approval.escalated"])
"""After these a call has rested, or what it waited for has come: it is decided anew before it runs."""
_ASKS = frozenset(["call.held", "call.delayed"])
_BY_POLICY = frozenset(["denied", "prerequisite_missing"])
"""The codes of a denial that the last decision gives."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event as its leaf tells it: where, under which hash, and with which of its personal values proved."""

    leaf: int | None
    hash: bytes
    event: Event
    proved: Mapping[str, Json]


class Story:
    """One call, followed from event to event. What is wrong comes out as findings; nothing is raised."""

    __slots__ = (
        *(
            "_agreement",
            "_ahead",
            "_call",
            "_decision",
            "_decided",
            "_digest",
            "_effect",
            "_hash",
            "_leaf",
            "_of",
            "_reserved",
            "_sequence",
        ),
        *("aftermath", "attempts", "state"),
    )

    def __init__(self, call: str) -> None:
        self.state = State.NEW
        self.aftermath = Aftermath()
        self.attempts = Attempts()
        self._call = call
        self._sequence = 0
        self._leaf: int | None = None  # of the last event told, as the next
        self._hash: bytes | None = None
        self._ahead: dict[int, Told] | None = None  # events whose predecessors have not come yet: few calls have any
        self._of = 0  # whose call it is, and of what
        self._effect: str | None = None
        self._digest: str | None = None
        self._decision: Mapping[str, Json] | None = None
        self._decided = False  # since it last rested, or was answered, or amended
        self._agreement: Agreement | None = Agreement()  # none once it has ended: then nothing is asked any more
        self._reserved: dict[str, int] | None = None  # by limit what its intents took

    def add(self, told: Told) -> Iterator[Finding]:
        """Take an event in; tell it, and what waited for it, once all before it are there."""
        sequence = told.event.sequence
        if sequence <= self._sequence or (self._ahead and sequence in self._ahead):
            yield self._found("event_doubled", f"event {sequence} of this call is there more than once", told)
            return
        upcoming: Told | None = told
        if sequence > self._sequence + 1:
            self._ahead = (self._ahead or {}) | {sequence: told}
            return
        while upcoming is not None:
            self._sequence += 1
            try:
                yield from self._tell(upcoming)
            except MALFORMED as error:
                yield self._found("event_malformed", f"its body is not one of a {upcoming.event.kind} event: {error!r}", upcoming)
            upcoming = self._ahead.pop(self._sequence + 1, None) if self._ahead else None

    def finish(self) -> Iterator[Finding]:
        """Report what never came."""
        for code, message in self.attempts.finish():
            yield Finding(code, message, self._leaf, self._call)
        if self._ahead:
            following = min(self._ahead)
            message = f"event {self._sequence + 1} of this call is missing, though event {following} is there"
            yield self._found("event_missing", message, self._ahead[following])

    @property
    def begun_before(self) -> bool:
        """Whether its first event is not there: in a log whose front was pruned it may have begun before."""
        return self._sequence == 0

    def finish_begun(self) -> Iterator[Finding]:
        """Report what is missing behind the first event that is there, and what does not follow on the one before it."""
        before: Told | None = None
        for sequence, told in sorted((self._ahead or {}).items()):
            if before is not None and sequence != before.event.sequence + 1:
                message = f"event {before.event.sequence + 1} of this call is missing, though event {sequence} is there"
                yield self._found("event_missing", message, told)
            elif before is not None and told.event.previous != before.hash.hex():
                yield self._found(
                    "chain_broken", f"it names another event before it than leaf {before.leaf}: one of the two was changed", told
                )
            before = told

    def _tell(self, told: Told) -> Iterator[Finding]:
        for check in (self._chained, self._followed, self._moved, self._meant):
            for code, message in check(told):
                yield self._found(code, message, told)

    def _chained(self, told: Told) -> Iterator[tuple[str, str]]:
        leaf, before, self._leaf, self._hash = self._leaf, self._hash, told.leaf, told.hash
        event, named = told.event, told.event.previous
        of = hash((event.tenant, event.subject, *(event.principal or {}).items(), *(event.action or {}).items()))
        if before is None:
            self._of = of
            if named is not None:
                yield "chain_broken", f"it is the first event of its call, but names {named} as the one before"
            if event.kind not in ("call.received", "call.rejected"):
                yield "not_received", f"its call begins with {event.kind}"
            return
        if named != before.hex():
            yield (
                "chain_broken",
                f"it names {named} as the event before it, but leaf {leaf} hashes to {before.hex()}: one of the two was changed",
            )
        if of != self._of:
            yield "call_differs", "it has another principal, subject or action than the first event of its call"
        if event.kind == "call.received":
            yield "received_twice", "its call was received before: what it asks for can't be another meanwhile"

    def _followed(self, told: Told) -> Iterator[tuple[str, str]]:
        """Follow what the call is by now, before the event moves it."""
        event = told.event
        if self._agreement is None and event.kind not in TAKEN_BACK:
            yield "after_the_end", f"it is {event.kind}, though the call had ended: it was {self.state}"
        if event.kind in _AFTERMATH:
            self.aftermath = self.aftermath.open()
            yield from self.aftermath.take(event, self.state)
        if event.kind in _ATTEMPTS or self.attempts.resolved is not None:
            yield from self.attempts.take(event, self.state)
        if event.kind in TAKEN_BACK:
            self.attempts.end(event.at)

    def _moved(self, told: Told) -> Iterator[tuple[str, str]]:
        event = told.event
        if event.kind == "call.received" and self._effect is None:
            self._effect = event.body["effect"]
        if event.change is not None:
            before, after = (State(each) for each in event.change)
            if before is not self.state:
                yield "state_differs", f"it says that the call was {before}, which was {self.state}"
            if after not in (READ_TRANSITIONS if self._effect == "read" else TRANSITIONS)[before]:
                yield "transition_illegal", f"a call that is {before} can't become {after}"
            if after is State.EXECUTING and event.kind != "call.intended":
                yield "intent_missing", "the call is executing without an intent"
            yield from self.attempts.moved(before, after, event)
            if after is State.READY and before in (State.EXECUTING, State.UNKNOWN):
                self._decided = False
            self.state = after
        if REACHED.get(event.kind, self.state) is not self.state:
            yield "state_differs", f"it is {event.kind}, but leaves the call {self.state}"

    def _meant(self, told: Told) -> Iterator[tuple[str, str]]:
        if self._agreement is not None:
            yield from self._told(told, self._agreement)
        if self.state in FINAL and self._agreement is not None:
            self._agreement = self._decision = self._digest = None
            self._reserved = None
            self._ahead = self._ahead or None  # a dict that was filled once stays as large
            self.aftermath = self.aftermath.ended()
            self.attempts.end(None if self.state is State.SUCCEEDED else told.event.at)

    def _told(self, told: Told, agreement: Agreement) -> Iterator[tuple[str, str]]:
        event, body = told.event, told.event.body
        if event.kind in _ASKS:
            yield from self._asked(event)
        if event.kind in _RESTS:
            self._decided = False
        match event.kind:
            case "call.received":
                self._digest = body["digest"]
                agreement.belongs_to((event.principal or {}).get("id"))
                agreement.belongs_to(told.proved.get("/subject"))
            case "call.decided":
                self._decision, self._decided = body["decision"], True
            case "call.denied":
                yield from self._denied(body)
            case "call.amended":
                yield from self._amended(body, agreement)
            case "call.intended":
                yield from self.aftermath.early(event) if self._effect != "read" else ()
                yield from self._intended(event, agreement)
            case kind if kind in _OUTCOMES:
                yield from self._settled(event, agreement)
            case kind:
                yield from agreement.take(kind, body)

    def _asked(self, event: Event) -> Iterator[tuple[str, str]]:
        """Hold what a call waits for against the decision that asks for it, and what people are asked about against what it is."""
        if self._decision is None or not self._decided:
            yield "not_decided", f"it is {event.kind} without a decision that asks for it"
        elif self._decision["allowed"] is not True:
            yield "not_allowed", f"it is {event.kind} though the last decision denied it"
        if event.kind != "call.delayed" and event.body["digest"] != self._digest:
            yield "digest_differs", "what people are asked about is not what was received: the digests differ"

    def _denied(self, body: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        """Hold a denial by policies against their decision; there are others, by ownership or by a key, without one."""
        if body["code"] in _BY_POLICY and (self._decision is None or not self._decided or self._decision["allowed"] is not False):
            yield "denial_unfounded", "it says that policies denied it, and the last decision does not"

    def _amended(self, body: Mapping[str, Json], agreement: Agreement) -> Iterator[tuple[str, str]]:
        if body["digest_before"] != self._digest:
            yield "digest_differs", "what was amended is not what was received: the digests differ"
        self._digest, self._decided = body["digest"], False
        agreement.amended(body)

    def _intended(self, event: Event, agreement: Agreement) -> Iterator[tuple[str, str]]:
        body = event.body
        if body["digest"] != self._digest:
            yield "digest_differs", "what is to run is not what was received: the digests differ"
        if event.change is None or event.change[0] != State.UNKNOWN:
            self._reserved = None  # what is sent again at once keeps what it took; anything else takes anew
        if taken := body.get("reservations"):
            self._reserved = (self._reserved or {}) | {each["limit"]: each["takes"] for each in taken}
        yield from agreement.granted(body["approvals"])
        yield from self._agreed(body["digest"], agreement)

    def _settled(self, event: Event, agreement: Agreement) -> Iterator[tuple[str, str]]:
        if self._effect != "read" or self.attempts.count:
            yield from self.attempts.outcome(event)
        elif event.kind == "call.succeeded":
            yield from self._agreed(self._digest, agreement)

    def _agreed(self, digest: str | None, agreement: Agreement) -> Iterator[tuple[str, str]]:
        """Hold what runs against the last decision, the votes and the customer's answer."""
        if self._decision is None or not self._decided:
            yield "not_decided", "it runs without a decision, or without one since it last rested or was answered"
        if self._decision is None:
            return
        if self._decision["allowed"] is not True:
            yield "not_allowed", "it runs though the last decision denied it"
        yield from self._counted(self._decision)
        yield from agreement.missing(self._decision, digest)

    def _counted(self, decision: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        for limit in decision.get("limits", ()):
            if (self._reserved or {}).get(limit["limit"], -1) < limit["takes"]:
                yield "limit_unreserved", f"it runs without reserving the {limit['takes']} that it takes of {limit['limit']}"

    def _found(self, code: str, message: str, told: Told) -> Finding:
        return Finding(code, message, told.leaf, self._call)
