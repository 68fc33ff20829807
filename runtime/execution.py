"""Perform the effect, say honestly what is known of it, and settle that in one transaction.

Known not applied: `Retryable` (refused before a byte was sent, 429), and `Refused` where that proves it. Everything else that
goes wrong after the intent (a timeout, a reset, any other exception) is unknown. After one dispatch of unknown outcome no
refusal proves anything: only a replay under the same key, or a look-up.
"""

from __future__ import annotations

import inspect
import traceback
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_never

from ..actions import Action, Context, EffectKind, Problem, Result, ResultInvalid
from ..audit import State
from ..errors import Refused, Retryable, Unsure
from . import telemetry
from .backoff import asked_for, pause
from .breaker import connectors_of
from .clock import MICROSECOND, SECOND
from .deadline import Overdue, within
from .outcome import problem
from .phases import context, provider_key
from .recorded import parted_result, plain
from .work import Lingering, Parts, Work

log = telemetry.logger("remit.execution")

KEY_LIFE_USED = 0.8
"""A provider's key is replayed only within this part of its life."""
READY_WITHIN = 24 * 3600 * SECOND
"""A call that is ready begins within this time of when it could, or never."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The effect happened; `value` is the handler's raw result."""

    value: Any


@dataclass(frozen=True, slots=True)
class NotApplied:
    """The effect is known not to have happened."""

    error: Problem
    retry: bool = False
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The effect may or may not have happened; `said` are the handler's own words, which may be about the customer."""

    why: str
    said: str | None = None


Settlement = Applied | NotApplied | Unknown
SETTLED: dict[str, Any] = {"wake_at": None, "lease_until": None, "settle_at": None, "looks": 0, "dead_at": None}
"""What a call no longer has once its effect is known."""


async def execute_and_settle(parts: Parts, work: Work) -> Work:
    """Run the handler under its deadline and settle what is known: the last two phases."""
    told = context(parts, work, provider=provider_key(work))
    with telemetry.handling(work.action.name) as seen:
        settlement = await perform(parts, work, told)
        seen[telemetry.OUTCOME] = type(settlement).__name__
    return await settle(parts, work, settlement, told)


async def perform(parts: Parts, work: Work, told: Context) -> Settlement:
    """Run the handler; whatever it does, the answer is one of three."""
    action = work.action
    code = _in_time(parts, work, told)
    try:
        # To cancel a synchronous handler would only be to lose sight of its thread.
        value = await within(_time_left(parts, work), code, cancel=inspect.iscoroutinefunction(action.handler))
    except Overdue as overdue:
        parts.lingering[work.call.id] = Lingering(overdue.task, told)
        reached(parts, work, overdue)
        return Unknown(str(overdue))
    except Exception as error:  # noqa: BLE001 - after the intent anything that is not known to be harmless is unknown
        reached(parts, work, error)
        return _meaning(work, error, told)
    reached(parts, work)
    return Applied(value)


def _time_left(parts: Parts, work: Work) -> timedelta:
    """Say how long the handler may take: its deadline, and no longer than its lease lasts for whoever's clock is a little ahead."""
    if (lease := work.call.lease_until) is None:
        return work.action.deadline
    return min(work.action.deadline, (lease - parts.clock.now()) * MICROSECOND - parts.lease_margin / 2)


async def _in_time(parts: Parts, work: Work, told: Context) -> Any:
    """Send nothing once the lease is over: whoever has slept since the intent, or waited long for its commit, comes too late."""
    if _time_left(parts, work) <= timedelta(0):
        raise Retryable("nothing was sent: the lease was over", after=0)
    return await work.action.perform(told, work.session.as_subject(), work.arguments, parts.resources)


def reached(parts: Parts, work: Work, error: Exception | None = None) -> None:
    """Tell the breakers whether the provider has answered; an error that says neither is passed over, such as a 429."""
    match error:
        case None | Refused(definite=True):
            parts.breakers.answered(connectors_of(work.action))
        case Refused():
            return  # it may be the handler's own word
        case Retryable() if error.after is not None:
            return
        case _:
            parts.breakers.failed(connectors_of(work.action))


def _meaning(work: Work, error: Exception, told: Context) -> Settlement:
    match error:
        case Refused() if _proves(work, error, told):
            return NotApplied(refusal(error))
        case Refused():
            return Unknown("a refusal after the key was used proves nothing")
        case Retryable() if work.call.unsure:
            return Unknown("an earlier attempt may have been applied")
        case Retryable():
            return NotApplied(problem("not_applied"), retry=True, after=error.after)
        case Unsure():
            return Unknown("the handler is not sure", said=plain(error.message))
        case _:
            # Its message may be about the customer; its place is the developer's.
            at = traceback.extract_tb(error.__traceback__)[-1]
            log.error("call %s: the handler raised %s at %s:%s", work.call.id, type(error).__name__, at.filename, at.lineno)
            return Unknown(f"the handler raised {type(error).__name__}")


