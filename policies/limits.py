"""Measure what a call would take of a limit, and say how much of it is left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """Say what one call would take of one limit: `takes` (minor units of money, a number, one call or one distinct value).

    `unit` is the currency, "units", "calls" or "distinct"; `key` is what the limit is per, as text; `member` is the distinct value;
    `window` is in seconds.
    """

    limit: str
    unit: str
    key: str
    takes: int
    member: str | None
    window: int
    at_most: int
