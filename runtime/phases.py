"""The way of a call, as small named phases over one immutable value.

    receive   find the action; strict JSON; validate; canonical bytes; a key seen before is the earlier call (receive.py)
    halt      a thrown switch stops it here
    gather    load only the facts that the ownership check and the rules mention
    own       the declared ownership check; a foreign object and a missing one get the same answer
    judge     pure: (policies, inputs) -> Decision
    govern    a change of the policies is held to more than they say themselves (activation.py)
    hold      requirements open: waiting, and the caller is answered at once
    cool_off  a cooling-off that an action or a rule asks for: ready, and still to be cancelled (delay.py)
    let_through  nothing goes through a connector that is out of reach (delay.py)
    intend    one transaction: effect key, approvals, intent          <- barrier: durable before any byte leaves
    execute   outside any transaction: the handler, with a derived provider key and a deadline (execution.py)
    settle    one transaction: outcome and event (execution.py)

Whatever moves a call commits its fact and leaves a wake-up; `advance` then takes the call through the same phases, so crash
recovery is not a second code path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from ..actions import Context
from ..audit import State
from ..errors import StoreError
from ..policies import Decision, Inputs, Then, decide
from . import telemetry
from .approvals import nobody_can
from .clock import MICROSECOND, SECOND, to_datetime, to_micros, to_text
from .deadline import within
from .effects import claim_writes
from .journal import Conflict
from .outcome import WORDS, problem
from .recorded import parted_arguments, without_secrets
from .requirements import Standing, ask, keep, needs_of, rests, standing, voided
from .shadow import beside
from .statements import Write
from .step_up import impossible
from .usage import count, exceeded, reservations, reserve
from .work import Parts, Work, commit

FACTS_AGAIN = 5 * SECOND
SETTLE_PAUSES = (0.05, 0.2, 1.0)

Phase = Callable[[Parts, Work], Awaitable[Work]]


async def travel(parts: Parts, work: Work, phases: tuple[Phase, ...]) -> Work:
    """Take a call through phases until it rests, and commit what is left to write."""
    for phase in phases:
        work = await phase(parts, work)
        if work.at_rest:
            break
    return await _commit_at_rest(parts, work) if work.at_rest else work


async def _commit_at_rest(parts: Parts, work: Work) -> Work:
    """Commit; an effect that has happened is worth several tries, or recovery would have to find it out."""
    for pause in SETTLE_PAUSES if work.stored else ():
        try:
            return await commit(parts, work)
        except Conflict:
            raise
        except StoreError:
            await asyncio.sleep(pause)
    return await commit(parts, work)


async def halt(parts: Parts, work: Work) -> Work:
    """Stop what a switch names, before any of its facts is loaded; one thrown later is met by the intent, which holds this epoch."""
    switch = parts.control.stopped_by(work.call)
    return deny(work, "switched_off", switch=switch) if switch else work.evolve(epoch=parts.control.epoch)


async def gather(parts: Parts, work: Work) -> Work:
    """Load only the facts that the ownership check and the rules mention."""
    name = work.action.name
    wanted = parts.guards[name].facts | parts.control.policies.facts_for(name, work.call.tenant) | work.action.summary_facts
    try:
        facts = await within(work.action.deadline, _facts(parts, work, wanted)) if wanted else {}
    except Exception:  # noqa: BLE001 - the developer's code, or the network behind it
        return _without_facts(parts, work)
    work = work.evolve(facts=facts)
    about = parts.guards[name].about
    whose = about.evaluate(inputs(parts, work)) if about else None
    if isinstance(whose, str) and whose:
        work = work.evolve(about=whose)
        return work if work.stored else work.evolve(owner=await parts.vault.subject(whose, keep=not work.dry_run))
    return work


async def _facts(parts: Parts, work: Work, wanted: Iterable[str]) -> dict[str, Any]:
    told, subject = reading_context(parts, work), work.session.as_subject()
    return {fact: await work.action.load_fact(fact, told, subject, work.arguments, parts.resources) for fact in sorted(wanted)}


async def own(parts: Parts, work: Work) -> Work:
    """Check the declared ownership; an error is a no."""
    owns = parts.guards[work.action.name].owns
    if owns is None or owns.evaluate(inputs(parts, work)) is True:
        return deny(work, "conflict") if work.conflict else work
    # A foreign object and a missing one get the same answer, and foreign facts are not recorded.
    return deny(work.evolve(facts={}), "not_found")


@telemetry.phase(telemetry.DECIDE)
async def judge(parts: Parts, work: Work) -> Work:
    """Decide by the policies in force, and record what was looked at; raises `Conflict` where they are not those whose facts were loaded."""
    if work.epoch != parts.control.epoch and not work.dry_run:
        raise Conflict("control.hold")  # a fact that only the new ones look at would count as missing, and might deny for good
    policies, given = parts.control.policies, inputs(parts, work)
    counted = await count(parts, policies, work, given)
    decision = decide(policies, counted.inputs, counted.evaluated)
    telemetry.decided(work.action.name, decision)
    work = await beside(parts, work, given, decision, _facts)  # before `call.decided`: the last event may be the one that moves the call
    body, personal = _decided(work, counted.inputs, decision.to_json(), policies.digest)
    work = work.evolve(decision=decision, takes=counted.takes).note("call.decided", body, personal)
    return work if decision.allowed else _refused(parts, work, decision)


async def hold(parts: Parts, work: Work) -> Work:
    """Ask for what is still open, one stage after the other; what nobody could meet is refused at once."""
    if not work.stored and not needs_of(work):
        return work
    stands = await standing(parts, work)
    if stands.ask and (refused := await _unmeetable(parts, work, stands)):
        return refused
    work, granted = keep(parts, voided(work, stands), stands)
    if not stands.unmet:
        return work.evolve(granted=granted)
    return claim_writes(await ask(parts, work, stands) if stands.ask else rests(work, stands.already))


async def _unmeetable(parts: Parts, work: Work, stands: Standing) -> Work | None:
    """Refuse what nobody could ever agree to, or what can't be asked for just now."""
    assurance = max((need.assurance for need in stands.unmet if need.kind == "step_up"), default=None)
    if assurance is not None:
        try:
            why = await within(work.action.deadline, impossible(parts, work.session, assurance))
        except Exception:  # noqa: BLE001 - the developer's code, or the network behind it
            return _without_facts(parts, work)
        if why:
            return deny(work, "step_up_impossible", why=why)
    why = await nobody_can(parts, work, [need.seats for need in needs_of(work) if need.kind == "approval"])
    return deny(work, "nobody_can_approve", why=why) if why else None


