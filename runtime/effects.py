"""Who holds an effect key, and what that means for whoever asks for the same effect again."""

from __future__ import annotations

from dataclasses import dataclass

from ..audit import State
from .call import Call
from .clock import MICROSECOND
from .statements import Write
from .work import Parts, Work


class HeldByEqual(Exception):
    """The same subject has asked for just this before."""

    def __init__(self, holder: Call) -> None:
        super().__init__(holder.id)
        self.holder = holder


@dataclass(frozen=True, slots=True)
class Taken:
    """Why an effect key can't be had, and by whose call it is held where the asker may know that."""

    code: str
    holder: str | None = None


def claim(parts: Parts, work: Work, *, repeat_of: str | None = None) -> Work | Taken:
    """See whether the effect key is free for this call, and which ordinal it would take.

    Raises `HeldByEqual` when the holder asked for the same. A holder that ended without effect has let go of its key, so whoever is found is on its way, of unknown outcome, or done.
    """
    call = work.call
    held = parts.store.holder(call.effect_key) if call.effect_key else None
    if held is None or held[0].id == call.id:
        return work
    holder, fingerprint = held
    if _subject(parts, holder) != work.asker.pseudonym:
        return Taken("conflict")  # another subject: nothing is revealed
    same = fingerprint == call.fingerprint
    if holder.state is State.SUCCEEDED and (repeat_of == holder.id or _time_has_passed(parts, work, holder)):
        return work.evolve(next_ordinal=holder.ordinal + 1)
    if same:
        raise HeldByEqual(holder)
    if holder.state is State.SUCCEEDED and work.action.again.when == "confirmed":
        return work.evolve(next_ordinal=holder.ordinal + 1, confirm=holder.id)
    return Taken("effect_taken", holder.id)


def claim_writes(work: Work) -> Work:
    """Take the effect key in the next commit, unless the call holds it already or none is declared."""
    call = work.call
    if call.effect_key is None or call.ordinal:
        return work
    assert call.fingerprint is not None
    row = (call.tenant, call.effect_key, work.next_ordinal, call.id, call.fingerprint, work.asker.pseudonym)
    return work.on_call(ordinal=work.next_ordinal).also(Write("effect.hold", row))


def _subject(parts: Parts, holder: Call) -> str:
    row = parts.store.row(
        "SELECT subject FROM effect WHERE tenant = ? AND key = ? AND ordinal = ?", (holder.tenant, holder.effect_key, holder.ordinal)
    )
    return str(row[0]) if row else ""


def _time_has_passed(parts: Parts, work: Work, holder: Call) -> bool:
    again = work.action.again
    return again.when == "after" and parts.clock.now() >= holder.updated_at + again.wait // MICROSECOND
