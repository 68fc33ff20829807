"""Measure what a call would take of a limit, and say how much of it is left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .decision import EvaluationError, Headroom, Requirement, Then
from .expression import Expression

_LARGEST = 2**53 - 1  # what every JSON reader keeps exactly (RFC 8259, section 6)


@dataclass(frozen=True, slots=True)
class Measured:
    """Say what one call would take of one limit: `takes` (minor units of money, a number, one call or one distinct value).

    `unit` is the currency, "units", "calls" or "distinct"; `key` is what the limit is per, `member` the distinct value, both as JSON, so
    that the text "1" is not the number; the key is empty where the limit is for everybody. `window` is in seconds.
    """

    limit: str
    unit: str
    key: str
    takes: int
    member: str | None
    window: int
    at_most: int


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """Hold one limit as it applies to one action. It sums `measure`, counts the values of `distinct`, or else counts calls.

    `window` is in seconds, `requirement` what is asked for beyond it; `path` and `line` say where it is written.
    """

    name: str
    measure: Expression | None
    distinct: Expression | None
    per: Expression | None
    currency: str | None
    window: int
    at_most: int
    beyond: Then
    requirement: Requirement | None
    reason: str | None
    say: str | None
    path: str
    line: int

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Give what must be evaluated to measure it, in the order that `measured` takes the results."""
        return tuple(each for each in (self.measure, self.distinct, self.per) if each)

    @property
    def unit(self) -> str:
        """Say what is counted."""
        if self.measure:
            return self.currency or "units"
        return "distinct" if self.distinct else "calls"

    @property
    def counted(self) -> str:
        """Say what its numbers count, in words."""
        words = {"units": "units", "calls": "calls", "distinct": "distinct values"}
        return words.get(self.unit, f"minor units of {self.unit}")

    def measured(self, results: Sequence[Any | EvaluationError]) -> Measured | EvaluationError:
        """Say what a call takes, from the results of the expressions; an error where that can't be known."""
        if error := next((result for result in results if isinstance(result, EvaluationError)), None):
            return error
        left = list(results)
        takes = _amount(left.pop(0), self.currency) if self.measure else 1
        if isinstance(takes, str):
            return EvaluationError(self.name, takes)
        member = json.dumps(left.pop(0)) if self.distinct else None
        key = json.dumps(left.pop(0)) if self.per else ""
        return Measured(self.name, self.unit, key, takes, member, self.window, self.at_most)

    def headroom(self, measured: Measured, usage: Any) -> Headroom | EvaluationError:
        """Say where the limit stands, from what was used of it before; an error where that is not known."""
        found = usage.get(self.name) if isinstance(usage, Mapping) else None
        used, known = (found.get("used"), found.get("known")) if isinstance(found, Mapping) else (None, None)
        if type(used) is not int or used < 0 or (self.distinct and type(known) is not bool):
            return EvaluationError(self.name, "what was used of it is not known")
        if used + measured.takes > _LARGEST:
            return EvaluationError(self.name, "what would be used of it is too large to count")
        return Headroom(self.name, used, 0 if self.distinct and known else measured.takes, self.at_most, self.currency)


def _amount(measure: Any, currency: str | None) -> int | str:
    """Give the amount, or what is wrong with it in words that hold no value of the inputs."""
    amount = measure
    if currency:
        amount = measure.get("minor")
        if measure.get("currency") != currency:
            return f"the amount is not in {currency}"
    if type(amount) is not int:
        return "the amount is not a whole number"
    if amount > _LARGEST:
        return "the amount is too large to count"
    return "the amount is negative" if amount < 0 else amount
