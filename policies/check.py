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
    found = (_of_actions(policies, actions), _overlapping(files), _idle(policies), _unused(files), _hasty(files, actions))
    warnings = chain(*found, _nobody(policies, roles))
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
    """Find actions that several files allow: whoever reads one of them doesn't see all that is allowed. What only tightens may lie anywhere."""
    first: dict[str, str] = {}
    allowing = (file for file in files if any(rule.then == Then.ALLOW for rule in file.written.rules))
    for file in sorted(allowing, key=lambda file: file.document.source.path):
        path, shared = file.document.source.path, dict[str, list[str]]()
        for action in file.actions:
            if (other := first.setdefault(action, path)) != path:
                shared.setdefault(other, []).append(f"`{action}`")
        for other, actions in shared.items():
            message = f"{', '.join(actions)} may be allowed in {other} as well: one of the two is enough"
            yield Notice(message, path, file.document.line_of(("actions",)))


def every_ruleset(policies: Policies) -> Iterator[tuple[str, Ruleset]]:
    """Give what is in force for each action: for everybody, and then with each tenant's overlay."""
    yield from policies.rulesets.items()
    for action, by_tenant in policies.overlays.items():
        yield from ((action, ruleset) for ruleset in by_tenant.values())


def _idle(policies: Policies) -> Iterator[Notice]:
    """Find what matters for no action and no tenant."""
    reasons: dict[str, list[tuple[Rule | Limit, str]]] = {}
    for action, ruleset in every_ruleset(policies):
        for clause, why in (*_idle_rules(action, ruleset), *_idle_limits(action, ruleset)):
            reasons.setdefault(clause.name, []).append((clause, why))
    for name, found in sorted(reasons.items()):
        clause, why = found[0]
        if all(each for _, each in found):
            yield Notice(f"{name} never matters: {why}", clause.path, clause.line)


def _idle_rules(action: str, ruleset: Ruleset) -> Iterator[tuple[Rule | Limit, str]]:
    """Give each rule with why it never matters for this action; nothing where it may."""
    denial, permission = _always(Then.DENY, ruleset), _always(Then.ALLOW, ruleset)
    longest = permission.match.delay if permission else 0
    denied = {rule.when.text: rule.name for rule in ruleset.rules if rule.then is Then.DENY}
    for rule in ruleset.rules:
        why = ""
        if rule.when.constant is False:
            why = "its condition is never true"
        elif denial and denial is not rule:
            why = f"{denial.name} denies every call of `{action}`"
        elif rule.then is Then.ALLOW and permission and permission is not rule and rule.match.delay <= longest:
            why = f"{permission.name} allows every call of `{action}` already"
        elif rule.then is not Then.DENY and rule.when.text in denied:
            why = f"{denied[rule.when.text]} denies under the same condition"
        yield rule, why


def _idle_limits(action: str, ruleset: Ruleset) -> Iterator[tuple[Rule | Limit, str]]:
    """Give each limit with why it never binds this action; nothing where it may."""
    denial, strictest = _always(Then.DENY, ruleset), dict[tuple[object, ...], Limit]()
    for limit in sorted(ruleset.limits, key=lambda limit: (limit.at_most, limit.name)):
        stricter = strictest.get(_counts(limit))
        why = ""
        if denial:
            why = f"{denial.name} denies every call of `{action}`"
        elif limit.measure and limit.measure.constant == 0:
            why = "what it measures is always 0"
        elif limit.distinct and limit.distinct.constant is not None and limit.at_most > 0:
            why = "what it counts is always the same value"
        elif stricter:
            why = f"{stricter.name} denies before"
        elif limit.beyond is Then.DENY:
            strictest[_counts(limit)] = limit
        yield limit, why


def _always(then: Then, ruleset: Ruleset) -> Rule | None:
    """Give the rule that always says this, of several the one that delays the longest."""
    found = [rule for rule in ruleset.rules if rule.then is then and rule.when.constant is True]
    return max(found, key=lambda rule: rule.match.delay, default=None)


def _counts(limit: Limit) -> tuple[object, ...]:
    return limit.unit, limit.window, *(each and each.text for each in (limit.measure, limit.distinct, limit.per))


def _unused(files: Sequence[ReadFile]) -> Iterator[Notice]:
    """Find definitions that no expression uses, here or where they are included."""
    used = {file.written.policy: _words(file.written) for file in files}
    for file in files:
        policy, document = file.written.policy, file.document
        near = used[policy].union(*(used[other.written.policy] for other in files if policy in other.written.include))
        for name in sorted(file.written.define.keys() - near):
            yield Notice(f"nothing uses the definition `{name}`", document.source.path, document.line_of(("define", name)))


def _words(written: PolicyFile) -> set[str]:
    texts = [rule.when for rule in written.rules] + list(written.define.values())
    for limit in written.limits:
        for each in (limit.measure, limit.distinct, limit.per):
            texts += each.values() if isinstance(each, dict) else [each or ""]
    return {word for text in texts for token in tokens(text) if (word := token["name"])}


def _hasty(files: Sequence[ReadFile], actions: Mapping[str, ActionShape]) -> Iterator[Notice]:
    """Find delays of what only reads: nothing is done that could be cancelled, so nothing is delayed."""
    for file in files:
        policy, document = file.written.policy, file.document
        named = {*file.actions, *(action for other in files if policy in other.written.include for action in other.actions)}
        if not any(actions[action].writes for action in named):
            for place, rule in enumerate(file.written.rules):
                if rule.delay:
                    message = f"{policy}/{rule.id} delays nothing: what only reads does not cool off"
                    yield Notice(message, document.source.path, document.line_of(("rules", place, "delay")))


def _nobody(policies: Policies, roles: Collection[str] | None) -> Iterator[Notice]:
    for role, (path, line) in policies.roles.items():
        if roles is not None and role not in roles:
            yield Notice(f"nobody has the role `{role}`: what needs its approval is refused", path, line)
