"""What every answer to a waiting call has in common: it must still be open, and once all have agreed the call goes on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from ..audit import State
from ..errors import ApprovalNotOpen, CallNotFound, NotAnApprover
from .approvals import customer_of
from .call import Call
from .requirements import unanswered, waking
from .statements import Write
from .store import Requirement
from .work import Draft, Parts, ending, move

Answer = Literal["approve", "reject"]
TRIES = 100
"""Each time another answer was quicker, so it ends."""


async def named_call(parts: Parts, named: str) -> Call:
    """Give the call that somebody answers, named by its own id or by that of what it asks for; raises `CallNotFound`."""
    if (requirement := await parts.store.requirement(named)) is None:
        return await parts.store.get(named)
    if (call := await parts.store.find(requirement.call)) is None:
        raise CallNotFound
    return call


async def customers_call(parts: Parts, named: str, subject: str) -> Call:
    """Give the call that its customer answers; raises `NotAnApprover` for anybody else, and `CallNotFound`."""
    call = await named_call(parts, named)
    if subject != await customer_of(parts, call):
        raise NotAnApprover("only the customer in whose name it happens can answer this")
    return call


async def open_for(parts: Parts, call: Call, kind: str, *, digest: str | None = None, shown: str | None = None) -> list[Requirement]:
    """Give what a call asks for of one kind and what is still to be answered, the earliest first.

    Raises `ApprovalNotOpen` where that is nothing, where its time is over, or where another digest or sight of it was shown.
    """
    words = kind.replace("_", "-")
    if not (asked := [one for one in await parts.store.requirements(call.id) if one.kind == kind]):
        raise ApprovalNotOpen(f"call {call.id} waits for no {words}")
    found = [one for one in await unanswered(parts, call) if one.kind == kind]
    if not found or call.state is not State.WAITING:
        raise ApprovalNotOpen(f"this {words} is not open: it is {asked[-1].state}, and the call is {call.state}")
    if call.deadline_at is not None and parts.clock.now() >= call.deadline_at:
        raise ApprovalNotOpen(f"the time for this {words} is over")
    if digest is not None and digest != call.digest:
        raise ApprovalNotOpen(f"the call has changed since this {words} was shown; look at it again")
    if shown is not None and any(one.shown != shown for one in found):
        raise ApprovalNotOpen("what was shown has changed since; look at it again")
    return found


async def grant(
    parts: Parts,
    call: Call,
    said: Draft,
    met: Sequence[Requirement],
    *,
    left: Sequence[Requirement] = (),
    writes: Iterable[Write] = (),
    **changes: Any,
) -> Call:
    """Record an answer and what it has met; once nothing is `left` to be answered the call is taken up again."""
    moves = [Write("requirement.move", ("approved", one.tenant, one.id, "open")) for one in met]
    rest = waking(left) if left else {"wake_at": parts.clock.now()}
    return await move(parts, call, (said,), [*writes, *moves], **{**rest, **changes})


async def decline(parts: Parts, call: Call, said: Draft, asked: Requirement, writes: Iterable[Write] = ()) -> Call:
    """End a call because a person said no."""
    end = Draft("call.declined", {"requirement": asked.kind}, change=(call.state, State.DECLINED))
    rejected = Write("requirement.move", ("rejected", asked.tenant, asked.id, "open"))
    return await move(parts, call, (said, end), [*writes, rejected, *ending(call)], wake_at=None, code="declined")
