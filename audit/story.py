"""Check that the events of one call make sense together, whatever order their leaves are in.

A call's events chain: each counts one further and names the leaf hash of the one before. Along the chain this follows the state,
and holds every intent against the decision, the votes and the digest that came before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class _Vote:
    approval: str
    person: str
    role: str
    answer: str
    digest: str


class Story:
    """One call, followed from event to event. What is wrong comes out as findings; nothing is raised."""

    def __init__(self, call: str) -> None:
        self.state = State.NEW
        self._call = call
        self._sequence = 0
        self._last: tuple[int | None, str] | None = None  # leaf and hash of the last event told
        self._ahead: dict[int, Told] = {}  # events whose predecessors have not come yet
        self._reads = False
        self._requester: str | None = None
        self._subject: str | None = None
        self._digest: str | None = None
        self._decision: Mapping[str, Json] | None = None
        self._approvals: dict[str, str] = {}  # the digest for which each was requested
        self._votes: tuple[_Vote, ...] = ()
        self._asked = False  # whether the customer was asked to confirm
        self._confirmed: str | None = None  # the digest that the customer confirmed
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
            self._reads = event.body["effect"] == "read"
        if event.change is not None:
            before, after = (State(each) for each in event.change)
            if before is not self.state:
                yield "state_differs", f"it says that the call was {before}, which was {self.state}"
            if after not in (READ_TRANSITIONS if self._reads else TRANSITIONS)[before]:
                yield "transition_illegal", f"a call that is {before} can't become {after}"
            if after is State.EXECUTING and event.kind != "call.intended":
                yield "intent_missing", "the call is executing without an intent"
            self.state = after
        if REACHED.get(event.kind, self.state) is not self.state:
            yield "state_differs", f"it is {event.kind}, but leaves the call {self.state}"

    def _meant(self, told: Told) -> Iterator[tuple[str, str]]:
        event, body = told.event, told.event.body
        match event.kind:
            case "call.received":
                self._digest = body["digest"]
                self._requester = (event.principal or {}).get("id")
                self._subject = told.proved.get("/subject")
            case "call.decided":
                self._decision = body["decision"]
            case "call.held":
                self._asked = self._asked or any(each["kind"] == "confirmation" for each in body["requirements"])
            case "call.confirmed":
                self._confirmed = body["digest"] if body["answer"] == "approve" else None
            case "approval.requested":
                self._approvals[body["approval"]] = body["digest"]
            case "approval.voted":
                return self._voted(_Vote(body["approval"], body["person"], body["role"], body["answer"], body["digest"]))
            case "call.intended":
                return self._intended(body)
            case kind if kind in _OUTCOMES:
                return self._settled(event)
        return iter(())

    def _voted(self, vote: _Vote) -> Iterator[tuple[str, str]]:
        if vote.approval not in self._approvals:
            yield "vote_unasked", f"{vote.person} voted on approval {vote.approval}, which was not requested"
        elif vote.digest != self._approvals[vote.approval]:
            yield "vote_digest", f"{vote.person} voted on another digest than the one for which approval was requested"
        if vote.person in (self._requester, self._subject):
            yield "self_approval", f"{vote.person} voted on a call that is their own"
        if any((each.approval, each.person) == (vote.approval, vote.person) for each in self._votes):
            yield "vote_doubled", f"{vote.person} voted twice on approval {vote.approval}"
        self._votes += (vote,)

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
        if self._reads:
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
        if self._asked and self._confirmed != digest:
            yield "not_confirmed", "the customer was asked to confirm, and has not confirmed what runs"
        votes = [vote for vote in self._votes if vote.digest == digest]
        for vote in votes:
            if vote.answer != "approve":
                yield "was_rejected", f"it runs though {vote.person} rejected it"
        for requirement in self._decision["requirements"]:
            if requirement["kind"] == "approval":
                role, needed = requirement["by"], requirement["votes"]
                count = len({vote.person for vote in votes if vote.answer == "approve" and vote.role == role})
                if count < needed:
                    other = "; there are votes on another digest" if len(votes) < len(self._votes) else ""
                    yield "votes_missing", f"{needed} of {role} had to approve what runs, and {count} did{other}"

    def _counted(self, decision: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        for limit in decision.get("limits", ()):
            if self._reserved.get(limit["limit"], -1) < limit["takes"]:
                yield "limit_unreserved", f"it runs without reserving the {limit['takes']} that it takes of {limit['limit']}"

    def _found(self, code: str, message: str, told: Told) -> Finding:
        return Finding(code, message, told.leaf, self._call)
