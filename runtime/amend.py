"""Amend a call that waits: another digest, decided anew. What people had agreed to counts no more; whoever amends can't vote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..actions import Problem
from ..audit import State
from ..errors import AlreadySettled, AlreadyStarted, ApprovalNotOpen, NotAmended, NotAnApprover
from .advance import FIRST, restore
from .answering import TRIES, named_call
from .approvals import Barred, approvals_of, customer_of, exclude
from .call import Call
from .effects import Taken, claim, claim_writes
from .finding_out import changed
from .journal import Conflict
from .people import OPERATOR, People
from .phases import hold, travel
from .receive import digest_of, effect_text_of, fingerprint_of
from .recorded import parted_arguments
from .statements import Write
from .votes import entitled
from .work import Parts, Work, commit, resealed

RESTARTED: dict[str, Any] = {"met_at": None, "delayed_until": None}
"""What is another call now cools off anew."""


async def amend(
    parts: Parts, people: People, call_id: str, *, by: str, arguments: Mapping[str, Any], reason: str, digest: str | None = None
) -> Call:
    """Put arguments in place of those that a waiting call has, and decide it anew; what needs nobody any more is due at once.

    `arguments` are as a model sends them, and are put into what `digest` names: not into what somebody else has made of it. Raises
    `NotAnApprover` for whoever may not approve it and is no operator, and for its customer; `NotAmended`, `AlreadyStarted`,
    `AlreadySettled`, `ApprovalNotOpen` (its time is over, or it has another digest), `CallNotFound`.
    """
    for _ in range(TRIES):
        call = await named_call(parts, call_id)
        digest = call.digest if digest is None else digest
        try:
            await _check(parts, people, call, by)
        except NotAnApprover:
            if (await parts.store.get(call.id)).version != call.version:
                continue  # who is asked was read of what somebody else has made of it since
            raise
        if digest != call.digest:
            raise ApprovalNotOpen("the call has changed since it was shown; look at it again")
        work = await _amended(parts, await _restored(parts, call), arguments, by, reason)
        try:
            return await _decided(parts, work)
        except Conflict:
            continue
    raise ApprovalNotOpen


async def _check(parts: Parts, people: People, call: Call, by: str) -> None:
    if call.final:
        raise AlreadySettled(f"the call has already ended: {call.state}")
    if call.state is not State.WAITING:
        raise AlreadyStarted("only a call that waits can be amended")
    if call.deadline_at is not None and parts.clock.now() >= call.deadline_at:
        raise ApprovalNotOpen("nobody answered in time, so it is never done")
    person, asked = await people.get(by), [one for one in await approvals_of(parts, call) if one.state == "open"]
    if person is not None and person.active and OPERATOR in person.roles:
        if (await Barred.of(parts, call, await customer_of(parts, call))).serves(person):
            raise NotAnApprover(f"this is done for {by}, so somebody else must amend it")
    elif asked:
        await entitled(parts, people, by, call, asked)
    else:
        raise NotAnApprover(f"nobody is asked to approve it now, so only a person of the role {OPERATOR} can amend it")


async def _restored(parts: Parts, call: Call) -> Work:
    action = parts.catalog.get(call.action)
    if action is None or changed(call, action):
        raise NotAmended(f"{call.action} is not here as it was when this was asked for")
    return await restore(parts, call, action)


async def _amended(parts: Parts, work: Work, arguments: Mapping[str, Any], by: str, reason: str) -> Work:
    """Make the call another: new arguments, digest, fingerprint and effect key, under a new nonce: no old vote can ever fit it."""
    action, session, call = work.action, work.session, work.call
    merged = action.read({**action.as_sent(work.arguments), **arguments})
    if isinstance(merged, Problem):
        raise NotAmended("; ".join([f"{one.path or 'the arguments'} {one.problem}" for one in merged.field_errors]) or merged.message)
    nonce, effect_text = os.urandom(32), effect_text_of(action, merged, session)
    digest = digest_of(nonce, action, merged, session, effect_text)
    clear, personal = parted_arguments(action, merged.canonical)
    body = {"digest_before": call.digest, "digest": digest, "by": by, "arguments": clear}
    sealed = {f"/arguments{pointer}": value for pointer, value in personal.items()} | ({"/reason": reason} if reason else {})
    fingerprint = fingerprint_of(work.asker, action, merged, session, effect_text)
    first = work.proposed or (call.fingerprint or b"").hex()
    work = work.evolve(arguments=merged, nonce=nonce.hex(), effect_text=effect_text, proposed=first)
    work = work.note("call.amended", body, sealed, to=State.WAITING, digest=digest, fingerprint=fingerprint, **RESTARTED)
    return (await _rekeyed(parts, work, call)).also(exclude(work.owner, call, by))


async def _rekeyed(parts: Parts, work: Work, before: Call) -> Work:
    """Hold the new effect key in place of the old one, in one transaction."""
    key = parts.vault.hash("effect", work.effect_text) if work.effect_text else None
    place = (before.tenant, before.effect_key, before.ordinal, before.id)
    if key == before.effect_key:
        return work.also(Write("effect.amend", (work.call.fingerprint, *place))) if before.ordinal else work
    work = work.on_call(effect_key=key, ordinal=0).evolve(next_ordinal=1, confirm=None)
    if before.ordinal:
        work = work.also(Write("effect.free", place))
    claimed = await claim(parts, work, await parts.store.holds(key) if key else [])
    if not isinstance(claimed, Work):
        holder = claimed.holder if isinstance(claimed, Taken) else claimed.id
        raise NotAmended(f"this is done by {holder} already" if holder else "this can't be done here")
    return claimed


async def _decided(parts: Parts, work: Work) -> Call:
    work = await travel(parts, resealed(work), FIRST[: FIRST.index(hold) + 1])
    if not work.at_rest:
        # Nothing more is asked for: it is taken up like any call on which the last answer has come.
        work = await commit(parts, claim_writes(resealed(work)).on_call(wake_at=parts.clock.now()))
    return work.call
