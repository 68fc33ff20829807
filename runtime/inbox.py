"""What people are asked now, or what one person could answer: approvals in which their vote would still fill a seat."""

from __future__ import annotations

from itertools import islice

from ..audit import State
from ..errors import NotAnApprover
from .approvals import adds, approvals_of
from .call import Call
from .people import People
from .votes import entitled
from .work import Parts

MOST = 200
"""Calls that are listed at once, the most urgent ones."""


def most_urgent(parts: Parts, people: People, person: str | None) -> list[Call]:
    """List the calls that wait for somebody, or for an approval by this person, whatever others are asked; the most urgent first."""
    calls = (parts.store.get(call_id) for call_id in parts.store.asking(kind=None if person is None else "approval"))
    return list(islice((call for call in calls if person is None or _could_answer(parts, people, person, call)), MOST))


def _could_answer(parts: Parts, people: People, person: str, call: Call) -> bool:
    asked, ballots = approvals_of(parts, call), parts.store.ballots(call)
    still = [one for one in asked if one.state == "open" and parts.clock.now() < one.deadline_at]
    if call.state is not State.WAITING or not still or person in ballots:
        return False
    try:
        return adds(asked, ballots, entitled(parts, people, person, call, asked))
    except NotAnApprover:
        return False
