"""Check policies before they are used: every problem, and warnings of what is allowed to stand but is probably not meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from ..errors import PolicyError
from .decision import Then
from .definitions import tokens
from .facts import ActionShape
from .limits import Limit
from .loader import Sources, read
from .policy import PolicyFile
from .reading import ReadFile
from .rules import Policies, Rule, Ruleset


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
    if loading.problems:
        return Check(tuple(loading.problems), ())
    policies, files = loading.policies(), list(loading.reading.files.values())
    warnings = chain(_of_actions(policies, actions), _overlapping(files), _idle(policies), _unused(files), _nobody(policies, roles))
    return Check((), tuple(warnings))


def _of_actions(policies: Policies, actions: Iterable[str]) -> Iterator[Notice]:
    for action in sorted(actions):
        ruleset = policies.rulesets.get(action)
        if ruleset is None:
            yield Notice(f"no policy names the action `{action}`: every call of it is denied")
        elif not any(rule.then is Then.ALLOW and rule.when.constant is not False for rule in ruleset.rules):
            path, line = min((one.path, one.line) for part in (ruleset.rules, ruleset.limits, ruleset.requires) for one in part)
            yield Notice(f"no rule allows `{action}`: every call of it is denied", path, line)


def _overlapping(files: Sequence[ReadFile]) -> Iterator[Notice]:
    """Find actions that several files name. What is included, or an overlay, is meant to come on top."""
    first: dict[str, str] = {}
    for file in sorted((file for file in files if not file.written.tenant), key=lambda file: file.document.source.path):
        path, line = file.document.source.path, file.document.line_of(("actions",))
        for action in file.actions:
            if (other := first.setdefault(action, path)) != path:
                yield Notice(f"rules on `{action}` are also in {other}: a deny in either wins, requirements add up", path, line)


def every_clause(policies: Policies) -> Iterator[tuple[str, Ruleset, Rule | Limit]]:
    """Give every rule and limit with its action and what is in force there: for everybody, and again with each tenant's overlay."""
    overlays = ((action, ruleset) for action, by_tenant in policies.overlays.items() for ruleset in by_tenant.values())
    for action, ruleset in chain(policies.rulesets.items(), overlays):
        yield from ((action, ruleset, rule) for rule in ruleset.rules)
        yield from ((action, ruleset, limit) for limit in ruleset.limits)


def _idle(policies: Policies) -> Iterator[Notice]:
    """Find what matters for no action and no tenant."""
    reasons: dict[str, list[tuple[Rule | Limit, str]]] = {}
    for action, ruleset, clause in every_clause(policies):
        why = _idle_rule(clause, action, ruleset) if isinstance(clause, Rule) else _idle_limit(clause, action, ruleset)
        reasons.setdefault(clause.name, []).append((clause, why))
    for name, found in sorted(reasons.items()):
        clause, why = found[0]
        if all(each for _, each in found):
            yield Notice(f"{name} never matters: {why}", clause.path, clause.line)


def _idle_rule(rule: Rule, action: str, ruleset: Ruleset) -> str:
    """Say why a rule never matters for an action; empty if it may."""
    if rule.when.constant is False:
        return "its condition is never true"
    denial, permission = _always(Then.DENY, ruleset), _always(Then.ALLOW, ruleset)
    if denial and denial.name != rule.name:
        return f"{denial.name} denies every call of `{action}`"
    if rule.then is Then.ALLOW and permission and permission.name != rule.name:
        return f"{permission.name} allows every call of `{action}` already"
    same = (other for other in ruleset.rules if other.then is Then.DENY is not rule.then and other.when.text == rule.when.text)
    return next((f"{other.name} denies under the same condition" for other in same), "")


def _idle_limit(limit: Limit, action: str, ruleset: Ruleset) -> str:
    """Say why a limit never binds an action; empty if it may."""
    if denial := _always(Then.DENY, ruleset):
        return f"{denial.name} denies every call of `{action}`"
    if limit.measure and limit.measure.constant == 0:
        return "what it measures is always 0"
    if limit.distinct and limit.distinct.constant is not None and limit.at_most > 0:
        return "what it counts is always the same value"
    stricter = (
        other
        for other in ruleset.limits
        if other.beyond is Then.DENY and _counts(other) == _counts(limit) and (other.at_most, other.name) < (limit.at_most, limit.name)
    )
    return next((f"{other.name} denies before" for other in stricter), "")


def _always(then: Then, ruleset: Ruleset) -> Rule | None:
    return next((rule for rule in ruleset.rules if rule.then is then and rule.when.constant is True), None)


def _counts(limit: Limit) -> tuple[object, ...]:
    return limit.unit, limit.window, *(each and each.text for each in (limit.measure, limit.distinct, limit.per))


def _unused(files: Sequence[ReadFile]) -> Iterator[Notice]:
    """Find definitions that no expression uses, here or where they are included."""
    used = {file.written.policy: _words(file.written) for file in files}
    for file in files:
        policy, document = file.written.policy, file.document
        near = used[policy].union(*(used[other.written.policy] for other in files if policy in other.written.include))
        for name in file.written.define.keys() - near:
            yield Notice(f"nothing uses the definition `{name}`", document.source.path, document.line_of(("define", name)))


def _words(written: PolicyFile) -> set[str]:
    texts = [rule.when for rule in written.rules] + list(written.define.values())
    for limit in written.limits:
        for each in (limit.measure, limit.distinct, limit.per):
            texts += each.values() if isinstance(each, dict) else [each or ""]
    return {word for text in texts for token in tokens(text) if (word := token["name"])}


def _nobody(policies: Policies, roles: Collection[str] | None) -> Iterator[Notice]:
    for role, (path, line) in policies.roles.items():
        if roles is not None and role not in roles:
            yield Notice(f"nobody has the role `{role}`: what needs its approval is refused", path, line)
