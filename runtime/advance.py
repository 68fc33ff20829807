"""Take up a stored call and move it until it rests: after a vote, at a deadline, after a crash. Always the same way."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from ..actions import Action, Context
from ..audit import State
from ..errors import AuditError, Refused
from .activation import govern
from .approvals import to_widen, widen
from .call import Call
from .clock import MICROSECOND
from .deadline import within
from .execution import READY_WITHIN, SECOND, became_unknown, execute_and_settle, fail, next_look, referred, refusal, replay_allowed, succeed
from .journal import LimitReached
from .outcome import problem
from .phases import context, gather, halt, hold, intend, judge, own, start_attempt, travel
from .receive import digest_of
from .requirements import unanswered, waking, wanted
from .session import Session
from .statements import Write
from .usage import anew, changes
from .work import Draft, Parts, Work, commit, ending, move

FIRST = (halt, gather, own, judge, govern, hold, intend, execute_and_settle)
"""The phases of a call after `receive`; a call that rested goes through all of them again."""
LIFTED_BY_THEN = 30 * SECOND


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
    if (action := parts.catalog.get(call.action)) is None:
        return call
    match call.state:
        case State.READY if call.cancel_asked:
            draft = Draft("call.cancelled", {"why": "further attempts were forbidden"}, change=(call.state, State.CANCELLED))
            return await move(parts, call, (draft,), ending(call), wake_at=None, code="cancelled")
        case State.READY if call.wake_at is not None and now < call.wake_at:
            return call  # a wake-up that came early
        case State.WAITING | State.READY:
            return await _decide_again(parts, call, action)
        case State.EXECUTING if call.lease_until is not None and now >= call.lease_until:
            work = await restore(parts, call, action)
            if not action.effect.writes:
                return (await commit(parts, fail(work, problem("read_failed", retry="later")))).call
            settle_at = call.lease_until + action.effect.settle // MICROSECOND
            why = "the lease ended without an answer"
            return (await commit(parts, became_unknown(parts, work.on_call(settle_at=settle_at), why))).call
        case State.UNKNOWN:
            return await _find_out(parts, await restore(parts, call, action))
        case _:
            return call


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


def changed(call: Call, action: Action) -> bool:
    """Say whether the action is another than the one that the call was made for."""
    return (call.action_version, call.schema_digest) != (action.version, action.schema_digest)


async def _find_out(parts: Parts, work: Work) -> Call:
    """Settle an unknown effect: replay under the same key while the provider honours it, then look it up.

    What is found proves that it was applied, at any time; so before a second replay it is looked up, in case the provider
    repeats an error that it saved under the key.
    """
    now, epoch = parts.clock.now(), parts.control.epoch
    replayed = replay_allowed(work, now) and not work.call.cancel_asked and not changed(work.call, work.action)
    stopped = parts.control.stopped_by(work.call) is not None
    if replayed and not stopped:
        if work.call.attempt > 1 and work.action.effect.find and (found := await _found(parts, work)) is not None:
            return (await commit(parts, found)).call
        again = start_attempt(parts, work).also(Write("control.hold", (work.call.tenant, epoch)), *changes(await anew(parts, work)))
        try:
            sent = await commit(parts, again)
        except LimitReached:
            pass  # it would happen beyond a limit now: it is looked up, or sent again once it fits
        else:
            return (await travel(parts, sent, (execute_and_settle,))).call
    if work.action.effect.find is None:
        # Once the switch is lifted, or the limit has room, it may still be replayed; without that, only a person can find out.
        later = now + LIFTED_BY_THEN if replayed else None
        return (await commit(parts, work.on_call(wake_at=later))).call
    if work.call.settle_at is not None and now < work.call.settle_at:
        return (await commit(parts, work.on_call(wake_at=work.call.settle_at))).call
    return (await commit(parts, await _look_up(parts, work))).call


async def _found(parts: Parts, work: Work) -> Work | None:
    """Look once; what can't be looked up, or is not found, says nothing yet: only an answer about the effect itself does."""
    told = context(parts, work, provider=None)
    try:
        return answered(work, told, await _asked(parts, work, told))
    except Exception:  # noqa: BLE001 - a look-up that fails leaves the effect unknown
        return None


async def _look_up(parts: Parts, work: Work) -> Work:
    told = context(parts, work, provider=None)
    call, now = work.call, parts.clock.now()
    try:
        if (settled := answered(work, told, await _asked(parts, work, told))) is not None:
            return settled
    except Exception as error:  # noqa: BLE001 - a look-up that fails leaves the effect unknown
        later = next_look(parts, work, now + 30 * SECOND)
        return work.note("call.reconciled", {"found": None, "why": type(error).__name__}).on_call(wake_at=later)
    if call.cancel_asked or call.attempt >= parts.attempts or changed(call, work.action):
        return fail(work.note("call.reconciled", {"found": False}), problem("not_applied"))
    work = work.note("call.reconciled", {"found": False}, to=State.READY)
    return work.on_call(unsure=0, wake_at=now, deadline_at=now + READY_WITHIN, settle_at=None)


async def _asked(parts: Parts, work: Work, told: Context) -> Any:
    """Ask the provider; a definite refusal is an answer: the effect was there, and came to nothing."""
    try:
        asking = work.action.look_up(told, work.session.as_subject(), work.arguments, parts.resources)
        return await within(work.action.deadline, asking)
    except Refused as refused:
        if not refused.definite:
            raise
        return refused


def answered(work: Work, told: Context, found: Any) -> Work | None:
    """Settle an unknown effect by what was found out about it; None where that is nothing."""
    work = referred(work, told)
    if isinstance(found, Refused):
        return fail(work.note("call.reconciled", {"found": False}), refusal(found))
    return None if found is None else succeed(work.note("call.reconciled", {"found": True}), found)
