"""Hold rules and limits that were checked, and the set of them that is in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .decision import EvaluationError, Match, Requirement, Then
from .expression import Expression, Expressions, Language
from .facts import Inputs
from .limits import Limit, Measured


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Hold one rule as it applies to one action: what it contributes to a decision, and when. `path` and `line` say where it is written."""

    action: str
    when: Expression
    match: Match
    requirement: Requirement | None
    say: str | None
    path: str
    line: int

    @property
    def name(self) -> str:
        """Give its name, `policy/id`."""
        return self.match.rule

    @property
    def then(self) -> Then:
        """Say what it does."""
        return self.match.then


@dataclass(frozen=True, slots=True, eq=False)
class Prerequisite:
    """Name an action that must have succeeded earlier in the conversation, and where that is written."""

    action: str
    policy: str
    path: str
    line: int


class Evaluated(NamedTuple):
    """What the expressions of a ruleset give, each in its place: conditions, and what a call takes of limits."""

    results: list[bool | EvaluationError]
    measured: list[Measured | EvaluationError]


@dataclass(frozen=True, slots=True, eq=False)
class Ruleset:
    """Hold what is in force for one action, ready to be evaluated together."""

    rules: tuple[Rule, ...]
    limits: tuple[Limit, ...]
    requires: tuple[Prerequisite, ...]
    language: Language
    conditions: Expressions
    measures: Expressions
    facts: frozenset[str]
    """What the expressions mention, said once: it is asked at every call."""
    inputs: frozenset[str]
    """What the expressions read, such as `arguments` and `now`."""

    @classmethod
    def of(cls, language: Language, rules: tuple[Rule, ...], limits: tuple[Limit, ...], requires: tuple[Prerequisite, ...]) -> Ruleset:
        """Put rules and limits together with their compiled expressions."""
        conditions, measures = [rule.when for rule in rules], [each for limit in limits for each in limit.expressions]
        facts: frozenset[str] = frozenset().union(*(each.facts for each in (*conditions, *measures)))
        inputs: frozenset[str] = frozenset().union(*(each.inputs for each in (*conditions, *measures)))
        return cls(rules, limits, requires, language, Expressions(language, conditions), Expressions(language, measures), facts, inputs)

    def tightened(self, more: Ruleset) -> Ruleset:
        """Put an overlay on top, without compiling anything again."""
        return Ruleset(
            self.rules + more.rules,
            self.limits + more.limits,
            self.requires + more.requires,
            self.language,
            self.conditions.followed_by(more.conditions),
            self.measures.followed_by(more.measures),
            self.facts | more.facts,
            self.inputs | more.inputs,
        )

    def evaluate(self, inputs: Inputs) -> Evaluated:
        """Give the result of each condition, and what the call takes of each limit. Never raises."""
        bound = self.language.bind(inputs, self.inputs)
        results = self.conditions.evaluate(inputs, bound)
        return Evaluated(results, self._measured(self.measures.evaluate(inputs, bound)) if self.limits else [])

    def _measured(self, results: list[Any | EvaluationError]) -> list[Measured | EvaluationError]:
        left = iter(results)
        return [limit.measured([next(left) for _ in limit.expressions]) for limit in self.limits]


@dataclass(frozen=True, slots=True, eq=False)
class Policies:
    """Hold checked policies: what is in force by action, and the sources that it was read from, by relative path.

    `digest` (SHA-256, hex) stands for the sources: equal digests, equal rules. `overlays` are by action, then by tenant, with what is in
    force for everybody in them. `roles` gives the path and line where each role that approves is first named.
    """

    digest: str
    sources: Mapping[str, str]
    rulesets: Mapping[str, Ruleset] = field(repr=False)
    overlays: Mapping[str, Mapping[str, Ruleset]] = field(repr=False)
    roles: Mapping[str, tuple[str, int]] = field(repr=False)

    @property
    def files(self) -> tuple[str, ...]:
        """Name the files, in order."""
        return tuple(sorted(self.sources))

    def ruleset(self, action: object, tenant: object = "") -> Ruleset | None:
        """Give what is in force for an action of a tenant; None if no policy names it, or an overlay may apply and the tenant is unknown."""
        if not isinstance(action, str):
            return None
        if overlays := self.overlays.get(action):
            if not isinstance(tenant, str):
                return None
            if tenant in overlays:
                return overlays[tenant]
        return self.rulesets.get(action)

    def rules_for(self, action: str, tenant: str = "") -> tuple[Rule, ...]:
        """Give the rules of an action in the order of their names; none if no policy names it."""
        ruleset = self.ruleset(action, tenant)
        return tuple(sorted(ruleset.rules, key=lambda rule: rule.name)) if ruleset else ()

    def limits_for(self, action: str, tenant: str = "") -> tuple[Limit, ...]:
        """Give the limits of an action in the order of their names."""
        ruleset = self.ruleset(action, tenant)
        return tuple(sorted(ruleset.limits, key=lambda limit: limit.name)) if ruleset else ()

    def facts_for(self, action: str, tenant: str = "") -> frozenset[str]:
        """Name the facts that the expressions on an action mention: no other need be loaded."""
        ruleset = self.ruleset(action, tenant)
        return ruleset.facts if ruleset else frozenset()

    def asks_done(self, action: str, tenant: str = "") -> bool:
        """Say whether a decision on an action depends on what succeeded earlier in the conversation."""
        ruleset = self.ruleset(action, tenant)
        return ruleset is not None and bool(ruleset.requires or "done" in ruleset.inputs)