async def intend(parts: Parts, work: Work) -> Work:
    """Write the intent, durable before any byte leaves; a read has none, unless a limit counts it."""
    if work.dry_run:
        return work.on_call(state=State.READY).rest()
    if work.call.state is State.WAITING:
        work = work.moved_by_last(State.READY)
    if not work.action.effect.writes and not work.takes:
        return work
    work = (await reserve(parts, claim_writes(work))).also(
        Write("control.hold", (work.call.tenant, work.epoch)),
        *(Write("requirement.move", ("used", work.call.tenant, one, "approved")) for one in work.granted),
    )
    return await commit(parts, start_attempt(parts, work))


def start_attempt(parts: Parts, work: Work) -> Work:
    """Make the next attempt: a lease, and the event that says what will be sent under which key."""
    call, now = work.call, parts.clock.now()
    lease = now + (work.action.deadline + parts.lease_margin) // MICROSECOND
    body = {
        "digest": call.digest,
        "attempt": call.attempt + 1,
        "kind": work.action.effect.kind.value,
        "effect_key": call.effect_key.hex() if call.effect_key else None,
        "ordinal": call.ordinal,
        "provider_key": parts.vault.hash("provider", provider_key(work)).hex(),
        "lease_until": to_text(lease),
        "approvals": list(work.granted),
        **reservations(work.takes),
    }
    return work.note(
        "call.intended",
        body,
        to=State.EXECUTING,
        attempt=call.attempt + 1,
        lease_until=lease,
        wake_at=lease,
        settle_at=None,
        deadline_at=None,
        first_sent_at=call.first_sent_at or now,
    )


