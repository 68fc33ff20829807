"""What limits have to do with a call: what was used when it is decided, what it takes at its intent, and what it gives back.

Reserved in the intent's own transaction, not while the call waits; held while it executes and while its outcome is unknown; given
back to the slice that took it when the call ends without effect, and taken anew by a later attempt once that slice is over: a limit
counts when things are done. What is read for a decision may be a moment old: the transaction looks again, and a call that does not
fit any more is decided once more, on what was found there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..audit import canonical
from ..policies import Decision, Evaluated, Headroom, Inputs, Measured, Policies, Then, evaluate, measured_by
from .series import CHANGE, Found, Take, width_of
from .statements import Write
from .work import Parts, Work, apart


@dataclass(frozen=True, slots=True)
class Counted:
    """The inputs of a decision with what was used and done before, and what the call takes of each limit if it is intended."""

    inputs: Inputs
    takes: tuple[Take, ...] = ()
    evaluated: Evaluated | None = None


async def count(parts: Parts, policies: Policies, work: Work, given: Inputs) -> Counted:
    """Say to a decision what was used of each limit that counts the call, and what was done before. Without any, that costs nothing."""
    tenant = work.call.tenant
    if policies.asks_done(given.action, tenant):
        given = replace(given, done=await parts.store.done(work.session.conversation, work.asker.pseudonym))
    ruleset = policies.ruleset(given.action, tenant)
    if ruleset is None or not ruleset.limits:
        return Counted(given)
    evaluated = evaluate(policies, given)
    takes = tuple(_take(parts, work, one) for one in measured_by(evaluated))
    return Counted(replace(given, usage=await _used(parts, work, takes)), takes, evaluated)


async def reserve(parts: Parts, work: Work) -> Work:
    """Take what the call takes of each limit, in the next commit."""
    covers = await _covered(parts, work)
    takes = [replace(take, covers=covers[take.limit]) if take.limit in covers else take for take in work.takes]
    return work.also(*changes(takes))


def changes(takes: Iterable[Take]) -> list[Write]:
    """Take these in the next commit, or refuse all of it."""
    return [Write(CHANGE, (take,)) for take in takes]


async def anew(parts: Parts, work: Work) -> tuple[Take, ...]:
    """Give what a call holds of limits as it would take it now, within what its last decision let it.

    An effect that is sent again may happen only now: then it counts now, and must still fit.
    """
    if not (held := await parts.store.held(work.call.id)):
        return ()
    limits = {f"{one.name}:{one.unit}": one for one in parts.control.policies.limits_for(work.action.name, work.call.tenant)}
    decision = await parts.store.last_decision(work.call.id)
    at_most = {one["limit"]: one["at_most"] for one in decision.get("limits", ())}
    covers = {one["rule"]: one["covers"] for one in decision.get("requirements", ()) if "covers" in one}
    return tuple(
        Take(
            tenant=work.call.tenant,
            call=work.call.id,
            limit=limit.name,
            series=series,
            key=one.key,
            member=one.member,
            takes=one.amount,
            width=width_of(limit.window),
            at=parts.clock.now(),
            at_most=at_most[limit.name],
            again=True,
            tell=partial(apart, parts),
            covers=covers.get(limit.name),
        )
        for series, one in held.items()
        if (limit := limits.get(series)) and limit.name in at_most
    )


def reservations(takes: tuple[Take, ...]) -> dict[str, Any]:
    """Say in the intent's event what it reserves; nothing where that is nothing."""
    if not takes:
        return {}
    told = (
        {"limit": one.limit, "series": one.series, "key": one.key.hex(), "takes": one.takes}
        | ({"member": one.member.hex()} if one.member else {})
        for one in takes
    )
    return {"reservations": list(told)}


def exceeded(parts: Parts, work: Work, decision: Decision) -> list[Headroom]:
    """List the limits that deny a call."""
    beyond = [one for one in decision.limits if one.exceeded]
    denying = {one.name for one in parts.control.policies.limits_for(work.action.name, work.call.tenant) if one.beyond is Then.DENY}
    return [one for one in beyond if one.limit in denying]


def _take(parts: Parts, work: Work, one: Measured) -> Take:
    series = f"{one.limit}:{one.unit}"
    key, member = _nameless(work, one.key), None if one.member is None else _nameless(work, one.member)
    return Take(
        tenant=work.call.tenant,
        call=work.call.id,
        limit=one.limit,
        series=series,
        key=parts.vault.hash("limit", canonical([series, key])),
        member=b"" if member is None else parts.vault.hash("limit.member", canonical([series, key, member])),
        takes=one.takes,
        width=width_of(one.window),
        at=parts.clock.now(),
        at_most=one.at_most,
        again=work.call.attempt > 0,
        tell=partial(apart, parts),
    )


def _nameless(work: Work, key: str) -> str:
    """Count a customer under the pseudonym: a hash of their id, which stands in the log for good, could be guessed with the lookup key."""
    return work.asker.pseudonym if key and key.encode() == canonical(work.session.subject) else key


async def _used(parts: Parts, work: Work, takes: tuple[Take, ...]) -> Found:
    own = await parts.store.held(work.call.id) if work.call.attempt else {}
    return {take.limit: work.found.get(take.limit) or await parts.store.used(take, own.get(take.series)) for take in takes}


async def _covered(parts: Parts, work: Work) -> Mapping[str, int]:
    """Give by limit the sum that people have agreed to for this call: all that is asked for was met, and some of it may cover more."""
    assert work.decision is not None
    covers = {one.rule: one.covers for one in work.decision.requirements if one.covers is not None}
    for one in await parts.store.requirements(work.call.id) if covers else ():
        if one.covers is not None and one.rule in covers and one.state in {"approved", "used"} and one.digest == work.call.digest:
            covers[one.rule] = max(one.covers, covers[one.rule])
    return covers
