"""Hold rules that were checked, and the set of them that is in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .decision import Then
from .expression import Conditions, Expression


@dataclass(frozen=True, slots=True)
class Approval:
    """Ask for `votes` people of the role `by`, `within` seconds."""

    by: str
    votes: int
    within: int


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Hold one rule as it applies to one action. `name` is `policy/id`; `path` and `line` say where it is written."""

    name: str
    action: str
    then: Then
    when: Expression
    approval: Approval | None
    reason: str | None
    say: str | None
    path: str
    line: int


@dataclass(frozen=True, slots=True, eq=False)
class Ruleset:
    """Hold the rules of one action in the order of their names, ready to be evaluated together."""

    rules: tuple[Rule, ...]
    conditions: Conditions


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
        return frozenset().union(*(rule.when.facts for rule in self.rules_for(action)))
