"""Hold rules that were checked, and the set of them that is in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .decision import Match, Requirement, Then
from .expression import Conditions, Expression


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
class Ruleset:
    """Hold the rules of one action in the order of their names, ready to be evaluated together."""

    rules: tuple[Rule, ...]
    conditions: Conditions
    facts: frozenset[str]
    """What the conditions mention, said once: it is asked at every call."""

    @classmethod
    def of(cls, rules: tuple[Rule, ...], conditions: Conditions) -> Ruleset:
        """Put rules together with their compiled conditions."""
        return cls(rules, conditions, frozenset().union(*(rule.when.facts for rule in rules)))


@dataclass(frozen=True, slots=True, eq=False)
class Policies:
    """Hold checked policies: rules by action, and the sources that they were read from, by relative path.

    `digest` (SHA-256, hex) stands for the sources: equal digests, equal rules.
    """

    digest: str
    sources: Mapping[str, str]
    rulesets: Mapping[str, Ruleset] = field(repr=False)

    @property
    def files(self) -> tuple[str, ...]:
        """Name the files, in order."""
        return tuple(sorted(self.sources))

    def rules_for(self, action: str) -> tuple[Rule, ...]:
        """Give the rules of an action in the order of their names; none if no policy names it."""
        ruleset = self.rulesets.get(action)
        return ruleset.rules if ruleset else ()

    def facts_for(self, action: str) -> frozenset[str]:
        """Name the facts that the conditions on an action mention: no other need be loaded."""
        ruleset = self.rulesets.get(action)
        return ruleset.facts if ruleset else frozenset()
