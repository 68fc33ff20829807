"""Compare two bundles: which rules and limits came, went or changed, and whether that allows more or less."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .clauses import ConfirmationClause, StepUpClause, Written, seconds
from .decision import Then
from .document import Document, parse
from .policy import PolicyFile


class Effect(StrEnum):
    """Say what a change does, whatever the call: allow no less, allow no more, or neither for sure."""

    LOOSER = "looser"
    TIGHTER = "tighter"
    OTHER = "other"

    @property
    def opposite(self) -> Effect:
        """Give the effect of the change taken back."""
        return {Effect.LOOSER: Effect.TIGHTER, Effect.TIGHTER: Effect.LOOSER}.get(self, self)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """Say what a key was and is, such as `approval.votes`; None where it was or is not written."""

    key: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Change:
    """Say what became of a `policy` (its head), a `definition`, a `rule` or a `limit`: added, removed or changed.

    `path` and `line` say where it is written, in the old bundle where it was removed. `keys` are what changed within.
    """

    kind: str
    name: str
    what: str
    effect: Effect
    path: str
    line: int
    keys: tuple[KeyChange, ...] = ()


@dataclass(frozen=True, slots=True)
class _Clause:
    values: Mapping[str, Any]
    path: str
    line: int


_ASKS = {"then", "beyond"}
_UNWRITTEN: Mapping[Any, tuple[str, Written]] = {
    Then.REQUIRE_CONFIRMATION: ("confirmation", ConfirmationClause()),
    Then.REQUIRE_STEP_UP: ("step_up", StepUpClause()),
}
"""How it is asked where that is not written."""
_RANKS: Mapping[Any, int] = {Then.ALLOW: 0, Then.DENY: 2}
"""How much a `then` or a `beyond` asks for; every requirement is between these."""
_MORE = {
    "at_most": Effect.LOOSER,
    "approval.votes": Effect.TIGHTER,
    "approval.within": Effect.LOOSER,
    "approval.escalate.after": Effect.TIGHTER,
    "confirmation.within": Effect.LOOSER,
    "delay": Effect.TIGHTER,
    "step_up.to": Effect.TIGHTER,
    "step_up.within": Effect.LOOSER,
}
"""What more of a number or a time does. A limit's `window` is not here: another one begins to count anew."""


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Change, ...]:
    """Compare two bundles, each as texts by relative path, by what is written in them. Pure; raises PolicyError for a broken one.

    A file that only moved, a comment, or a default that is now written out is no change.
    """
    before, after = _read(old), _read(new)
    found = [_came(name, "removed", clause) for name, clause in before.items() if name not in after]
    for name, clause in after.items():
        change = _changed(name, before[name], clause) if name in before else _came(name, "added", clause)
        found += [change] if change else []
    return tuple(sorted(found, key=lambda one: (one.path, one.line, one.name)))


def _read(sources: Mapping[str, str]) -> dict[tuple[str, str], _Clause]:
    return {name: clause for path, text in sources.items() for name, clause in _clauses(*parse(path, text, PolicyFile))}


def _clauses(document: Document, written: PolicyFile) -> Iterator[tuple[tuple[str, str], _Clause]]:
    values = written.model_dump(mode="json", exclude_none=True)
    path, policy = document.source.path, values.pop("policy")
    for kind, key in (("rule", "rules"), ("limit", "limits")):
        for place, clause in enumerate(values.pop(key, ())):
            if unwritten := _UNWRITTEN.get(clause.get("then") or clause.get("beyond")):
                clause.setdefault(unwritten[0], unwritten[1].model_dump())
            yield (kind, f"{policy}/{clause.pop('id')}"), _Clause(dict(_flat(clause)), path, document.line_of((key, place)))
    for name, expression in values.pop("define", {}).items():
        yield ("definition", f"{policy}/{name}"), _Clause({"expression": expression}, path, document.line_of(("define", name)))
    yield ("policy", policy), _Clause({key: value for key, value in values.items() if value}, path, 1)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _came(name: tuple[str, str], what: str, clause: _Clause) -> Change:
    effect = Effect.OTHER
    allows = clause.values.get("then") == Then.ALLOW
    if name[0] in {"rule", "limit"} and not (allows and "delay" in clause.values):  # it may delay what another rule allows at once
        effect = Effect.LOOSER if allows else Effect.TIGHTER
    return Change(*name, what, effect if what == "added" else effect.opposite, clause.path, clause.line)


def _changed(name: tuple[str, str], old: _Clause, new: _Clause) -> Change | None:
    keys = [KeyChange(key, old.values.get(key), new.values.get(key)) for key in dict.fromkeys((*old.values, *new.values))]
    keys = [key for key in keys if key.old != key.new]
    if not keys:
        return None
    asked = {then for key in keys if key.key in _ASKS for then in (key.old, key.new)}
    effects = {_effect(key, new.values) for key in keys if not _is_beside(key.key, asked)}
    effect = effects.pop() if len(effects) == 1 else Effect.OTHER
    return Change(*name, "changed", effect, new.path, new.line, tuple(keys))


def _is_beside(key: str, asked: Collection[Any]) -> bool:
    """Say whether a key decides nothing: words, and how to ask where it is something else that is `asked` for, before and now.

    Nor does a delay, where a call was or is denied.
    """
    how = bool(asked) and key.partition(".")[0] in {"approval", "confirmation", "step_up"}
    return key in {"reason", "say"} or how or (key == "delay" and Then.DENY in asked)


def _effect(change: KeyChange, values: Mapping[str, Any]) -> Effect:
    """Say what one key does; `values` are those of the clause now."""
    key, old, new, then = change.key, change.old, change.new, values.get("then")
    if key in _ASKS:
        return _tighter_if(_RANKS.get(old, 1) < _RANKS.get(new, 1), sure=_RANKS.get(old, 1) != _RANKS.get(new, 1))
    if key == "when" and then == Then.ALLOW and "delay" in values:  # what it now matches may have been allowed at once
        return Effect.OTHER
    if key == "when":  # only a condition that always holds is surely wider than another
        return _tighter_if((new == "true") != (then == Then.ALLOW), sure="true" in {old, new})
    if key == "requires":
        before, after = set(old or ()), set(new or ())
        return _tighter_if(before < after, sure=before < after or after < before)
    if key.startswith("approval.escalate.") and None in {old, new}:
        return _tighter_if(new is None)
    if key in _MORE:
        return _MORE[key] if _number(old) < _number(new) else _MORE[key].opposite
    return Effect.OTHER


def _tighter_if(tighter: bool, *, sure: bool = True) -> Effect:
    return (Effect.TIGHTER if tighter else Effect.LOOSER) if sure else Effect.OTHER


def _number(value: int | str | None) -> int:
    return seconds(value) if isinstance(value, str) else value or 0
