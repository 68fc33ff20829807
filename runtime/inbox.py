"""What people are asked now, or what one person could answer: approvals in which their vote would still fill a seat."""

from __future__ import annotations

from ..audit import State
from ..errors import NotAnApprover
from .approvals import adds, approvals_of
from .call import Call
from .people import People
from .votes import entitled
from .work import Parts

MOST = 200
"""Calls that are listed at once, the most urgent ones."""


async def most_urgent(parts: Parts, people: People, person: str | None) -> list[Call]:
    """List the calls that wait for somebody, or for an approval by this person, whatever others are asked; the most urgent first."""
    found: list[Call] = []
    for call_id in await parts.store.asking(kind=None if person is None else "approval"):
        call = await parts.store.get(call_id)
        if person is None or await _could_answer(parts, people, person, call):
            found.append(call)
            if len(found) == MOST:
                break
    return found


async def _could_answer(parts: Parts, people: People, person: str, call: Call) -> bool:
    asked, ballots = await approvals_of(parts, call), await parts.store.ballots(call)
    still = [one for one in asked if one.state == "open" and parts.clock.now() < one.deadline_at]
    if call.state is not State.WAITING or not still or person in ballots:
        return False
    try:
        return adds(asked, ballots, await entitled(parts, people, person, call, asked))
    except NotAnApprover:
        return False
