"""Refund a payment, or look one up, at whatever keeps the payments: two ports and the actions over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ...errors import Refused
from .. import Context, Injected, Internal, Money, action, entered, keyed, read

# It becomes part of an address at the provider, so it holds nothing that means something there.
PaymentId = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,255}$")]
RefundReason = Literal["requested_by_customer", "duplicate"]  # not "fraudulent": at Stripe that also blocks the customer's card
NOT_PAID_BACK = frozenset({"failed", "canceled"})
"""The words of a refund whose money has come back."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Describe a payment: `refundable` is what is left of `amount` after `refunded`; `created` is aware.

    `status` is the provider's word, such as `succeeded`. `disputed` says that the customer's bank is asking for it back.
    """

    id: str
    customer: Internal[str | None]
    amount: Money
    refunded: Money
    refundable: Money
    created: datetime
    status: str
    disputed: bool


@dataclass(frozen=True, slots=True)
class Refund:
    """Describe a refund. `status` is the provider's word: `succeeded`, or `pending` while the bank still works on it."""

    id: str
    payment: str
    amount: Money
    status: str


class PaymentsReader(ABC):
    """Read payments; this is all that facts and look-ups are given."""

    @abstractmethod
    async def load_payment(self, payment_id: str) -> Payment | None:
        """Find a payment; None where there is none."""

    @abstractmethod
    async def find_refund(self, payment_id: str, call_id: str) -> Refund | None:
        """Find the refund that a call made; None only where it certainly made none by now."""


class Payments(PaymentsReader):
    """Read payments and refund them."""

    @abstractmethod
    async def refund(self, ctx: Context, payment_id: str, amount: Money, reason: RefundReason) -> Refund:
        """Pay back part or all of a payment, noting `ctx.call_id` where `find_refund` finds it.

        Read `ctx.idempotency_key` only when sending. Raise Retryable, Unsure or Refused: definite only where the provider
        refused under that key, so that an earlier attempt under it can't have been applied either.
        """


async def load_payment(payment_id: str, payments: Injected[PaymentsReader]) -> Payment | None:
    """Load the payment as a fact."""
    return await payments.load_payment(payment_id)


async def find_refund(ctx: Context, payment_id: str, payments: Injected[PaymentsReader]) -> Refund | None:
    """Look up whether this call has refunded."""
    refund = await payments.find_refund(payment_id, ctx.call_id)
    return None if refund is None else _settled(ctx, refund)


@action(
    effect=keyed("24h", lookup=find_refund),
    key="refund:{payment_id}",
    again="confirmed",
    facts={"payment": load_payment},
    owns="facts.payment.customer == subject.id",
    tags=["money"],  # no undo=: a refund can't be called back
    ledger=entered("refund", about="arguments.payment_id", amount="arguments.amount"),
    summary={
        "en": "Refund {amount} of the payment {payment_id} to the card it came from.",
        "de": "{amount} der Zahlung {payment_id} auf die Karte erstatten, von der sie kam.",
    },
    labels={
        "en": {"payment_id": "Payment", "reason.requested_by_customer": "Requested by the customer", "reason.duplicate": "Paid twice"},
        "de": {
            "payment_id": "Zahlung",
            "amount": "Betrag",
            "reason": "Grund",
            "reason.requested_by_customer": "Wunsch des Kunden",
            "reason.duplicate": "Doppelt gezahlt",
        },
    },
)
async def refund_payment(ctx: Context, payment_id: PaymentId, amount: Money, reason: RefundReason, payments: Injected[Payments]) -> Refund:
    """Refund a payment to the card it came from, in full or in part.

    Args:
        payment_id: The payment to refund, such as pi_3PZ1.
        amount: How much to pay back, in the currency of the payment; at most what has not been refunded yet.
        reason: Why it is paid back.
    """
    refund = await payments.refund(ctx, payment_id, amount, reason)
    return _settled(ctx, refund)


@action(effect=read, facts={"payment": load_payment}, owns="facts.payment.customer == subject.id", tags=["money"])
async def look_up_payment(payment_id: PaymentId, payments: Injected[PaymentsReader]) -> Payment:
    """Look up a payment of the customer: amount, date, and how much of it can still be refunded.

    Args:
        payment_id: The payment to look up, such as pi_3PZ1.
    """
    payment = await payments.load_payment(payment_id)
    if payment is None:
        raise Refused("There is no such payment.", code="not_found")
    return payment


def _settled(ctx: Context, refund: Refund) -> Refund:
    """Take down the reference; count a refund as applied unless its money has come back."""
    ctx.reference(refund.id, status=refund.status)
    if refund.status in NOT_PAID_BACK:
        raise Refused(f"The refund {refund.status}: the bank did not take the money.", definite=True, code="refund_failed")
    return refund