def refusal(error: Refused) -> Problem:
    """Say to the model why the provider refused."""
    return Problem(plain(error.reason_code, most=64), plain(error.message), (), "never")


def _proves(work: Work, refused: Refused, told: Context) -> bool:
    """Say whether a refusal proves that nothing was applied, by this attempt or an earlier one."""
    if work.call.unsure:
        return refused.definite and work.action.effect.kind is EffectKind.KEYED
    return refused.definite or not told.key_used


async def settle(parts: Parts, work: Work, settlement: Settlement, told: Context) -> Work:
    """Move the call by what is known of its effect."""
    work = referred(work, told)
    match settlement:
        case Applied(value):
            return succeed(work, value)
        case NotApplied():
            return await _not_applied(parts, work, settlement)
        case Unknown() if not work.action.effect.writes:
            return fail(work, problem("read_failed", retry="later"))
        case Unknown(why, said):
            return became_unknown(parts, work, why, said)
        case _:
            assert_never(settlement)


def referred(work: Work, told: Context) -> Work:
    """Keep the provider's own name for the effect, and its status."""
    if not told.provider_reference:
        return work
    status = told.provider_status
    return work.on_call(reference=plain(told.provider_reference), provider_status=None if status is None else plain(status))


def succeed(work: Work, value: Any) -> Work:
    """Settle as done; a result that can't be used is said to be invalid, never failed: the effect happened."""
    call = work.call
    result = _checked(work.action, value)
    body: dict[str, Any] = {"reference": call.reference, "status": call.provider_status}
    personal: dict[str, Any] = {}
    match result:
        case Result():
            body["result"], hidden = parted_result(work.action, result.canonical)
            personal = {f"/result{pointer}": hidden_value for pointer, hidden_value in hidden.items()}
            kept = {"model": result.model, "canonical": result.canonical}
        case ResultInvalid():
            body["result_invalid"] = True
            kept = {"error": problem("result_invalid").to_json(), "invalid": result.reason}
        case _:
            assert_never(result)
    code = None if isinstance(result, Result) else "result_invalid"
    ended = {"code": code, "result": work.owner.seal(kept, call.id), **SETTLED}
    return work.note("call.succeeded", body, personal, to=State.SUCCEEDED, **ended).rest()


def _checked(action: Action, value: Any) -> Result | ResultInvalid:
    try:
        result = action.result(value)
    except Exception as error:  # noqa: BLE001 - a result whose own code fails: the effect has happened all the same
        return ResultInvalid(f"checking it raised {type(error).__name__}")
    return result if isinstance(result, Result) else ResultInvalid(plain(result.reason))


async def _not_applied(parts: Parts, work: Work, settlement: NotApplied) -> Work:
    call = work.call
    if settlement.retry and not work.action.effect.writes:
        return fail(work, problem("read_failed", retry="later"))
    now, after = parts.clock.now(), settlement.after
    again = settlement.retry and call.attempt < parts.attempts and (after is None or after * SECOND < READY_WITHIN)
    if again and not (await parts.store.get(call.id)).cancel_asked:
        wake_at = now + (pause(call.attempt) if after is None else asked_for(after))
        body = {"attempt": call.attempt, "why": settlement.error.code, "applied": False}
        work = work.note("call.reconciled", body, to=State.READY)
        return work.on_call(wake_at=wake_at, deadline_at=wake_at + READY_WITHIN, lease_until=None).rest()
    return fail(work, settlement.error)


def fail(work: Work, error: Problem) -> Work:
    """Settle as known not applied: the effect key is free again."""
    return (
        work.note("call.failed", {"code": error.code, "attempt": work.call.attempt}, to=State.FAILED)
        .let_go()
        .on_call(
            code=error.code,
            result=work.owner.seal({"error": error.to_json()}, work.call.id),
            **SETTLED,
        )
        .rest()
    )


def became_unknown(parts: Parts, work: Work, why: str, said: str | None = None) -> Work:
    """Say that the effect may or may not have happened, and when it will be found out."""
    call, now = work.call, parts.clock.now()
    settle_at = max(now, call.settle_at or now + work.action.effect.settle // MICROSECOND)
    work = work.note("call.became_unknown", {"attempt": call.attempt, "why": why}, {"/said": said} if said else {}, to=State.UNKNOWN)
    return work.on_call(unsure=1, lease_until=None, settle_at=settle_at, wake_at=next_look(parts, work, settle_at)).rest()


def next_look(parts: Parts, work: Work, settle_at: int) -> int:
    """Say when an unknown effect is looked at next; where nothing automatic can settle it, that is said when its settle time is over."""
    again = parts.clock.now() + pause(work.call.attempt)
    return again if replay_allowed(work, parts.clock.now()) else max(settle_at, again)


def replay_allowed(work: Work, now: int) -> bool:
    """Say whether the provider still honours the key of the first attempt, with time to spare."""
    effect, first = work.action.effect, work.call.first_sent_at
    return effect.ttl is not None and first is not None and now < first + int(KEY_LIFE_USED * (effect.ttl // MICROSECOND))
