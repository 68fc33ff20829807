"""Settle an effect of unknown outcome: send it again under the same key, look it up, or say that only a person can find out."""

from __future__ import annotations

from typing import Any

from ..actions import Action, Context, EffectKind
from ..audit import State
from ..errors import Refused
from . import telemetry
from .backoff import FIRST_LOOK, LONGEST_LOOK, pause
from .breaker import connectors_of
from .call import Call
from .clock import SECOND
from .deadline import within
from .execution import READY_WITHIN, execute_and_settle, fail, reached, referred, refusal, replay_allowed, succeed
from .journal import LimitReached
from .outcome import problem
from .phases import context, start_attempt, travel
from .statements import Write
from .usage import anew, changes
from .work import Draft, Parts, Work, commit, move

LIFTED_BY_THEN = 30 * SECOND
LOOKS = 10
"""Look-ups in a row that fail before a person is told; from then on there is one a day."""
DAY = 24 * 3600 * SECOND

log = telemetry.logger("remit.settling")


def changed(call: Call, action: Action) -> bool:
    """Say whether the action is another than the one that the call was made for."""
    return (call.action_version, call.schema_digest) != (action.version, action.schema_digest)


async def find_out(parts: Parts, work: Work) -> Call:
    """Settle an unknown effect: replay under the same key while the provider honours it, then look it up.

    What is found proves that it was applied, at any time; so before a second replay it is looked up, in case the provider
    repeats an error that it saved under the key. What can be neither sent again nor looked up is dead: it waits for a person.
    """
    now, epoch, call = parts.clock.now(), parts.control.epoch, work.call
    replayed = replay_allowed(work, now) and not call.cancel_asked and not changed(call, work.action)
    if not replayed and work.action.effect.find is None:
        return await _dead(parts, work)
    if (turn := parts.breakers.pace(connectors_of(work.action))) is not None:
        return (await commit(parts, work.on_call(wake_at=turn))).call
    if replayed and parts.control.stopped_by(call) is None:
        if call.attempt > 1 and work.action.effect.find and (found := await _found(parts, work)) is not None:
            return (await commit(parts, found)).call
        if not replay_allowed(work, parts.clock.now()):  # the look-up took long, or this process slept: the key may be dead by now
            return (await commit(parts, work.on_call(wake_at=parts.clock.now()))).call
        again = start_attempt(parts, work).also(Write("control.hold", (call.tenant, epoch)), *changes(await anew(parts, work)))
        try:
            sent = await commit(parts, again)
        except LimitReached:
            pass  # it would happen beyond a limit now: it is looked up, or sent again once it fits
        else:
            return (await travel(parts, sent, (execute_and_settle,))).call
    if work.action.effect.find is None:  # once the switch is lifted, or the limit has room, it may still be sent again
        return (await commit(parts, work.on_call(wake_at=now + LIFTED_BY_THEN))).call
    if call.settle_at is not None and now < call.settle_at:
        return (await commit(parts, work.on_call(wake_at=call.settle_at))).call
    return (await _commit_told(parts, await _look_up(parts, work))).call


def answered(work: Work, told: Context, found: Any) -> Work | None:
    """Settle an unknown effect by what was found out about it; None where that is nothing."""
    work = referred(work, told)
    if isinstance(found, Refused):
        return fail(work.note("call.reconciled", {"found": False}), refusal(found))
    return None if found is None else succeed(work.note("call.reconciled", {"found": True}), found)


async def _dead(parts: Parts, work: Work) -> Call:
    """Say once that nothing automatic can settle it; not before its settle time, for as long a handler may still answer."""
    call = work.call
    if call.settle_at is not None and parts.clock.now() < call.settle_at:
        return (await commit(parts, work.on_call(wake_at=call.settle_at))).call
    work = work.on_call(wake_at=None)
    return (await _commit_told(parts, _buried(parts, work, _why(work)) if call.dead_at is None else work)).call


async def bury(parts: Parts, call: Call, why: str) -> Call:
    """Say once of a call that can't even be read any more that only a person can settle it."""
    if call.settle_at is not None and parts.clock.now() < call.settle_at:
        return await move(parts, call, (), wake_at=call.settle_at)
    if call.dead_at is not None:
        return await move(parts, call, (), wake_at=None)
    draft = Draft("call.dead_lettered", {"why": why, "attempts": call.attempt})
    dead = await move(parts, call, (draft,), dead_at=parts.clock.now(), wake_at=None)
    _tell(dead, why)
    return dead


def _why(work: Work) -> str:
    if work.action.effect.kind is not EffectKind.KEYED:
        return "no_look_up"
    if work.call.cancel_asked:
        return "attempts_forbidden"
    return "action_changed" if changed(work.call, work.action) else "key_life_over"


def _buried(parts: Parts, work: Work, why: str) -> Work:
    body = {"why": why, "attempts": work.call.attempt}
    return work.note("call.dead_lettered", body).on_call(dead_at=parts.clock.now())


async def _commit_told(parts: Parts, work: Work) -> Work:
    """Commit, and tell the operators where that leaves them to act."""
    dead = next((draft for draft in work.drafts if draft.kind == "call.dead_lettered"), None)
    done = await commit(parts, work)
    if dead is not None:
        _tell(done.call, dead.body["why"])
    return done


def _tell(call: Call, why: str) -> None:
    say = "call %s (%s) is of unknown outcome and only a person can find out (%s): `remit calls resolve %s`"
    log.error(say, call.id, call.action, why, call.id)


async def _found(parts: Parts, work: Work) -> Work | None:
    """Look once; what can't be looked up, or is not found, says nothing yet: only an answer about the effect itself does."""
    told = context(parts, work, provider=None)
    try:
        return answered(work, told, await _asked(parts, work, told))
    except Exception:  # noqa: BLE001 - a look-up that fails leaves the effect unknown
        return None


async def _look_up(parts: Parts, work: Work) -> Work:
    told, call, now = context(parts, work, provider=None), work.call, parts.clock.now()
    try:
        if (settled := answered(work, told, await _asked(parts, work, told))) is not None:
            return settled
    except Exception as error:  # noqa: BLE001 - a look-up that fails leaves the effect unknown
        return _not_looked_up(parts, work, error)
    if call.cancel_asked or call.attempt >= parts.attempts or changed(call, work.action):
        return fail(work.note("call.reconciled", {"found": False}), problem("not_applied"))
    work = work.note("call.reconciled", {"found": False}, to=State.READY)
    return work.on_call(unsure=0, wake_at=now, deadline_at=now + READY_WITHIN, settle_at=None, looks=0, dead_at=None)


def _not_looked_up(parts: Parts, work: Work, error: Exception) -> Work:
    """Look again later, each time longer, and after many failures once a day: then a person is told as well."""
    looks = work.call.looks + 1
    work = work.note("call.reconciled", {"found": None, "why": type(error).__name__})
    if looks >= LOOKS and work.call.dead_at is None:
        work = _buried(parts, work, "look_ups_fail")
    longer = DAY if work.call.dead_at is not None else pause(looks, first=FIRST_LOOK, most=LONGEST_LOOK)
    return work.on_call(looks=looks, wake_at=parts.clock.now() + longer)


async def _asked(parts: Parts, work: Work, told: Context) -> Any:
    """Ask the provider; a definite refusal is an answer: the effect was there, and came to nothing."""
    try:
        asking = work.action.look_up(told, work.session.as_subject(), work.arguments, parts.resources)
        found = await within(work.action.deadline, asking)
    except Exception as error:
        reached(parts, work, error)
        if isinstance(error, Refused) and error.definite:
            return error
        raise
    reached(parts, work)
    return found
