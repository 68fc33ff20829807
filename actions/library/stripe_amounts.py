"""Amounts as Stripe counts them: whole numbers in the currency's minor unit, save for a few currencies.

Source: https://docs.stripe.com/currencies (zero-decimal and three-decimal currencies, special cases). HUF and TWD are special
only in payouts, which Remit does not make.
"""

from __future__ import annotations

from typing import TypeVar

from ...errors import Refused
from .. import Money
from ..currencies import DECIMALS

M = TypeVar("M", bound=Money)

# Where Stripe counts otherwise than ISO 4217: the powers of ten from our minor unit to its amount.
_SHIFTED = {"ISK": 2, "UGX": 2, "MGA": -2}
# The card networks take two decimals of these, so the third must be 0.
_THREE_DECIMALS = {"BHD", "JOD", "KWD", "OMR", "TND"}


def to_stripe(money: Money) -> int:
    """Give the amount to send. Raise Refused where Stripe can't express it."""
    up, down = _powers(money.currency)
    amount, rest = divmod(money.minor * up, down)
    if rest or (money.currency in _THREE_DECIMALS and amount % 10):
        raise Refused(f"Stripe can't pay {money}: its last decimal must be 0.", code="amount_not_possible")
    return amount


def from_stripe(amount: int, currency: str, kind: type[M]) -> M:
    """Read an amount that came from Stripe, whose currencies are in lower case. Raise Refused where `kind` can't hold it."""
    up, down = _powers(currency.upper())
    minor, rest = divmod(amount * down, up)
    if rest or currency.upper() not in DECIMALS:
        raise Refused(f"{amount} {currency} can't be read as an amount.", code="amount_unreadable")
    return kind(minor, currency.upper())


def _powers(currency: str) -> tuple[int, int]:
    shift = _SHIFTED.get(currency, 0)
    return 10 ** max(shift, 0), 10 ** max(-shift, 0)
