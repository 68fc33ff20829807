"""Say what was decided, and why: values that go into the audit log and come back unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from pydantic import TypeAdapter


class Then(StrEnum):
    """Name what a rule does when it matches."""

    ALLOW = "allow"
    DENY = "deny"
    REQUIRE_CONFIRMATION = "require_confirmation"
    REQUIRE_STEP_UP = "require_step_up"
    REQUIRE_APPROVAL = "require_approval"


@dataclass(frozen=True, slots=True)
class EvaluationError:
    """Say that a condition could not be evaluated. The message holds no value of the inputs."""

    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Match:
    """Name a rule that counted, as `policy/id`. A deny or a requirement counts also when its condition could not be evaluated.

    `delay` is how many seconds the rule lets the call cool off.
    """

    rule: str
    then: Then
    reason: str | None = None
    delay: int = 0

    def to_json(self) -> dict[str, Any]:
        """Give a JSON value, without a delay where there is none."""
        value = {"rule": self.rule, "then": self.then, "reason": self.reason}
        return value | {"delay": self.delay} if self.delay else value


@dataclass(frozen=True, slots=True)
class Escalation:
    """Widen an approval: `after` seconds without an answer, people of the role `to` may vote as well."""

    after: int
    to: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """Ask for something before the call may run, within so many seconds of asking.

    `kind` is "step_up" (until the subject has reached `assurance`), "confirmation" (by the subject) or "approval" (`votes` people of the
    role `by`). `rule` names the rule, or the limit that the call would exceed: then `covers` is the sum that is asked for.
    """

    kind: str
    rule: str
    by: str = ""
    votes: int = 1
    within: int = 86_400
    reason: str | None = None
    escalate: Escalation | None = None
    assurance: int = 0
    covers: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Give a JSON value without what is not set: what was recorded before there was more must still be equal."""
        value: dict[str, Any] = {name: getattr(self, name) for name in ("kind", "rule", "by", "votes", "within", "reason")}
        if self.escalate:
            value["escalate"] = {"after": self.escalate.after, "to": self.escalate.to}
        if self.assurance:
            value["assurance"] = self.assurance
        return value if self.covers is None else value | {"covers": self.covers}


@dataclass(frozen=True, slots=True)
class Headroom:
    """Say where a limit stands: what was used in its window, what this call takes of it, and the most; money in minor units."""

    limit: str
    used: int
    takes: int
    at_most: int
    currency: str | None = None

    @property
    def left(self) -> int:
        """Give what is left after this call; below zero where there is not enough."""
        return self.at_most - self.used - self.takes

    @property
    def exceeded(self) -> bool:
        """Say whether this call goes beyond the limit."""
        return self.left < 0

    def to_json(self) -> dict[str, Any]:
        """Give a JSON value, without a currency where there is none."""
        value = {"limit": self.limit, "used": self.used, "takes": self.takes, "at_most": self.at_most}
        return value | {"currency": self.currency} if self.currency else value


@dataclass(frozen=True, slots=True)
class Decision:
    """Allow or deny, and explain.

    `requirements` are empty when denied, and in the order in which they are asked: step-ups, confirmations, approvals. `say` is the only
    text that the model may pass on; `reason` is for people. `limits` tell the headroom of each limit that could be measured; `missing`
    names the actions that should have succeeded earlier in the conversation. `delay` is how many seconds the call cools off before it is
    done, the longest of the rules in `matched`; 0 when denied. Everything else is in the order of rule names, so that two equal sets of
    rules give equal decisions.
    """

    allowed: bool
    requirements: tuple[Requirement, ...]
    matched: tuple[Match, ...]
    errors: tuple[EvaluationError, ...]
    policy_digest: str
    say: str | None
    reason: str
    limits: tuple[Headroom, ...] = ()
    missing: tuple[str, ...] = ()
    delay: int = 0

    def to_json(self) -> dict[str, Any]:
        """Give a JSON value from which `from_json` makes an equal decision. Limits, prerequisites and delay are left out if there are none."""
        value: dict[str, Any] = {
            "allowed": self.allowed,
            "requirements": [one.to_json() for one in self.requirements],
            "matched": [one.to_json() for one in self.matched],
            "errors": [{"rule": one.rule, "message": one.message} for one in self.errors],
            "policy_digest": self.policy_digest,
            "say": self.say,
            "reason": self.reason,
        }
        if self.limits:
            value["limits"] = [one.to_json() for one in self.limits]
        if self.missing:
            value["missing"] = list(self.missing)
        return value | {"delay": self.delay} if self.delay else value

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Decision:
        """Make the decision that `to_json` gave; raises TypeError or ValueError for anything else."""
        made = _DECISION.validate_json(orjson.dumps(value), strict=True)
        if made.to_json() != value:
            raise ValueError("this is no recorded decision: it has other keys")
        return made


_DECISION = TypeAdapter(Decision)