def provider_key(work: Work) -> str:
    """Derive the key that the provider sees from call and effect, never from the attempt."""
    return f"{work.call.id}-{work.call.ordinal}"


def deny(work: Work, code: str, *, say: str | None = None, retry: str = "never", holder: str | None = None, **told: str) -> Work:
    """End the call without effect; `holder` names the call that was there first, and `told` is for the event alone."""
    error = problem(code, say or (f"{WORDS[code]} The earlier call is {holder}." if holder else None), retry=retry)
    return (
        work.note("call.denied", {"code": code, **told} | ({"holder": holder} if holder else {}), to=State.DENIED)
        .let_go()
        .on_call(code=code, wake_at=None, result=work.owner.seal({"error": error.to_json()}, work.call.id))
        .rest()
    )


def inputs(parts: Parts, work: Work) -> Inputs:
    """Gather what rules may look at."""
    session = work.session
    return Inputs(
        action=work.action.name,
        arguments=without_secrets(work.action, work.arguments.canonical),
        facts={name: value for name, value in work.facts.items() if value is not None},
        subject={"id": session.subject, "assurance": session.assurance, "anonymous": session.as_subject().anonymous}
        | ({"verified_at": to_text(to_micros(session.verified_at))} if session.verified_at else {}),
        principal={"id": session.principal, "kind": session.kind},
        session={"tenant": session.tenant, "conversation": session.conversation, "channel": session.channel, "model": session.model},
        now=to_text(parts.clock.now()),
    )


def reading_context(parts: Parts, work: Work) -> Context:
    """Make the context of a fact loader: no key, no attempt, nothing to write with."""
    return context(parts, work, provider=None)


def context(parts: Parts, work: Work, *, provider: str | None) -> Context:
    """Make the context that the developer's code receives."""
    return Context(
        call_id=work.call.id,
        action=work.action.name,
        tenant=work.call.tenant,
        principal=work.session.principal,
        conversation=work.session.conversation,
        attempt=work.call.attempt,
        deadline=to_datetime(parts.clock.now()) + work.action.deadline,
        effect_key=work.effect_text,
        provider_key=provider,
    )


def _refused(parts: Parts, work: Work, decision: Decision) -> Work:
    """Deny, and say which limit was in the way, or what would have to be done first."""
    stops = exceeded(parts, work, decision)
    for one in stops:
        work = work.note("limit.exceeded", {"limit": one.limit, "used": one.used, "takes": one.takes, "at_most": one.at_most})
    rules = {match.then for match in decision.matched}
    if decision.missing and not stops and Then.ALLOW in rules and Then.DENY not in rules:
        words = f"{WORDS['prerequisite_missing']} First call {' and '.join(decision.missing)}, then ask for this again."
        return deny(work, "prerequisite_missing", say=decision.say or words, retry="later")
    return deny(work, "denied", say=decision.say)


def _without_facts(parts: Parts, work: Work) -> Work:
    if work.stored == 0:
        return deny(work, "facts_unavailable", retry="later")
    # Somebody has agreed to this call already: a provider that is down for a moment must not deny it.
    return work.on_call(wake_at=parts.clock.now() + FACTS_AGAIN).rest()


def _decided(work: Work, given: Inputs, decision: Mapping[str, Any], digest: str) -> tuple[dict[str, Any], dict[str, Any]]:
    clear, personal = parted_arguments(work.action, work.arguments.canonical)
    recorded = {**given.to_json(), "arguments": clear, "facts": {}}
    recorded["subject"] = {name: value for name, value in recorded["subject"].items() if name != "id"}
    sealed = {f"/inputs/arguments{pointer}": value for pointer, value in personal.items()}
    sealed |= {f"/inputs/facts/{name}": value for name, value in given.facts.items()}
    sealed["/inputs/subject/id"] = given.subject["id"]
    if "conversation" in recorded["session"]:  # by its name somebody could be found elsewhere
        recorded["session"] = {name: value for name, value in recorded["session"].items() if name != "conversation"}
        sealed["/inputs/session/conversation"] = given.session["conversation"]
    return {"decision": dict(decision), "policy": digest, "inputs": recorded}, sealed
