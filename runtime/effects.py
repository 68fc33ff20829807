"""Who holds an effect key, and what that means for whoever asks for the same effect again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..audit import State
from .call import Call
from .clock import MICROSECOND
from .statements import Write
from .store import Hold
from .work import Parts, Work


@dataclass(frozen=True, slots=True)
class Taken:
    """Why an effect key can't be had, and by whose call it is held where the asker may know that."""

    code: str
    holder: str | None = None


async def claim(parts: Parts, work: Work, held: Sequence[Hold], *, repeat_of: str | None = None) -> Work | Taken | Call:
    """See whether the effect key is free for this call, and which ordinal it would take; an earlier call that asked for the same is given.

    A holder that ended without effect has let go of its key, so whoever is found is on its way, of unknown outcome, or done.
    """
    call = work.call
    if not held or held[0].call == call.id:
        return work
    latest = await parts.store.get(held[0].call)
    if latest.pruned and any(hold.subject != work.asker.pseudonym for hold in held):
        return Taken("conflict")
    if latest.erased:
        # What was asked for, or by whom, can't be told any more: it was done, and is not done again unless somebody means that.
        meant = latest.pruned and repeat_of in {hold.call for hold in held}
        return work.evolve(next_ordinal=held[0].ordinal + 1) if meant or _time_has_passed(parts, work, latest) else latest
    if any(hold.subject != work.asker.pseudonym for hold in held):
        return Taken("conflict")  # another subject: nothing is revealed
    equal = next((hold.call for hold in held if hold.fingerprint == call.fingerprint), None)
    if latest.state is State.SUCCEEDED:
        following = work.evolve(next_ordinal=held[0].ordinal + 1)
        if repeat_of in {hold.call for hold in held} or _time_has_passed(parts, work, latest):
            return following
        if equal is None and work.action.again.when == "confirmed":
            return following.evolve(confirm=latest.id)
    return await parts.store.get(equal) if equal else Taken("effect_taken", latest.id)


async def asked_by(parts: Parts, call: Call, pseudonym: str) -> bool:
    """Say whether a call that was pruned was this customer's: what it asked for can't tell any more."""
    if call.subject == pseudonym:
        return True
    held = await parts.store.holds(call.effect_key) if call.effect_key is not None else []
    return any(hold.call == call.id and hold.subject == pseudonym for hold in held)


def claim_writes(work: Work) -> Work:
    """Take the effect key in the next commit, unless the call holds it already or none is declared."""
    call = work.call
    if call.effect_key is None or call.ordinal:
        return work
    assert call.fingerprint is not None
    row = (call.tenant, call.effect_key, work.next_ordinal, call.id, call.fingerprint, work.asker.pseudonym)
    return work.on_call(ordinal=work.next_ordinal).also(Write("effect.hold", row))


def _time_has_passed(parts: Parts, work: Work, holder: Call) -> bool:
    again = work.action.again
    return again.when == "after" and parts.clock.now() >= holder.updated_at + again.wait // MICROSECOND
