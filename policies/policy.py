"""Model a policy file as people write it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from .clauses import (
    DAY,
    ApprovalClause,
    Asking,
    ConfirmationClause,
    Duration,
    EscalationClause,
    Name,
    StepUpClause,
    Words,
    Written,
    seconds,
)
from .decision import Then

BEYOND = (Then.DENY, Then.REQUIRE_APPROVAL, Then.REQUIRE_STEP_UP)


def _known_then(then: str) -> str:
    if then not in set(Then):
        raise ValueError(f"must be one of {', '.join(Then)}")
    return then


def _known_beyond(beyond: str) -> str:
    if beyond not in BEYOND:
        raise ValueError(f"must be one of {', '.join(BEYOND)}")
    return beyond


def _window(text: str) -> str:
    if not 60 <= seconds(text) <= 366 * DAY:
        raise ValueError("write a number and a unit, such as 15m, 24h or 30d, from 1m to 366d")
    return text


def _tenant(name: str) -> str:
    if name != name.strip() or not name.isprintable():
        raise ValueError("a tenant's name has no blanks around it and no line breaks: it would count for nobody")
    return name


def _currency(code: str) -> str:
    if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
        raise ValueError("write the three letters of a currency, such as EUR")
    return code


def _expression(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _constant(value: object) -> object:
    return str(value) if type(value) is int else _expression(value)


def _by_action(value: object) -> object:
    texts = value.values() if isinstance(value, dict) and value else [value]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("write an expression, or one for each action by its name")
    return value


Expression = Annotated[str, BeforeValidator(_expression)]
ByAction = Annotated[str | dict[str, str], BeforeValidator(_by_action)]
Definition = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class RuleClause(Asking):
    """Write one rule: when the condition holds, then this."""

    id: Name
    when: Expression = "true"
    then: Annotated[str, AfterValidator(_known_then), WithJsonSchema({"enum": list(Then)})]
    confirmation: ConfirmationClause | None = None
    delay: Duration | None = None

    @model_validator(mode="after")
    def _clauses_belong(self) -> Self:
        self.check_clauses("then", self.then)
        if self.confirmation and self.then != Then.REQUIRE_CONFIRMATION:
            raise ValueError("`confirmation` goes with `then: require_confirmation`, and only there")
        if self.delay and self.then == Then.DENY:
            raise ValueError("`delay` lets an allowed call cool off: it goes with `then: allow` or `require_…`, and never with `deny`")
        return self


class LimitClause(Asking):
    """Write one limit: what is counted, for whom, over which time, how much of it, and what is beyond."""

    id: Name
    measure: ByAction | None = None
    distinct: ByAction | None = None
    currency: Annotated[str, AfterValidator(_currency), WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$"})] | None = None
    per: Expression | None = None
    window: Annotated[str, AfterValidator(_window), WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,8}[smhd]$"})]
    at_most: Annotated[int, Field(ge=0, le=2**53 - 1)]  # decisions say it, and what every JSON reader keeps exactly ends here
    beyond: Annotated[str, AfterValidator(_known_beyond), WithJsonSchema({"enum": list(BEYOND)})] = "deny"

    @model_validator(mode="after")
    def _clauses_belong(self) -> Self:
        self.check_clauses("beyond", self.beyond)
        if self.measure is not None and self.distinct is not None:
            raise ValueError("either `measure` sums or `distinct` counts values: make it two limits")
        if self.currency and self.measure is None:
            raise ValueError("`currency` goes with `measure`: say which amount is summed, or leave it out")
        return self


class PolicyFile(Written):
    """Write one file: a name, the actions that it is about, and what holds for them, in any order.

    A file without `actions` is shared: its rules hold where others `include` it. One with `tenant` is an overlay.
    """

    policy: Name
    actions: Annotated[list[str], Field(min_length=1)] | None = None
    include: list[Name] = Field(default=[], min_length=1)
    tenant: Annotated[Words, AfterValidator(_tenant)] | None = None
    requires: list[str] = Field(default=[], min_length=1)
    define: dict[Definition, Annotated[str, BeforeValidator(_constant)]] = Field(default={})
    rules: list[RuleClause] = Field(default=[], min_length=1)
    limits: list[LimitClause] = Field(default=[], min_length=1)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.rules or self.limits or self.requires or self.include or (self.define and self.actions is None)):
            raise ValueError("it says nothing: write `rules`, `limits`, `requires` or `include`")
        if self.tenant and self.actions is None:
            raise ValueError("an overlay says to which `actions` it applies")
        if self.include and self.actions is None:
            raise ValueError("a file without `actions` is shared, and can't `include` another: include both where they are used")
        return self


_MODELS = (PolicyFile, RuleClause, LimitClause, ApprovalClause, ConfirmationClause, StepUpClause, EscalationClause)
KEYS = frozenset(key for model in _MODELS for key in model.model_fields)
"""Every key of the format, to suggest one for a misspelt one."""
