"""Where the log and a provider's ledger differ: one call against what the ledger shows of it, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from ..actions import LedgerEntry
from ..audit import State
from .recorded import plain
from .recounted import Recounted

Code = Literal[
    "missing_at_provider",
    "unknown_to_log",
    "amount_differs",
    "detail_differs",
    "done_though_failed",
    "done_twice",
    "taken_back_differs",
]

SAYS: Mapping[Code, str] = {
    "missing_at_provider": "the log says that it was done, and the ledger has nothing of it",
    "unknown_to_log": "the ledger has it, and no call of this log has done it",
    "amount_differs": "the amounts differ",
    "detail_differs": "the ledger shows another one than was asked for",
    "done_though_failed": "the ledger has it, and the log does not say that it was done",
    "done_twice": "the ledger has it more than once for one call",
    "taken_back_differs": "one says that it was taken back, and the other that it stands",
}
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the log and a ledger do not agree about.

    `call` is the call, or the name that an entry gives in vain; `reference` the provider's name for the object. `says` is for people,
    without personal values, and `do` what to do about it.
    """

    code: Code
    ledger: str
    effect: str
    call: str | None
    reference: str | None
    says: str
    do: str


Standing = Literal["agrees", "under_way", "settling", "superseded", "nothing_entered"]


def judged(
    told: Recounted, entries: Sequence[LedgerEntry], *, ledger: str, effect: str, ended: bool = False
) -> Standing | list[Difference]:
    """Hold one call against all that its ledger shows of the object that it is about.

    `ended` says that another call of this log has rightly removed it since.
    """
    mine = [one for one in entries if is_of(told, one)]
    standing = [one for one in mine if one.stands]
    found = _Finder(told.id, ledger, effect)
    match told.state:
        case State.SUCCEEDED:
            return _done(found, told, entries, mine, ended=ended)
        case State.UNKNOWN if standing and not told.settling:
            do = f"the effect happened: `remit calls resolve {told.id} --applied --reason TEXT`"
            return [found("done_though_failed", standing[0].reference, "the log does not know whether it was done; the ledger has it", do)]
        case State.UNKNOWN:
            return "settling"
        case State.NEW | State.WAITING | State.READY | State.EXECUTING if told.attempted:
            return "under_way"
        case State.NEW | State.WAITING | State.READY | State.EXECUTING:
            return [_past(found, told, standing[0])] if standing else "under_way"
        case State.FAILED | State.DENIED | State.REJECTED | State.DECLINED | State.EXPIRED | State.CANCELLED:
            return [_past(found, told, standing[0])] if standing else "agrees"
        case _:
            assert_never(told.state)


def unknown(entry: LedgerEntry, *, ledger: str, why: str = "") -> Difference:
    """Say of an entry that no call of this log has made it."""
    named = f"it names {plain(entry.call, most=60)}, {why or 'which this log does not know'}" if entry.call else "it names no call"
    amount = f" of {entry.amount}" if entry.amount else ""
    do = "find out at the provider who did it: a person there, another program with its key, or another database of Remit"
    find = _Finder(plain(entry.call, most=LONGEST) if entry.call else None, ledger, entry.effect)
    return find("unknown_to_log", entry.reference, f"a {_words(entry.effect)}{amount} was made past this log: {named}", do)


@dataclass(frozen=True, slots=True)
class _Finder:
    call: str | None
    ledger: str
    effect: str

    def __call__(self, code: Code, reference: str | None, says: str, do: str) -> Difference:
        return Difference(
            code, self.ledger, self.effect, self.call, None if reference is None else plain(reference, most=LONGEST), says, do
        )


def is_of(told: Recounted, entry: LedgerEntry) -> bool:
    """Say whether an entry is a call's: it names it, or names none and has the reference that the call was given."""
    return entry.call == told.id or (entry.call is None and told.reference is not None and entry.reference == told.reference)


def _past(found: _Finder, told: Recounted, entry: LedgerEntry) -> Difference:
    says = f"the call is {told.state}, and the ledger has its {_words(entry.effect)}"
    return found(
        "done_though_failed", entry.reference, says, f"take it back at the provider, or correct the books; `remit audit story {told.id}`"
    )


def _done(
    found: _Finder, told: Recounted, entries: Sequence[LedgerEntry], mine: Sequence[LedgerEntry], *, ended: bool
) -> Standing | list[Difference]:
    standing = [one for one in mine if one.stands]
    look = f"look at it at the provider; `remit audit story {told.id}`"
    if told.taken_back:
        written_over = told.undo is not None and any(one.call == told.undo for one in entries)
        if not standing or written_over:
            return "agrees"
        says = f"the log says that it was {told.taken_back}, and it stands at the provider"
        return [found("taken_back_differs", standing[0].reference, says, look)]
    if not standing and (ended or _stood_already(told, entries)):
        return "agrees"
    if mine and not standing:
        says = "the log says that it was done, and the provider has taken it back since"
        return [
            found(
                "taken_back_differs",
                mine[0].reference,
                says,
                f"`remit calls reversed {told.id} --reference {plain(mine[0].reference, most=60)}`",
            )
        ]
    if told.reference is not None and all(one.reference != told.reference for one in mine):
        if told.settling:
            return "settling"
        other = f"; what names this call there is {plain(mine[0].reference, most=60)}" if mine else ""
        do = f"look for it at the provider: was it removed, or never there? `remit audit story {told.id}`"
        return [found("missing_at_provider", told.reference, f"{SAYS['missing_at_provider']}{other}", do)]
    if not mine:
        return "settling" if told.settling else [found("missing_at_provider", None, SAYS["missing_at_provider"], look)]
    return [*_contents(found, told, mine, look)] or "agrees"


def _contents(found: _Finder, told: Recounted, mine: Sequence[LedgerEntry], look: str) -> list[Difference]:
    differ: list[Difference] = []
    standing = [one for one in mine if one.stands]
    entry = next((one for one in standing if one.reference == told.reference), standing[0])
    for other in standing:
        if other is not entry:
            says = f"the ledger has it twice for this call: {plain(entry.reference, most=60)} and {plain(other.reference, most=60)}"
            differ.append(
                found("done_twice", other.reference, says, f"take one of them back at the provider; `remit audit story {told.id}`")
            )
    if None not in (told.amount, entry.amount) and told.amount != entry.amount:
        differ.append(found("amount_differs", entry.reference, f"the log says {told.amount}, the ledger {entry.amount}", look))
    if None not in (told.detail, entry.detail) and told.detail != entry.detail:
        differ.append(found("detail_differs", entry.reference, SAYS["detail_differs"], look))
    return differ


def _stood_already(told: Recounted, entries: Sequence[LedgerEntry]) -> bool:
    """Say whether a call that has entered nothing has found what it wanted there already, as another call had left it.

    Where that was written over since, as a calendar does that keeps only what stands, its entry has no detail any more.
    """
    there = [one for one in entries if one.stands and one.call != told.id and one.reference == told.reference]
    return told.detail is not None and any(one.detail == told.detail or (one.detail is None and len(there) > 1) for one in there)


def _words(effect: str) -> str:
    return plain(effect, most=60).replace("_", " ")
