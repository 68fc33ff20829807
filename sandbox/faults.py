"""Faults to order: what a payment provider may do to one of the next requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Fault(StrEnum):
    """List what can go wrong. After the first four a client can't tell what happened; only the ledger can."""

    ANSWER_LOST = "answer_lost"  # applied; the connection is closed without an answer
    ERROR_AFTER = "error_after"  # applied; answered 500, which the key then replays
    LATE = "late"  # the connection is closed without an answer; applied `seconds` later by the sandbox's clock
    DROPPED = "dropped"  # the connection is closed without an answer; never applied
    SLOW = "slow"  # applied at once, answered `seconds` later
    TOO_MANY = "too_many"  # answered 429 with Retry-After: `seconds`; never applied


@dataclass(frozen=True, slots=True)
class Order:
    """Say which fault meets the next `times` requests whose "METHOD /path" begins with `on`."""

    fault: Fault | None = None
    on: str = "POST /v1/refunds"
    times: int = 1
    seconds: float = 1


class Faults:
    """Hold the orders, in the order in which they were given."""

    def __init__(self) -> None:
        self._orders: list[Order] = []

    def order(self, order: Order) -> None:
        """Take an order."""
        self._orders.append(order)

    def take(self, request: str) -> Order:
        """Give what meets this "METHOD /path", and use it up; an order without a fault where nothing does."""
        for place, order in enumerate(self._orders):
            if order.times > 0 and request.startswith(order.on):
                self._orders[place] = replace(order, times=order.times - 1)
                return order
        return Order()
