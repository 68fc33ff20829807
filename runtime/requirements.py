"""What a decision asks for before the effect: first that the customer proves who it is, then that it confirms, then that staff approve.

One stage is asked after the other. What was agreed to is held against what would be asked and shown now: a price that has changed
asks anew, a requirement that was added is asked for alone, and votes are kept and counted anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..audit import State
from ..policies import Escalation, Seats
from .approvals import approvals_of, complete, excluded_rows, seats_of, unfilled
from .call import Call
from .clock import to_text
from .shown import commitment
from .statements import Write
from .store import Requirement
from .work import Parts, Work, new_id, resealed

SECOND = 1_000_000
CONFIRM_WITHIN = 24 * 3600
STAGES = ("step_up", "confirmation", "approval")
AGAIN = "again"
"""The rule name of a confirmation that `again="confirmed"` asks for."""

_FOR = {"step_up": "the customer's proof of identity", "confirmation": "the customer's confirmation"}
_CHANGED = "what was shown has changed"
_OUTGROWN = "it would go further beyond a limit than was shown"


@dataclass(frozen=True, slots=True)
class Need:
    """One thing to ask for: of whom, how many votes, within how many seconds, and why.

    A step-up must reach `assurance`; what goes beyond a limit `covers` the sum that is shown.
    """

    kind: str
    rule: str
    role: str
    votes: int
    within: int
    reason: str
    assurance: int = 0
    covers: int | None = None
    escalate: Escalation | None = None

    @property
    def seats(self) -> Seats:
        """Give the seats of an approval, for whoever could ever fill them."""
        return Seats(frozenset({self.role, *([self.escalate.to] if self.escalate else [])}), self.votes)

    def same(self, one: Requirement) -> bool:
        """Say whether this has been asked for, of the same people."""
        return (self.kind, self.rule, self.role, self.votes) == (
            one.kind,
            one.rule,
            one.role,
            one.votes,
        ) and one.assurance >= self.assurance

    def covered(self, one: Requirement) -> bool:
        """Say whether as much was shown as this goes beyond a limit."""
        return self.covers is None or (one.covers is not None and self.covers <= one.covers)

    def to_json(self, requirement_id: str) -> dict[str, Any]:
        """Give it as an event tells it."""
        told = {"requirement": requirement_id, "kind": self.kind, "rule": self.rule, "by": self.role, "votes": self.votes}
        more = {"assurance": self.assurance or None, "covers": self.covers}
        return told | {name: value for name, value in more.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a decision's requirements stand.

    `unmet` are all that are still to be met, and `ask` those of the first such stage that nobody has been asked for; `already`
    are asked for and unanswered. `kept` are approvals that earlier votes fill. `granted` are requirements that the intent uses,
    `void` those that no longer hold, and `why` says what has changed since they were shown.
    """

    unmet: tuple[Need, ...]
    ask: tuple[Need, ...]
    already: tuple[Requirement, ...]
    kept: tuple[Need, ...]
    granted: tuple[Requirement, ...]
    void: tuple[Requirement, ...]
    why: str | None


async def standing(parts: Parts, work: Work) -> Standing:
    """Match what today's decision asks for with what has been asked for, and granted, for this very digest and this very sight of it."""
    needs = needs_of(work)
    stored = await parts.store.requirements(work.call.id) if work.stored else []
    rows = [one for one in stored if one.stands and (one.kind == "step_up" or one.digest == work.call.digest)]
    outdated, why = await _outdated(parts, work, needs, rows)
    found = {need: next((one for one in rows if one not in outdated and need.same(one) and need.covered(one)), None) for need in needs}
    unmet = await _unmet(parts, work, found, voted=why is None)
    stage = next((kind for kind in STAGES if any(need.kind == kind for need in unmet)), None)
    now = [need for need in unmet if need.kind == stage]
    already = tuple(one for need in now if (one := found[need]) and one.state == "open")
    met = [need for need in needs if need not in unmet]
    granted = tuple(one for need in met if (one := found[need]) and one.state != "open")
    # An approval that is asked for no longer must not keep anybody's vote from another.
    lost = [one for one in rows if one.kind == "approval" and one not in found.values()]
    return Standing(
        unmet=tuple(unmet),
        ask=tuple(need for need in now if found[need] not in already),
        already=already,
        kept=tuple(need for need in met if need.kind == "approval" and found[need] not in granted) if stage in {None, "approval"} else (),
        granted=granted,
        void=tuple(one for one in stored if one in outdated or one in lost or (one.state == "open" and one not in already)),
        why=why,
    )


async def ask(parts: Parts, work: Work, stands: Standing) -> Work:
    """Ask for what is open: the call waits, and the events say of whom, until when, and what they are shown."""
    now, call, shown = parts.clock.now(), work.call, commitment(work)
    asked = [_row(work, need, now, shown) for need in stands.ask]
    told = [need.to_json(one.id) for need, one in zip(stands.ask, asked, strict=True)]
    body = {"requirements": told, "digest": call.digest, "shown": shown} | ({"why": stands.why} if stands.why else {})
    work = resealed(work.note("call.held", body, to=State.WAITING))
    work = _added(work, asked)
    if any(one.kind == "approval" for one in asked):
        work = work.also(*await excluded_rows(parts, work))
    return rests(work, [*stands.already, *asked])


def keep(parts: Parts, work: Work, stands: Standing) -> tuple[Work, tuple[str, ...]]:
    """Record the approvals that kept votes fill as approved at once; give with them all that the intent uses."""
    now, shown = parts.clock.now(), commitment(work) if stands.kept else ""
    kept = [_row(work, need, now, shown, state="approved") for need in stands.kept]
    granted = [one.id for one in stands.granted if one.state == "approved"]
    return _added(work, kept), (*granted, *(one.id for one in kept))


