"""Model a policy file as people write it. What this version can't do yet is refused by name, never ignored."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationInfo, model_validator

from .decision import Then

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST = 90 * 86_400
_LATER = {"require_confirmation", "require_step_up"}


def _seconds(text: str) -> str:
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text)
    if not found or int(found[1]) * _UNITS[found[2]] > _LONGEST:
        raise ValueError("write a number and a unit, such as 30s, 15m, 4h or 7d, and at most 90d")
    return text


def _not_yet(_: object, info: ValidationInfo) -> object:
    raise ValueError(f"`{info.field_name}` is not supported yet")


def _one_vote(votes: int) -> int:
    if votes > 1:
        raise ValueError("more than one vote is not supported yet")
    return votes


def _known_then(then: str) -> str:
    if then in _LATER:
        raise ValueError(f"`{then}` is not supported yet")
    if then not in set(Then) - _LATER:
        raise ValueError(f"must be one of {', '.join(each for each in Then if each not in _LATER)}")
    return then


def _plain_action(name: str) -> str:
    if name.startswith("#"):
        raise ValueError("actions by tag are not supported yet: name each")
    return name


def _condition(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Duration = Annotated[str, AfterValidator(_seconds)]
NotYet = Annotated[Any, BeforeValidator(_not_yet)]


class _Written(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ApprovalClause(_Written):
    """Say who approves: `by` a role, within a time (default a day), after which silence counts as no."""

    by: Name
    votes: Annotated[int, Field(ge=1), AfterValidator(_one_vote)] = 1
    within: Duration = "24h"
    escalate: NotYet = None

    @property
    def seconds(self) -> int:
        """Give `within` in seconds."""
        return int(self.within[:-1]) * _UNITS[self.within[-1]]


class RuleClause(_Written):
    """Write one rule: when the condition holds, then this."""

    id: Name
    when: Annotated[str, BeforeValidator(_condition)] = "true"
    then: Annotated[str, AfterValidator(_known_then)]
    approval: ApprovalClause | None = None
    reason: Words | None = None
    say: Words | None = None

    @model_validator(mode="after")
    def _approval_belongs(self) -> Self:
        if (self.then == Then.REQUIRE_APPROVAL) != (self.approval is not None):
            raise ValueError("`approval` says who approves: it goes with `then: require_approval`, and only there")
        return self


class PolicyFile(_Written):
    """Write one file: a name, the actions that it is about, and its rules in any order."""

    policy: Name
    actions: Annotated[list[Annotated[str, AfterValidator(_plain_action)]], Field(min_length=1)]
    rules: Annotated[list[RuleClause], Field(min_length=1)]
    limits: NotYet = None


KEYS = frozenset(key for model in (PolicyFile, RuleClause, ApprovalClause) for key in model.model_fields)
"""Every key of the format, to suggest one for a misspelt one."""
