"""Payments and refunds of the sandbox, as Stripe documents them.

Test payment methods: `pm_card_visa`; `pm_card_pendingRefund` (its refunds begin as pending); `pm_card_createDispute`. The
sandbox's own: `pm_sandbox_failedRefund` (its refunds fail at once).
Sources: https://docs.stripe.com/api/refunds/create, https://docs.stripe.com/testing, https://docs.stripe.com/currencies
"""

from __future__ import annotations

from typing import Any

from .ledger import Ledger, Object, ProblemError

_THREE_DECIMALS = {"bhd", "jod", "kwd", "omr", "tnd"}
_WHOLE_ONLY = {"isk", "ugx"}
_REFUND_BEGINS_AS = {"pm_card_pendingRefund": "pending", "pm_sandbox_failedRefund": "failed"}
_GIVEN_BACK = {"failed", "canceled"}
_REASONS = {"duplicate", "fraudulent", "requested_by_customer", None}


class Charging:
    """Serve customers, payment intents, charges and refunds."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def create_customer(
        self,
        *,
        name: str | None = None,
        email: str | None = None,
        payment_method: str | None = None,
        invoice_settings: Any = None,
        metadata: Any = None,
    ) -> Object:
        """Answer POST /v1/customers: with a payment method attached, and the one that invoices take, where they are given."""
        del payment_method  # attached: whichever a request names is taken here
        return self._ledger.add("cus", "customer", name=name, email=email, invoice_settings=invoice_settings or {}, metadata=metadata or {})

    def create_payment(
        self,
        *,
        amount: int,
        currency: str,
        customer: str | None = None,
        payment_method: str = "pm_card_visa",
        payment_method_types: Any = ("card",),
        confirm: str = "true",
        description: str | None = None,
        metadata: Any = None,
    ) -> Object:
        """Answer POST /v1/payment_intents: paid at once, by a test payment method."""
        _check_amount(amount, currency)
        if customer is not None:
            self._ledger.get("customer", customer, param="customer")
        if list(payment_method_types) != ["card"]:
            raise ProblemError("The sandbox only takes cards.", code="parameter_invalid", param="payment_method_types")
        if confirm != "true":
            raise ProblemError("The sandbox only makes payments that are confirmed at once.", code="parameter_invalid", param="confirm")
        paid = {"amount": amount, "currency": currency, "customer": customer, "status": "succeeded", "payment_method": payment_method}
        intent = self._ledger.add(
            "pi", "payment_intent", **paid, amount_received=amount, description=description, metadata=metadata or {}, latest_charge=None
        )
        disputed = payment_method == "pm_card_createDispute"
        charge = self._ledger.add(
            "ch", "charge", **paid, payment_intent=intent["id"], captured=True, amount_captured=amount, amount_refunded=0,
            refunded=False, disputed=disputed, paid=True,
        )  # fmt: skip
        intent["latest_charge"] = charge["id"]
        return intent

    def create_refund(
        self,
        *,
        payment_intent: str | None = None,
        charge: str | None = None,
        amount: int | None = None,
        reason: str | None = None,
        metadata: Any = None,
    ) -> Object:
        """Answer POST /v1/refunds: all that is left, or part of it."""
        paid = self._charge(payment_intent, charge)
        left = paid["amount_captured"] - paid["amount_refunded"]
        wanted = left if amount is None else amount
        if reason not in _REASONS:
            raise ProblemError(f"{reason!r} is no reason for a refund.", code="parameter_invalid", param="reason")
        if paid["disputed"]:
            raise ProblemError(f"Charge {paid['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
        if paid["refunded"]:
            raise ProblemError(f"Charge {paid['id']} has already been refunded.", code="charge_already_refunded")
        _check_amount(wanted, paid["currency"])
        if wanted > left:
            raise ProblemError(f"Refund amount ({wanted}) is greater than unrefunded amount on charge ({left})", param="amount")
        status = _REFUND_BEGINS_AS.get(paid["payment_method"], "succeeded")
        refund = self._ledger.add(
            "re", "refund", amount=wanted, currency=paid["currency"], charge=paid["id"], payment_intent=paid["payment_intent"],
            reason=reason, metadata=metadata or {}, status=status,
        )  # fmt: skip
        if status not in _GIVEN_BACK:
            _take(paid, wanted)
        self._ledger.record("refund", refund, about=paid["payment_intent"], amount=wanted, currency=paid["currency"])
        return refund

    def settle_refund(self, refund: str, status: str) -> Object:
        """Let the bank answer later: a pending refund succeeds, or any refund fails and its amount can be refunded again."""
        settled = self._ledger.get("refund", refund)
        if status in _GIVEN_BACK and settled["status"] not in _GIVEN_BACK:
            _take(self._ledger.get("charge", settled["charge"]), -settled["amount"])
        settled["status"] = status
        return settled

    def _charge(self, payment_intent: str | None, charge: str | None) -> Object:
        if payment_intent is not None:
            charge = self._ledger.get("payment_intent", payment_intent, param="payment_intent")["latest_charge"]
        if charge is None:
            raise ProblemError("One of charge and payment_intent is needed.", code="parameter_missing", param="charge")
        return self._ledger.get("charge", charge, param="charge")


def _take(charge: Object, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]


def _check_amount(amount: int, currency: str) -> None:
    """Refuse what Stripe can't pass on to the card networks: a third decimal other than 0, a fraction of a krona."""
    step = 10 if currency in _THREE_DECIMALS else 100 if currency in _WHOLE_ONLY else 1
    if amount < 1:
        raise ProblemError("Amount must be at least 1.", code="parameter_invalid_integer", param="amount")
    if amount % step:
        code = "invalid_charge_amount_no_decimal_compatible" if currency in _WHOLE_ONLY else "invalid_charge_amount"
        raise ProblemError(f"Amounts in {currency} must be divisible by {step}.", code=code, param="amount")
