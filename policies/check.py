"""Check policies before they are used: every problem, and warnings of what is allowed to stand but is probably not meant."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import PolicyError
from .decision import Then
from .facts import ActionShape
from .loader import Loading, Sources, read
from .rules import Rule


@dataclass(frozen=True, slots=True)
class Notice:
    """Point at something that works but is probably not meant. `path` is empty and `line` 0 where no file is to blame."""

    message: str
    path: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" if self.path else self.message


@dataclass(frozen=True, slots=True)
class Check:
    """Hold what was found. Policies with problems can't be loaded."""

    problems: tuple[PolicyError, ...]
    warnings: tuple[Notice, ...]

    @property
    def ok(self) -> bool:
        """Say whether the policies can be loaded."""
        return not self.problems


def check(sources: Sources, actions: Mapping[str, ActionShape], roles: Collection[str] | None = None) -> Check:
    """Check policies against these actions, and against the roles that somebody has where those are known.

    Warnings are given only where there is no problem, because a rule may be missing then.
    """
    try:
        loading = read(sources, actions)
    except PolicyError as error:
        return Check((error,), ())
    return Check(tuple(loading.problems), () if loading.problems else tuple(_warnings(loading)))


def _warnings(loading: Loading) -> Iterator[Notice]:
    for action in sorted(loading.actions):
        rules = loading.rules.get(action, [])
        if not rules:
            yield Notice(f"no policy names the action `{action}`: every call of it is denied")
            continue
        yield from _overlapping(action, rules)
        yield from _idle(action, rules)


def _overlapping(action: str, rules: Sequence[Rule]) -> Iterator[Notice]:
    first, *others = sorted({rule.path for rule in rules})
    for path in others:
        line = next(rule.line for rule in rules if rule.path == path)
        yield Notice(f"rules on `{action}` are also in {first}: a deny in either wins, requirements add up", path, line)


def _idle(action: str, rules: Sequence[Rule]) -> Iterator[Notice]:
    """Find rules that never matter."""
    if not any(rule.then is Then.ALLOW and rule.when.constant is not False for rule in rules):
        yield Notice(f"no rule allows `{action}`: every call of it is denied", rules[0].path, rules[0].line)
    always = {then: next((rule for rule in rules if rule.then is then and rule.when.constant is True), None) for then in Then}
    for rule in rules:
        denial, permission = always[Then.DENY], always[Then.ALLOW]
        if rule.when.constant is False:
            yield _never(rule, "its condition is never true")
        elif denial and rule is not denial:
            yield _never(rule, f"{denial.name} denies every call of `{action}`")
        elif rule.then is Then.ALLOW and permission and rule is not permission:
            yield _never(rule, f"{permission.name} allows every call of `{action}` already")


def _never(rule: Rule, why: str) -> Notice:
    return Notice(f"{rule.name} never matters: {why}", rule.path, rule.line)
