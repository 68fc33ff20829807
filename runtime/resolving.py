"""What an operator does about an effect of unknown outcome: look at the provider, and say whether it was applied."""

from __future__ import annotations

from ..audit import State
from ..errors import AlreadySettled, NotAnOperator, NotUnknown, StillRunning
from .answering import TRIES
from .approvals import Barred, customer_of
from .call import Call
from .clock import to_text
from .execution import SETTLED
from .journal import Conflict
from .people import OPERATOR, People
from .work import Draft, Parts, ending, move


async def resolve(parts: Parts, people: People, call_id: str, *, applied: bool, by: str, reason: str, via: str) -> Call:
    """Settle a call of unknown outcome by what a person has found out; limits are spent or given back, its key is kept or freed.

    Raises `NotAnOperator`, `AlreadySettled`, `NotUnknown`, `StillRunning` (an attempt's lease, its handler, or the time after them in
    which the effect may still show, is not over) and `CallNotFound`.
    """
    for _ in range(TRIES):
        call = await parts.store.get(call_id)
        await _check(parts, people, call, by)
        said = Draft("call.resolved", {"applied": applied, "by": by, "via": via}, {"/reason": reason} if reason else {})
        try:
            return await (_done(parts, call, said) if applied else _not_done(parts, call, said))
        except Conflict:
            continue
    raise StillRunning


async def _check(parts: Parts, people: People, call: Call, by: str) -> None:
    person = await people.get(by)
    if person is None or not person.active or OPERATOR not in person.roles:
        raise NotAnOperator(
            f"only an active person of the role {OPERATOR} can say that; `remit people role {by} --add {OPERATOR}` gives it"
        )
    if call.principal == by or (await Barred.of(parts, call, await customer_of(parts, call))).serves(person):
        raise NotAnOperator(f"{by} asked for this, or it is done for them, so somebody else must say what became of it")
    if call.final:
        raise AlreadySettled(f"the call has already ended: {call.state}")
    if call.state is State.EXECUTING:
        raise StillRunning(f"attempt {call.attempt} is under way, at the latest until {to_text(call.lease_until or 0)}")
    if call.state is not State.UNKNOWN:
        raise NotUnknown(f"the call is {call.state}: nothing was sent whose outcome is not known")
    if call.settle_at is not None and parts.clock.now() < call.settle_at:
        raise StillRunning(f"what attempt {call.attempt} sent may still take effect; say what became of it after {to_text(call.settle_at)}")


async def _done(parts: Parts, call: Call, said: Draft) -> Call:
    body = {"reference": call.reference, "status": call.provider_status}
    draft = Draft("call.succeeded", body, change=(call.state, State.SUCCEEDED))
    return await move(parts, call, (said, draft), code="resolved", **SETTLED)


async def _not_done(parts: Parts, call: Call, said: Draft) -> Call:
    body = {"code": "resolved_not_applied", "attempt": call.attempt}
    draft = Draft("call.failed", body, change=(call.state, State.FAILED))
    return await move(parts, call, (said, draft), ending(call), code=body["code"], **SETTLED)
