"""The payment provider of the story, reached as any shop reaches it: the sandbox, or Stripe's test mode.

It is asked directly, past Remit, for what there is to refund and for what really happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import httpx
import stripe

from ...actions import Money
from ...actions.library.stripe_amounts import from_stripe
from ...sandbox.faults import Fault
from ...sandbox.payments import PaymentSandbox
from .agreement import Effect

PLANS = {"basic_monthly": 900, "pro_monthly": 1900}
"""Plan -> cents of a euro each month."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account that the story happens in, over Stripe's API; `sandbox` is None where it is Stripe's own."""

    api: httpx.Client
    sandbox: PaymentSandbox | None

    @classmethod
    def at(cls, url: str, key: str, sandbox: PaymentSandbox | None) -> Self:
        """Reach the account of a test key at `url`."""
        headers = {"Authorization": f"Bearer {key}", "Stripe-Version": stripe.api_version}
        return cls(httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=sandbox is None), sandbox)

    def customer(self, name: str, email: str) -> str:
        """Make a customer who pays with a test card."""
        card = {"payment_method": "pm_card_visa", "invoice_settings[default_payment_method]": "pm_card_visa"}
        return str(self._post("customers", name=name, email=email, **card)["id"])

    def payment(self, customer: str, amount: Money, what: str) -> str:
        """Let a customer have paid."""
        paid = {"payment_method": "pm_card_visa", "payment_method_types[]": "card", "confirm": "true", "description": what}
        made = self._post("payment_intents", amount=amount.minor, currency=amount.currency.lower(), customer=customer, **paid)
        return str(made["id"])

    def subscription(self, customer: str, plan: str) -> str:
        """Let a customer have subscribed to one of the plans, which are made where they are missing."""
        form = [("lookup_keys[]", name) for name in PLANS]
        prices = {price["lookup_key"]: price["id"] for price in self._get("prices", form)["data"]}
        for name in PLANS.keys() - prices.keys():
            month = {"recurring[interval]": "month", "product_data[name]": name}
            prices[name] = self._post("prices", currency="eur", unit_amount=PLANS[name], lookup_key=name, **month)["id"]
        return str(self._post("subscriptions", customer=customer, **{"items[0][price]": prices[plan]})["id"])

    def refunded(self, payment: str) -> list[Money]:
        """Give the refunds of a payment that stand."""
        return [effect.amount for effect in self._refunds(payment) if effect.amount is not None]

    def effects(self, payments: list[str], subscriptions: list[str]) -> list[Effect]:
        """Give what was really done, all of it at the sandbox, to the story's own objects at Stripe."""
        if self.sandbox is not None:
            return [
                Effect(entry.effect.replace("_", " "), entry.call, entry.reference, from_stripe(entry.amount, entry.currency, Money))
                for entry in self.sandbox.ledger()
            ]
        changes = (self._change(subscription) for subscription in subscriptions)
        return [effect for payment in payments for effect in self._refunds(payment)] + [change for change in changes if change]

    def order(self, fault: Fault, *, seconds: float = 1) -> None:
        """Let the next refund meet a fault."""
        assert self.sandbox is not None, "only the sandbox takes orders"
        self.sandbox.order(fault, seconds=seconds)

    def requests_of(self, call: str) -> list[tuple[str | None, bool]]:
        """Give the writing requests that a call sent to the sandbox: idempotency key, and whether the answer was a replay."""
        assert self.sandbox is not None, "only the sandbox tells"
        return [(one.key, one.replayed) for one in self.sandbox.written() if one.call == call]

    def later(self, by: timedelta) -> None:
        """Move the sandbox's clock forward."""
        assert self.sandbox is not None, "only the sandbox's clock can be moved"
        self.sandbox.advance(by)

    def _refunds(self, payment: str) -> Iterator[Effect]:
        form: list[tuple[str, str]] = [("payment_intent", payment), ("limit", "100")]
        page = self._get("refunds", form)
        while True:
            for one in page["data"]:
                if one["status"] not in {"failed", "canceled"}:
                    amount = from_stripe(one["amount"], one["currency"], Money)
                    yield Effect("refund", one["metadata"].get("remit_call"), one["id"], amount)
            if not page["has_more"]:
                return
            page = self._get("refunds", [*form, ("starting_after", page["data"][-1]["id"])])

    def _change(self, subscription: str) -> Effect | None:
        held = self._get(f"subscriptions/{subscription}", [("expand[]", "latest_invoice")])
        call, invoice = held["metadata"].get("remit_call"), held["latest_invoice"]
        return Effect("plan change", call, held["id"], from_stripe(invoice["total"], invoice["currency"], Money)) if call else None

    def _post(self, path: str, **form: Any) -> dict[str, Any]:
        return _read(self.api.post(f"/v1/{path}", data=form))

    def _get(self, path: str, form: list[tuple[str, str]]) -> dict[str, Any]:
        return _read(self.api.get(f"/v1/{path}", params=tuple(form)))


def _read(answer: httpx.Response) -> dict[str, Any]:
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document
