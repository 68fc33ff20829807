"""What holds a call back although all have agreed to it: a cooling-off, and a connector that is out of reach.

The cooling-off that an action or a rule asks for, whichever is longer, runs from when everything that the call needed had first been
met. Until its end the call is ready and can be cancelled; then it is decided again, and where a rule asks for more by then it waits on.
"""

from __future__ import annotations

from ..audit import State
from .backoff import spread
from .breaker import connectors_of
from .clock import MICROSECOND, SECOND, to_text
from .effects import claim_writes
from .execution import READY_WITHIN
from .outcome import WORDS
from .phases import deny
from .work import Parts, Work

SPREAD = 5.0
"""Seconds over which those go on that all wait for one connector."""


async def cool_off(parts: Parts, work: Work) -> Work:
    """Let a call wait until its cooling-off is over; a dry run says that it would."""
    assert work.decision is not None
    if not work.action.effect.writes:
        return work  # there is nothing to cancel
    call, own = work.call, work.action.delay
    met = call.met_at or parts.clock.now()
    seconds = max(work.decision.delay, -(-own // (MICROSECOND * SECOND)) if own else 0)
    until = met + seconds * SECOND
    work = work.on_call(met_at=met)
    if until <= parts.clock.now():
        return work
    if until != call.delayed_until or call.state is not State.READY:
        work = work.note("call.delayed", {"until": to_text(until), "seconds": seconds})
        work = work if call.state is State.READY else work.moved_by_last(State.READY)
    return claim_writes(work).on_call(delayed_until=until, wake_at=until, deadline_at=until + READY_WITHIN).rest()


async def let_through(parts: Parts, work: Work) -> Work:
    """Send nothing through a connector that is out of reach: what was agreed to waits for it, what is new is told when to come back."""
    if work.dry_run or not work.action.effect.writes:
        return work
    if (until := parts.breakers.admit(connectors_of(work.action))) is None:
        return work
    if work.stored:
        if work.call.state is not State.READY:
            work = work.moved_by_last(State.READY).on_call(deadline_at=until + READY_WITHIN)
        return claim_writes(work).on_call(wake_at=until + spread(SPREAD)).rest()
    wait = -(-(until - parts.clock.now()) // SECOND)
    say = f"{WORDS['unavailable']} Ask for it again in {wait} seconds, not before."
    return deny(work, "unavailable", say=say, retry="later", until=to_text(until))
