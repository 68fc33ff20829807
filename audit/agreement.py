"""Follow what people were asked about one call and what they answered, and say what is missing for it to run.

Nothing here is shared with the code that counted the votes in the first place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from .event import Json

Faults = Iterator[tuple[str, str]]
"""Codes of findings, and what they mean here."""
_MOST_KINDS = 14
"""Of approvals with different roles, for which every combination is looked at."""


@dataclass(slots=True)
class _Asked:
    """A step-up, confirmation or approval, as it was asked for."""

    rule: str | None
    digest: str
    shown: str | None = None
    assurance: int = 0
    covers: int | None = None
    by: str = ""
    escalate_to: str | None = None
    escalated: bool = False
    met: bool = False

    def covered(self, wanted: Mapping[str, Json]) -> bool:
        covers = wanted.get("covers")
        return covers is None or (self.covers is not None and covers <= self.covers)

    @property
    def roles(self) -> frozenset[str]:
        return frozenset({self.by, *([self.escalate_to] if self.escalated and self.escalate_to else [])})


@dataclass(frozen=True, slots=True)
class _Vote:
    person: str
    roles: frozenset[str]
    answer: str
    digest: str


class Agreement:
    """What people were asked, and what they answered."""

    __slots__ = ("_approvals", "_asked", "_confirmations", "_elsewhere", "_own", "_parties", "_refused", "_steps", "_votes")

    def __init__(self) -> None:
        self._asked: set[str] | None = set()  # the ids of all that was asked for; none where a log of old doesn't tell them
        self._steps: dict[str | None, _Asked] = {}  # by rule, as are confirmations
        self._confirmations: dict[str | None, _Asked] = {}
        self._approvals: dict[str, _Asked] = {}
        self._votes: tuple[_Vote, ...] = ()
        self._refused: set[str] = set()  # digests to which the customer said no
        self._elsewhere = False  # whether there were votes on another digest, or on another sight of this one
        self._parties: set[str] = set()  # who asked, and who is served
        self._own: set[str] = set()  # the same, and who amended

    def belongs_to(self, person: str | None) -> None:
        """Know somebody whose own call it is."""
        if person is not None:
            self._own.add(person)
            self._parties.add(person)

    def _resolved(self, body: Mapping[str, Json]) -> Faults:
        """Take in that a person says what became of the effect."""
        if body["by"] in self._parties:
            yield "self_resolved", f"{body['by']} said what became of a call that is their own"

    def take(self, kind: str, body: Mapping[str, Json]) -> Faults:
        """Take in an event, if it is one of asking or answering."""
        match kind:
            case "call.held":
                self._held(body)
            case "approval.requested":
                self._requested(body)
            case "approval.escalated":
                return self._escalated(body)
            case "approval.voted":
                return self._voted(body)
            case "call.stepped_up":
                return self._stepped_up(body)
            case "call.confirmed":
                return self._confirmed(body)
            case "call.resolved":
                return self._resolved(body)
        return iter(())

    def _held(self, body: Mapping[str, Json]) -> None:
        """Take in what a call waits for; where what was shown has changed, earlier votes count no more."""
        if body.get("why"):
            self._vote_anew()
        for each in body["requirements"]:
            self._named(each.get("requirement"))
            asked = _Asked(each.get("rule"), body["digest"], body.get("shown"), each.get("assurance", 0), each.get("covers"))
            if each["kind"] == "step_up":
                self._steps[asked.rule] = asked
            elif each["kind"] == "confirmation":
                self._confirmations[asked.rule] = asked

    def _named(self, asked: str | None) -> None:
        if asked is None:
            self._asked = None
        elif self._asked is not None:
            self._asked.add(asked)

    def granted(self, named: Iterable[str]) -> Faults:
        """Hold what an intent says that it uses against what was asked for."""
        for each in named:
            if self._asked is not None and each not in self._asked and each not in self._approvals:
                yield "approval_unasked", f"it says that it uses {each}, which nobody was asked for"

    def _vote_anew(self) -> None:
        """Let votes on what was shown before count no more; a reject stays one."""
        self._elsewhere = self._elsewhere or bool(self._votes)
        self._votes = tuple(vote for vote in self._votes if vote.answer != "approve")

    def _stepped_up(self, body: Mapping[str, Json]) -> Faults:
        """Take in a proof of identity."""
        reached = [one for one in self._steps.values() if one.assurance <= body["assurance"]]
        if not reached:
            yield "step_up_unasked", "the customer proved an identity that nothing had asked for"
        for one in reached:
            one.met = True

    def _confirmed(self, body: Mapping[str, Json]) -> Faults:
        """Take in the customer's answer, to all that it was asked about this digest."""
        if body["answer"] != "approve":
            self._refused.add(body["digest"])
        asked = [one for one in self._confirmations.values() if one.digest == body["digest"]]
        if all(one.met for one in asked):
            yield "confirmation_unasked", "the customer answered what it was not asked, or had answered before"
        for one in asked:
            one.met = body["answer"] == "approve"
            if one.shown and body.get("shown") not in (None, one.shown):
                yield "shown_differs", "the customer confirmed something else than was shown"

    def _requested(self, body: Mapping[str, Json]) -> None:
        """Take in an approval that is asked for; who has voted before it went beyond a limit has not seen how far."""
        if "covers" in body:
            self._vote_anew()
        self._approvals[body["approval"]] = _Asked(
            body.get("rule"),
            body["digest"],
            body.get("shown"),
            covers=body.get("covers"),
            by=body["by"],
            escalate_to=body.get("escalate_to"),
        )

    def _escalated(self, body: Mapping[str, Json]) -> Faults:
        """Take in that people of another role may vote as well."""
        asked = self._approvals.get(body["approval"])
        if asked is None or asked.escalate_to != body["to"]:
            yield "escalation_unasked", f"approval {body['approval']} was widened to {body['to']}, which was not said when it was requested"
        else:
            asked.escalated = True

    def _voted(self, body: Mapping[str, Json]) -> Faults:
        """Take in a vote."""
        person, roles = body["person"], frozenset(body.get("roles", [body["role"]]))
        asked = self._approvals.get(body["approval"])
        if asked is None:
            yield "vote_unasked", f"{person} voted on approval {body['approval']}, which was not requested"
        elif body["digest"] != asked.digest:
            yield "vote_digest", f"{person} voted on another digest than the one for which approval was requested"
        elif not roles & asked.roles:
            yield "vote_unentitled", f"{person} voted on an approval by {' or '.join(sorted(asked.roles))} without such a role"
        if person in self._own:
            yield "self_approval", f"{person} voted on a call that is their own"
        if any((each.person, each.digest) == (person, body["digest"]) for each in self._votes):
            yield "vote_doubled", f"{person} voted twice on the same call"
        self._votes += (_Vote(person, roles, body["answer"], body["digest"]),)

    def amended(self, body: Mapping[str, Json]) -> None:
        """Take in that the call is another now: what was proved stays, what was agreed to does not."""
        self._own.add(body["by"])
        self._confirmations.clear()

    def missing(self, decision: Mapping[str, Json], digest: str | None) -> Faults:
        """Say what people should have agreed to, for this digest, before it ran."""
        needed = decision["requirements"]
        for one in needed:
            if one["kind"] == "step_up" and not _met(self._steps.get(one.get("rule")), one):
                yield "not_stepped_up", f"{one.get('rule')} asked the customer to prove who they are, and they have not"
        unconfirmed = any(not one.met or one.digest != digest for one in self._confirmations.values())
        wanted = [one for one in needed if one["kind"] == "confirmation"]
        if unconfirmed or not all(_met(self._confirmations.get(one.get("rule")), one) for one in wanted):
            yield "not_confirmed", "the customer was to confirm, and has not confirmed what runs"
        if digest in self._refused:
            yield "was_rejected", "it runs though the customer said no"
        yield from self._approved([one for one in needed if one["kind"] == "approval"], digest)

    def _approved(self, needed: list[Mapping[str, Json]], digest: str | None) -> Faults:
        votes = [vote for vote in self._votes if vote.digest == digest]
        for vote in votes:
            if vote.answer != "approve":
                yield "was_rejected", f"it runs though {vote.person} rejected it"
        seats: dict[frozenset[str], int] = {}
        for one in needed:
            asked = [each for each in self._approvals.values() if (each.rule, each.by, each.digest) == (one.get("rule"), one["by"], digest)]
            if one.get("covers") is not None and not any(each.covered(one) for each in asked):
                yield "not_covered", f"it goes beyond {one.get('rule')} by more than anybody approved"
            roles = frozenset({one["by"]}).union(*(each.roles for each in asked))
            seats[roles] = seats.get(roles, 0) + one["votes"]
        if len(seats) > _MOST_KINDS:
            yield "votes_uncounted", f"it asks for {len(seats)} kinds of approval, more than can be checked"
            return
        voters = {vote.person: vote.roles for vote in votes if vote.answer == "approve"}
        other = "; there are votes on something else" if self._elsewhere or len(votes) < len(self._votes) else ""
        yield from _short(seats, voters, other)


def _met(asked: _Asked | None, wanted: Mapping[str, Json]) -> bool:
    return asked is not None and asked.met and asked.covered(wanted) and asked.assurance >= wanted.get("assurance", 0)


def _short(seats: Mapping[frozenset[str], int], voters: Mapping[str, frozenset[str]], other: str) -> Faults:
    """Find a lack of votes by Hall's condition: for every choice of approvals, at least as many people as they have seats."""
    for size in range(1, len(seats) + 1):
        for chosen in combinations(seats, size):
            roles = frozenset().union(*chosen)
            needed = sum(seats[each] for each in chosen)
            count = sum(1 for held in voters.values() if held & roles)
            if count < needed:
                yield "votes_missing", f"{needed} of {' or '.join(sorted(roles))} had to approve what runs, and {count} did{other}"
                return
