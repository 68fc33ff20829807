"""Model what a rule or a limit may ask for, as people write it: a step-up, a confirmation, an approval."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema, field_validator, model_validator

from .decision import Escalation, Requirement, Then

DAY = 86_400
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": DAY}


def seconds(text: str) -> int:
    """Give the seconds of a time such as `4h`; 0 for anything else."""
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text)
    return int(found[1]) * _UNITS[found[2]] if found else 0


def in_units(delay: int) -> str:
    """Write seconds as people write a time: `10m` for 600, `0s` for none."""
    unit = next((unit for unit, size in reversed(_UNITS.items()) if delay and delay % size == 0), "s")
    return f"{delay // _UNITS[unit]}{unit}"


def _deadline(text: str) -> str:
    if not 0 < seconds(text) <= 90 * DAY:
        raise ValueError("write a number and a unit, such as 30s, 15m, 4h or 7d, and at most 90d")
    return text


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Duration = Annotated[str, AfterValidator(_deadline), WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,8}[smhd]$"})]


class Written(BaseModel):
    """Be strict with what people write: no other keys, no other types, and no key that is left empty, as if it had not been meant."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _not_empty(cls, value: object) -> object:
        if value is None:
            raise ValueError("nothing stands here: write a value, or leave the key out")
        return value


class EscalationClause(Written):
    """Say who may vote as well when nobody has settled it after some time."""

    after: Duration
    to: Name


class ApprovalClause(Written):
    """Say who approves: so many people of the role `by`, within a time (default a day), after which silence counts as no."""

    by: Name
    votes: Annotated[int, Field(ge=1)] = 1
    within: Duration = "24h"
    escalate: EscalationClause | None = None

    @model_validator(mode="after")
    def _escalates_in_time(self) -> Self:
        if self.escalate and seconds(self.escalate.after) >= seconds(self.within):
            raise ValueError(f"`escalate` comes too late: `after` must be shorter than `within`, which is {self.within}")
        return self


class ConfirmationClause(Written):
    """Say how long the customer has to confirm; after that silence counts as no."""

    within: Duration = "24h"


class StepUpClause(Written):
    """Say to which assurance the subject has to prove who they are, and within which time."""

    to: Annotated[int, Field(ge=1)] = 2
    within: Duration = "1h"


class Asking(Written):
    """Hold what rules and limits have in common: what they ask for, and why."""

    approval: ApprovalClause | None = None
    step_up: StepUpClause | None = None
    reason: Words | None = None
    say: Words | None = None

    def check_clauses(self, key: str, then: str) -> None:
        """Refuse a clause that doesn't go with what is asked for; `key` and `then` say where and what that is. Raises ValueError."""
        if (then == Then.REQUIRE_APPROVAL) != (self.approval is not None):
            raise ValueError(f"`approval` says who approves: it goes with `{key}: require_approval`, and only there")
        if self.step_up and then != Then.REQUIRE_STEP_UP:
            raise ValueError(f"`step_up` goes with `{key}: require_step_up`, and only there")

    def requirement(self, then: Then, name: str, within: str = "") -> Requirement | None:
        """Give what is asked for in the name of a rule or limit, if anything. `within` is the time to confirm."""
        match then:
            case Then.REQUIRE_APPROVAL if asked := self.approval:
                escalate = Escalation(seconds(asked.escalate.after), asked.escalate.to) if asked.escalate else None
                return Requirement("approval", name, asked.by, asked.votes, seconds(asked.within), self.reason, escalate)
            case Then.REQUIRE_STEP_UP:
                proof = self.step_up or StepUpClause()
                return Requirement("step_up", name, within=seconds(proof.within), reason=self.reason, assurance=proof.to)
            case Then.REQUIRE_CONFIRMATION:
                return Requirement("confirmation", name, within=seconds(within), reason=self.reason)
        return None
