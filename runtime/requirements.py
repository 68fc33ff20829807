"""What a decision asks for before the effect: an approval by staff, a confirmation by the customer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..audit import State, canonical, keyed_hash
from .clock import to_text
from .recorded import without_secrets
from .statements import Write
from .store import Requirement
from .work import Parts, Work, new_id

SECOND = 1_000_000
CONFIRM_WITHIN = 24 * 3600
AGAIN = "again"
"""The rule name of a confirmation that `again="confirmed"` asks for."""


@dataclass(frozen=True, slots=True)
class Need:
    """One thing to ask for: of whom, how many votes, within how many seconds, and why."""

    kind: str
    rule: str
    role: str
    votes: int
    within: int
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """How a decision's requirements stand: still to ask for, asked for and unanswered, granted."""

    open: tuple[Need, ...]
    already: tuple[Requirement, ...]
    granted: tuple[str, ...]


def still_open(parts: Parts, work: Work) -> Asked:
    """Match what today's decision asks for with what has been asked for, and granted, for this very digest."""
    stored = [one for one in parts.store.requirements(work.call.id) if one.digest == work.call.digest] if work.stored else []
    by_place = {(one.kind, one.rule, one.role): one for one in stored if one.state in {"open", "approved", "used"}}
    needs = needs_of(work)
    found = [(need, by_place.get((need.kind, need.rule, need.role))) for need in needs]
    return Asked(
        open=tuple(need for need, one in found if one is None),
        already=tuple(one for _, one in found if one is not None and one.state == "open"),
        granted=tuple(one.id for _, one in found if one is not None and one.state == "approved"),
    )


def ask(parts: Parts, work: Work, needs: tuple[Need, ...]) -> Work:
    """Ask for what is open: the call waits, and the events say of whom, until when, and what they are shown."""
    now, call = parts.clock.now(), work.call
    work = work.note("call.held", {"requirements": [_shown(need) for need in needs], "digest": call.digest}, to=State.WAITING)
    shown = keyed_hash(bytes.fromhex(work.nonce), "shown", canonical(summary(work))).hex()
    for need in needs:
        requirement_id, deadline = new_id("req"), now + need.within * SECOND
        row = (
            call.tenant,
            requirement_id,
            call.id,
            need.kind,
            need.rule,
            need.role,
            need.votes,
            call.digest,
            "open",
            need.reason,
            now,
            deadline,
            0,
            None,
            None,
            "",
            0,
            shown,
        )
        work = work.also(Write("requirement.add", row))
        if need.kind == "approval":
            body = {
                "approval": requirement_id,
                "rule": need.rule,
                "by": need.role,
                "votes": need.votes,
                "digest": call.digest,
                "shown": shown,
                "until": to_text(deadline),
            }
            work = work.note("approval.requested", body)
    until = now + min(need.within for need in needs) * SECOND
    return work.on_call(deadline_at=until, wake_at=until)


def summary(work: Work) -> dict[str, Any]:
    """Give what an approver or a customer is shown: exactly what will run, and what was done before."""
    return {
        "action": work.action.name,
        "version": work.action.version,
        "arguments": without_secrets(work.action, work.arguments.canonical),
        "subject": work.session.subject,
        "after": work.confirm,
    }


def waiting_for(needs: tuple[Need, ...] | list[Requirement]) -> tuple[Mapping[str, Any], ...]:
    """Say to the caller for whom a call waits."""
    return tuple(
        {"requirement": one.kind, "for": f"approval by {one.role}" if one.kind == "approval" else "the customer's confirmation"}
        for one in needs
    )


def needs_of(work: Work) -> tuple[Need, ...]:
    """List what the decision asks for, and the confirmation that doing it again takes."""
    assert work.decision is not None
    needs = [Need(one.kind, one.rule, one.by, one.votes, one.within, one.reason or "") for one in work.decision.requirements]
    if work.confirm is not None:
        needs.insert(0, Need("confirmation", AGAIN, "", 1, CONFIRM_WITHIN, f"{work.confirm} did this before"))
    return tuple(needs)


def _shown(need: Need) -> dict[str, Any]:
    return {"kind": need.kind, "rule": need.rule, "by": need.role, "votes": need.votes}
