"""Say what was decided, and why: values that go into the audit log and come back unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class Then(StrEnum):
    """Name what a rule does when it matches."""

    ALLOW = "allow"
    DENY = "deny"
    REQUIRE_APPROVAL = "require_approval"


@dataclass(frozen=True, slots=True)
class EvaluationError:
    """Say that a condition could not be evaluated. The message holds no value of the inputs."""

    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Match:
    """Name a rule that counted, as `policy/id`. A deny or a requirement counts also when its condition could not be evaluated."""

    rule: str
    then: Then
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """Ask for something before the call may run: an approval by `votes` people of the role `by`, `within` seconds."""

    kind: str
    rule: str
    by: str
    votes: int
    within: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Allow or deny, and explain.

    `requirements` are empty when denied. `say` is the only text that the model may pass on; `reason` is for people. Everything is in
    the order of rule names, so that two equal sets of rules give equal decisions.
    """

    allowed: bool
    requirements: tuple[Requirement, ...]
    matched: tuple[Match, ...]
    errors: tuple[EvaluationError, ...]
    policy_digest: str
    say: str | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Give a JSON value from which `from_json` makes an equal decision."""
        return {
            "allowed": self.allowed,
            "requirements": [_plain(one) for one in self.requirements],
            "matched": [_plain(one) for one in self.matched],
            "errors": [_plain(one) for one in self.errors],
            "policy_digest": self.policy_digest,
            "say": self.say,
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Make the decision that `to_json` gave; raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            **{
                **value,
                "requirements": tuple(Requirement(**item) for item in value["requirements"]),
                "matched": tuple(Match(**item | {"then": Then(item["then"])}) for item in value["matched"]),
                "errors": tuple(EvaluationError(**item) for item in value["errors"]),
            }
        )


def _plain(value: Requirement | Match | EvaluationError) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}  # a tenth of the cost of `asdict`, and flat all the same
