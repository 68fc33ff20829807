"""Take up a stored call and move it until it rests: after a vote, at a deadline, after a crash. Always the same way."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from ..actions import Action
from ..audit import State
from ..errors import AuditError
from . import telemetry
from .activation import govern
from .approvals import to_widen, widen
from .breaker import connectors_of
from .call import Call
from .clock import MICROSECOND
from .delay import cool_off, let_through
from .execution import became_unknown, execute_and_settle, fail
from .finding_out import bury, changed, find_out
from .outcome import problem
from .phases import gather, halt, hold, intend, judge, own, travel
from .receive import digest_of
from .requirements import unanswered, waking, wanted
from .session import Session
from .undoing import still_stands
from .work import Draft, Parts, Work, commit, ending, move

FIRST = (halt, still_stands, gather, own, judge, govern, hold, cool_off, let_through, intend, execute_and_settle)
"""The phases of a call after `receive`; a call that rested goes through all of them again."""


async def advance(parts: Parts, call_id: str) -> Call:
    """Move a call until it rests, and give it as it then is. Safe to repeat: every step is a compare-and-set."""
    call = await parts.store.get(call_id)
    now = parts.clock.now()
    if call.final:
        return call
    if call.state in {State.WAITING, State.READY} and call.deadline_at is not None and now >= call.deadline_at:
        return await expire(parts, call)
    if call.state is State.WAITING and await unanswered(parts, call):
        return await _wait_on(parts, call)
    if (action := parts.catalog.get(call.action)) is None or _early(call, now):
        return call
    match call.state:
        case State.READY:
            return await _go_on(parts, call, action)
        case State.WAITING:
            return await _decide_again(parts, call, action)
        case State.EXECUTING if call.lease_until is not None and now >= call.lease_until:
            return await _lapse(parts, call, action, settle_at=call.lease_until + action.effect.settle // MICROSECOND)
        case State.UNKNOWN:
            if (work := await _readable(parts, call, action)) is None:
                return await bury(parts, call, "unreadable")
            return await find_out(parts, work)
        case _:
            return call


async def _lapse(parts: Parts, call: Call, action: Action, *, settle_at: int) -> Call:
    """Say of an attempt whose lease is over without an answer that nobody knows what became of it; a read has just failed."""
    work, why = await _readable(parts, call, action), "the lease ended without an answer"
    if work is None:  # it must be able to end all the same
        draft = Draft("call.became_unknown", {"attempt": call.attempt, "why": why}, change=(call.state, State.UNKNOWN))
        return await move(parts, call, (draft,), unsure=1, lease_until=None, settle_at=settle_at, wake_at=settle_at)
    if not action.effect.writes:
        return (await commit(parts, fail(work, problem("read_failed", retry="later")))).call
    return (await commit(parts, became_unknown(parts, work.on_call(settle_at=settle_at), why))).call


async def _readable(parts: Parts, call: Call, action: Action) -> Work | None:
    """Restore the work; None where what was asked for can't be read any more: its customer was erased, or the action takes it no longer."""
    try:
        return await restore(parts, call, action)
    except (AuditError, ValueError):
        return None


def _early(call: Call, now: int) -> bool:
    """Say whether a call was woken before its time, or once more; one that ready as it is shall end needs no time."""
    ends = call.state is State.READY and call.cancel_asked
    return not ends and call.wake_at is not None and now < call.wake_at


async def _go_on(parts: Parts, call: Call, action: Action) -> Call:
    """Take up a call that is ready, unless its connector is out of reach: it is left alone without a decision."""
    if call.cancel_asked:
        draft = Draft("call.cancelled", {"why": "further attempts were forbidden"}, change=(call.state, State.CANCELLED))
        return await move(parts, call, (draft,), ending(call), wake_at=None, code="cancelled")
    if action.effect.writes and (later := parts.breakers.turn(connectors_of(action))) is not None:
        return await move(parts, call, (), wake_at=later)
    return await _decide_again(parts, call, action)


async def _wait_on(parts: Parts, call: Call) -> Call:
    """Let others vote as well where nobody has answered for long enough."""
    asked = await wanted(parts, call)
    if not (due := to_widen(asked, parts.clock.now())):
        return call
    return await widen(parts, call, due, **waking([replace(one, escalated=1) if one in due else one for one in asked]))


async def expire(parts: Parts, call: Call) -> Call:
    """End a call whose time is over: nobody answered, so it is never done."""
    draft = Draft("call.expired", {}, change=(call.state, State.EXPIRED))
    return await move(parts, call, (draft,), ending(call), wake_at=None, code="expired")


async def restore(parts: Parts, call: Call, action: Action) -> Work:
    """Rebuild the work from the row: the sealed request, opened under the owner's key."""
    owner = await parts.vault.by_pseudonym(call.subject)
    kept: dict[str, Any] = owner.open(call.sealed, call.id)
    telemetry.link(kept.get("trace", ""))
    session = Session(
        tenant=call.tenant,
        principal=call.principal,
        kind=call.principal_kind,  # type: ignore[arg-type]
        subject=kept["subject"],
        conversation=call.conversation,
        channel=call.channel,
        model=call.model,
        assurance=kept.get("assurance", call.assurance),
        verified_at=datetime.fromisoformat(kept["verified_at"]) if kept["verified_at"] else None,
        turn=kept["turn"],
        locale=kept["locale"],
    )
    return Work(
        call=call,
        stored=call.version,
        session=session,
        trace=kept.get("trace", ""),
        action=action,
        arguments=action.restore(kept["arguments"]),
        nonce=kept["nonce"],
        effect_text=kept["effect_key"],
        asker=await parts.vault.subject(session.subject),
        owner=owner,
        next_ordinal=call.ordinal,
        confirm=kept["after"],
        proposed=kept.get("proposed", ""),
    )


async def _decide_again(parts: Parts, call: Call, action: Action) -> Call:
    if changed(call, action):
        return await _deny(parts, call, "action_changed")
    try:
        work = await restore(parts, call, action)
    except (AuditError, ValueError):
        return await _deny(parts, call, "row_changed")
    nonce = bytes.fromhex(work.nonce)
    if digest_of(nonce, action, work.arguments, work.session, work.effect_text) != call.digest:
        # The row was changed under us: what was approved is not what would run.
        return await _deny(parts, call, "row_changed")
    return (await travel(parts, work, FIRST)).call


async def _deny(parts: Parts, call: Call, code: str) -> Call:
    draft = Draft("call.denied", {"code": code}, change=(call.state, State.DENIED))
    return await move(parts, call, (draft,), ending(call), wake_at=None, code=code)
