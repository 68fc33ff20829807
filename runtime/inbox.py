"""What one person could answer now: approvals in which their vote would still fill a seat."""

from __future__ import annotations

from ..audit import State
from ..errors import NotAnApprover
from .approvals import adds, approvals_of
from .call import Call
from .people import People
from .votes import entitled
from .work import Parts


def answerable(parts: Parts, people: People, person: str) -> list[Call]:
    """List the calls that wait for an approval by this person, the most urgent first."""
    waiting = dict.fromkeys(one.call for one in parts.store.open_requirements() if one.kind == "approval")
    return [call for call_id in waiting if _could_answer(parts, people, person, call := parts.store.get(call_id))]


def _could_answer(parts: Parts, people: People, person: str, call: Call) -> bool:
    asked, ballots = approvals_of(parts, call), parts.store.ballots(call)
    still = [one for one in asked if one.state == "open" and parts.clock.now() < one.deadline_at]
    if call.state is not State.WAITING or not still or person in ballots:
        return False
    try:
        return adds(asked, ballots, entitled(parts, people, person, call, asked))
    except NotAnApprover:
        return False
