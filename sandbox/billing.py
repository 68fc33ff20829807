"""Prices, subscriptions and invoice previews of the sandbox, as Stripe documents them.

A month has 30 days here and a year 365. A subscription whose `default_payment_method` is `pm_card_chargeCustomerFail` can't
be charged. Sources: https://docs.stripe.com/api/subscriptions/update, https://docs.stripe.com/api/invoices/create_preview and
https://docs.stripe.com/billing/subscriptions/prorations
"""

from __future__ import annotations

from typing import Any

from .ledger import Ledger, Object, ProblemError

_DAY = 86_400
_SECONDS = {"day": _DAY, "week": 7 * _DAY, "month": 30 * _DAY, "year": 365 * _DAY}


class Billing:
    """Serve prices, subscriptions and the preview of an invoice."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def create_price(
        self, *, currency: str, unit_amount: int, recurring: Any, product_data: Any, lookup_key: str | None = None, metadata: Any = None
    ) -> Object:
        """Answer POST /v1/prices: a price that recurs, for a product made with it."""
        if recurring.get("interval") not in _SECONDS:
            raise ProblemError("A price recurs every day, week, month or year.", code="parameter_invalid", param="recurring[interval]")
        product = self._ledger.add("prod", "product", name=product_data["name"], active=True)
        return self._ledger.add(
            "price", "price", active=True, currency=currency, unit_amount=unit_amount, type="recurring", product=product["id"],
            nickname=product["name"], lookup_key=lookup_key, recurring={"interval_count": 1, **recurring}, metadata=metadata or {},
        )  # fmt: skip

    def create_subscription(
        self, *, customer: str, items: Any, default_payment_method: str = "pm_card_visa", metadata: Any = None
    ) -> Object:
        """Answer POST /v1/subscriptions."""
        self._ledger.get("customer", customer, param="customer")
        made = self._ledger.add(
            "sub", "subscription", customer=customer, status="active", currency=None, cancel_at_period_end=False, metadata=metadata or {},
            default_payment_method=default_payment_method, latest_invoice=None, items={"object": "list", "has_more": False, "data": []},
        )  # fmt: skip
        made["items"]["data"] = [self._item(made["id"], self._priced(item)) for item in items]
        made["currency"] = made["items"]["data"][0]["price"]["currency"]
        return made

    def update_subscription(
        self,
        subscription: str,
        *,
        items: Any = (),
        metadata: Any = None,
        proration_behavior: str = "create_prorations",
        proration_date: int | None = None,
        payment_behavior: str = "allow_incomplete",
    ) -> Object:
        """Answer POST /v1/subscriptions/{id}: change the price of an item, add an item, set metadata."""
        held = self._ledger.get("subscription", subscription)
        due = sum(line["amount"] for line in self._prorations(held, items, proration_date or self._ledger.now()))
        if proration_behavior == "always_invoice" and due > 0 and held["default_payment_method"] == "pm_card_chargeCustomerFail":
            if payment_behavior == "error_if_incomplete":
                raise ProblemError("Your card was declined.", status=402, kind="card_error", code="card_declined")
            held["status"] = "past_due"
        for item in items:
            price = self._priced(item)
            old = next((one for one in held["items"]["data"] if one["id"] == item.get("id")), None)
            if old is None:  # as at Stripe, an item without an id is one more item, not another price
                held["items"]["data"].append(self._item(held["id"], price))
            else:
                old |= self._item(held["id"], price) if _interval(old["price"]) != _interval(price) else {"price": price}
                old["id"] = item["id"]
        held["metadata"] |= metadata or {}
        if items and proration_behavior == "always_invoice":
            held["latest_invoice"] = self._invoice(held, total=due, billing_reason="subscription_update")["id"]
        if items:
            self._ledger.record("plan_change", held, about=items[0]["price"], amount=due, currency=held["currency"])
        return held

    def preview_invoice(self, *, subscription: str, customer: str | None = None, subscription_details: Any) -> Object:
        """Answer POST /v1/invoices/create_preview for a change that is invoiced at once. It changes nothing."""
        held = self._ledger.get("subscription", subscription, param="subscription")
        if customer not in {None, held["customer"]}:
            raise ProblemError("The subscription belongs to another customer.", code="resource_missing", param="customer")
        if subscription_details.get("proration_behavior") != "always_invoice":
            raise ProblemError("The sandbox only previews always_invoice.", param="subscription_details[proration_behavior]")
        at = subscription_details.get("proration_date") or self._ledger.now()
        lines = self._prorations(held, subscription_details.get("items", ()), at)
        total = sum(line["amount"] for line in lines)
        return {
            "object": "invoice", "currency": held["currency"], "customer": held["customer"], "created": self._ledger.now(),
            "lines": {"object": "list", "has_more": False, "data": lines}, "total": total, "subtotal": total, "amount_due": max(total, 0),
        }  # fmt: skip

    def _prorations(self, held: Object, items: Any, at: int) -> list[Object]:
        lines = []
        for item in items:
            price, left = self._priced(item), (1, 1)
            if price["currency"] != held["currency"]:
                raise ProblemError("All prices of a subscription have one currency.", param="items[0][price]")
            old = next((one for one in held["items"]["data"] if one["id"] == item.get("id")), None)
            if old is not None and old["price"]["id"] == price["id"]:
                continue
            if old is not None:
                start, end = old["current_period_start"], old["current_period_end"]
                if not start <= at <= end:
                    raise ProblemError("The proration date is outside the current period.", param="proration_date")
                unused = (end - at, end - start)
                lines.append(self._line("Unused time on", old["price"], -_part(old["price"]["unit_amount"], *unused)))
                left = unused if _interval(old["price"]) == _interval(price) else left
            lines.append(self._line("Remaining time on", price, _part(price["unit_amount"], *left)))
        return lines

    def _priced(self, item: Any) -> Object:
        price = self._ledger.get("price", item.get("price", ""), param="items[0][price]")
        if not price["active"]:
            raise ProblemError("This price is inactive.", param="items[0][price]")
        return price

    def _item(self, subscription: str, price: Object) -> Object:
        start, interval = self._ledger.now(), price["recurring"]
        end = start + _SECONDS[interval["interval"]] * int(interval["interval_count"])
        return self._ledger.add(
            "si",
            "subscription_item",
            subscription=subscription,
            price=price,
            quantity=1,
            current_period_start=start,
            current_period_end=end,
        )

    def _invoice(self, held: Object, *, total: int, billing_reason: str) -> Object:
        amounts = {"total": total, "subtotal": total, "amount_due": max(total, 0)}
        return self._ledger.add(
            "in", "invoice", customer=held["customer"], currency=held["currency"], billing_reason=billing_reason, status="paid", **amounts
        )

    def _line(self, what: str, price: Object, amount: int) -> Object:
        return self._ledger.add(
            "il", "line_item", amount=amount, currency=price["currency"], description=f"{what} {price['nickname']}", quantity=1
        )


def _interval(price: Object) -> tuple[str, int]:
    return price["recurring"]["interval"], int(price["recurring"]["interval_count"])


def _part(amount: int, share: int, whole: int) -> int:
    """Give that share of an amount, rounded half up."""
    return (2 * amount * share + whole) // (2 * whole)