def voided(work: Work, stands: Standing) -> Work:
    """Let go of what was asked for before and no longer holds, and of the votes on what nobody was shown."""
    for one in stands.void:
        work = work.also(Write("requirement.move", ("voided", one.tenant, one.id, one.state)))
    if stands.why:
        work = work.also(Write("vote.void", (work.call.tenant, work.call.id, work.call.digest), expect=None))
        work = work.on_call(met_at=None, delayed_until=None)  # it is agreed to anew, so it cools off anew
    return work


def rests(work: Work, asked: Iterable[Requirement]) -> Work:
    """Let the call wait until somebody answers, an approval is widened, or a deadline ends it."""
    return work.on_call(**waking(list(asked))).rest()


async def unanswered(parts: Parts, call: Call) -> list[Requirement]:
    """Give what a call waits for, the earliest first: proof of identity however it was amended, agreement to this digest alone."""
    rows = await parts.store.requirements(call.id)
    return [one for one in rows if one.state == "open" and (one.kind == "step_up" or one.digest == call.digest)]


async def wanted(parts: Parts, call: Call) -> list[Requirement]:
    """Give what a call waits for, without the approvals whose seats are filled: they wait for the others."""
    asked = await unanswered(parts, call)
    if all(one.kind != "approval" for one in asked):
        return asked
    short = unfilled(await approvals_of(parts, call), await parts.store.ballots(call))
    return [one for one in asked if one.kind != "approval" or one in short]


def waking(asked: Sequence[Requirement]) -> dict[str, int]:
    """Give when a call ends for want of an answer, and when it must be looked at before."""
    deadline = min(one.deadline_at for one in asked)
    return {"deadline_at": deadline, "wake_at": min([deadline, *(at for one in asked if (at := one.escalate_at) and not one.escalated)])}


def waiting_for(needs: Iterable[Need | Requirement]) -> tuple[Mapping[str, Any], ...]:
    """Say to the caller for whom a call waits; what several rules ask of the customer is one question."""
    told = {(one.kind, _FOR.get(one.kind) or f"approval by {one.role}"): None for one in needs}
    return tuple({"requirement": kind, "for": whom} for kind, whom in told)


def needs_of(work: Work) -> tuple[Need, ...]:
    """List what the decision asks for, and the confirmation that doing it again takes, in the order in which they are asked."""
    assert work.decision is not None
    needs = [
        Need(one.kind, one.rule, one.by, one.votes, one.within, one.reason or "", one.assurance, one.covers, one.escalate)
        for one in work.decision.requirements
    ]
    if work.confirm is not None:
        needs.append(Need("confirmation", AGAIN, "", 1, CONFIRM_WITHIN, f"{work.confirm} did this before"))
    return tuple(sorted(needs, key=lambda need: STAGES.index(need.kind)))


async def _outdated(parts: Parts, work: Work, needs: Iterable[Need], rows: list[Requirement]) -> tuple[list[Requirement], str | None]:
    """Find what people agreed to, or are asked about, by another sight of the call than they would have now."""
    shown, places = commitment(work) if rows else "", work.action.wording.places
    # What was asked before this was kept has no commitment; without facts in it, it is what the digest binds.
    seen = [one for one in rows if one.kind != "step_up" and one.shown != shown and (one.shown or places)]
    if seen:
        return [one for one in rows if one.kind != "step_up"], _CHANGED
    approvals = [one for one in rows if one.kind == "approval"]
    beyond = [need for need in needs if need.kind == "approval" and need.covers is not None]
    # Whoever has voted before it went beyond a limit was not shown that, whatever else they were asked for.
    unseen = any(not any(need.same(one) and need.covered(one) for one in approvals) for need in beyond)
    if unseen and (approvals or await parts.store.ballots(work.call)):
        return approvals, _OUTGROWN
    return [], None


async def _unmet(parts: Parts, work: Work, found: Mapping[Need, Requirement | None], *, voted: bool) -> list[Need]:
    answered = {need for need, one in found.items() if one and one.state != "open"}
    # Whoever fills a seat that was granted stays there.
    approvals = sorted((need for need in found if need.kind == "approval"), key=lambda need: need not in answered)
    seats = [(need, seats_of(one) if (one := found[need]) else Seats(frozenset({need.role}), need.votes)) for need in approvals]
    filled = complete(seats, await parts.store.ballots(work.call) if approvals and work.stored and voted else {})
    return [need for need in found if (need not in filled if need.kind == "approval" else need not in answered)]


def _row(work: Work, need: Need, now: int, shown: str, *, state: str = "open") -> Requirement:
    return Requirement(
        tenant=work.call.tenant,
        id=new_id("req", now),
        call=work.call.id,
        kind=need.kind,
        rule=need.rule,
        role=need.role,
        votes=need.votes,
        digest=work.call.digest,
        state=state,
        reason=need.reason,
        created_at=now,
        deadline_at=now + need.within * SECOND,
        assurance=need.assurance,
        covers=need.covers,
        escalate_at=now + need.escalate.after * SECOND if need.escalate else None,
        escalate_to=need.escalate.to if need.escalate else "",
        shown=shown,
    )


def _added(work: Work, rows: Iterable[Requirement]) -> Work:
    for one in rows:
        work = work.also(Write("requirement.add", one.values()))
        if one.kind == "approval":
            work = work.note("approval.requested", _requested(one))
    return work


def _requested(one: Requirement) -> dict[str, Any]:
    told = {"approval": one.id, "rule": one.rule, "by": one.role, "votes": one.votes, "digest": one.digest, "shown": one.shown}
    more = {"escalate_to": one.escalate_to or None, "covers": one.covers}
    return told | {"until": to_text(one.deadline_at)} | {name: value for name, value in more.items() if value is not None}
