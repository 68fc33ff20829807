"""The seven writes of the original, written from its policy and its data alone: on plain rows in place, in floats, with its checks.

They share nothing with the example, so that what both leave behind can be compared.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Row = dict[str, Any]


class Impossible(Exception):
    """The original refuses this."""


class Replay:
    """Hold a database of one's own. A row is copied when it is first needed."""

    def __init__(self, tables: Mapping[str, Mapping[str, Row]]) -> None:
        self.tables = {name: dict(rows) for name, rows in tables.items()}
        self._own: dict[str, Row] = {}

    def do(self, name: str, arguments: Mapping[str, Any]) -> None:
        getattr(self, name)(**arguments)

    def cancel_pending_order(self, order_id: str, reason: str) -> None:
        order = self._order(order_id, "pending")
        _check(reason in ("no longer needed", "ordered by mistake"), "reason")
        for paid in list(order["payment_history"]):
            order["payment_history"].append({**paid, "transaction_type": "refund"})
            self._pay(order, paid["payment_method_id"], -paid["amount"])
        order["status"], order["cancel_reason"] = "cancelled", reason

    def modify_pending_order_address(self, order_id: str, **address: str) -> None:
        self._order(order_id, "pending", "pending (item modified)")["address"] = address

    def modify_pending_order_payment(self, order_id: str, payment_method_id: str) -> None:
        order = self._order(order_id, "pending", "pending (item modified)")
        [before] = order["payment_history"]
        _check(before["payment_method_id"] != payment_method_id, "the same")
        self._pay(order, payment_method_id, before["amount"])
        self._pay(order, before["payment_method_id"], -before["amount"])
        order["payment_history"] += [
            {**before, "payment_method_id": payment_method_id},
            {**before, "transaction_type": "refund"},
        ]

    def modify_pending_order_items(self, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str) -> None:
        order = self._order(order_id, "pending")
        difference, variants = self._difference(order, item_ids, new_item_ids)
        self._pay(order, payment_method_id, difference)
        difference = self.recorded(difference)
        kind = "payment" if difference > 0 else "refund"
        order["payment_history"].append({"transaction_type": kind, "amount": abs(difference), "payment_method_id": payment_method_id})
        for item_id, new_item_id, variant in zip(item_ids, new_item_ids, self.described(variants), strict=True):
            item = next(item for item in order["items"] if item["item_id"] == item_id)
            item.update(item_id=new_item_id, price=variant["price"], options=variant["options"])
        order["status"] = "pending (item modified)"

    def exchange_delivered_order_items(self, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str) -> None:
        order = self._order(order_id, "delivered")
        difference = round(self._difference(order, item_ids, new_item_ids)[0], 2)
        method = self._method(order, payment_method_id)
        _check(method.get("balance", difference) >= difference, "the gift card is too small")
        order["exchange_items"], order["exchange_new_items"] = sorted(item_ids), sorted(new_item_ids)
        order["exchange_payment_method_id"], order["exchange_price_difference"] = payment_method_id, difference
        order["status"] = "exchange requested"

    def return_delivered_order_items(self, order_id: str, item_ids: list[str], payment_method_id: str) -> None:
        order = self._order(order_id, "delivered")
        paid = order["payment_history"][0]["payment_method_id"]
        _check(payment_method_id == paid or self._method(order, payment_method_id)["source"] == "gift_card", "elsewhere")
        _check_held(order, item_ids)
        order["return_items"], order["return_payment_method_id"] = sorted(item_ids), payment_method_id
        order["status"] = "return requested"

    def modify_user_address(self, user_id: str, **address: str) -> None:
        self._row("users", user_id)["address"] = address

    def recorded(self, difference: float) -> float:
        """Give a difference in price as it goes into the history."""
        return round(difference, 2)

    def described(self, variants: list[Row]) -> list[Row]:
        """Give what each changed item is then described by."""
        return variants

    def _row(self, table: str, key: str) -> Row:
        if key not in self._own:
            _check(key in self.tables[table], "there is none")
            self._own[key] = self.tables[table][key] = copy.deepcopy(self.tables[table][key])
        return self._own[key]

    def _order(self, order_id: str, *statuses: str) -> Row:
        order = self._row("orders", order_id)
        _check(order["status"] in statuses, f"it is {order['status']}")
        return order

    def _method(self, order: Row, method_id: str) -> Row:
        return self._row("users", order["user_id"])["payment_methods"][method_id]

    def _pay(self, order: Row, method_id: str, amount: float) -> None:
        method = self._method(order, method_id)
        if method["source"] == "gift_card":
            _check(method["balance"] >= amount, "the gift card is too small")
            method["balance"] = round(method["balance"] - amount, 2)

    def _difference(self, order: Row, item_ids: list[str], new_item_ids: list[str]) -> tuple[float, list[Row]]:
        _check_held(order, item_ids)
        difference, variants = 0.0, []
        for item_id, new_item_id in zip(item_ids, new_item_ids, strict=True):
            item = next(item for item in order["items"] if item["item_id"] == item_id)
            variant = self.tables["products"][item["product_id"]]["variants"].get(new_item_id)
            _check(variant is not None and variant["available"], "no such variant, or not in stock")
            difference += variant["price"] - item["price"]
            variants.append(variant)
        return difference, variants


class Original(Replay):
    """Do the same with the original's two oddities, so that even its digest of the whole database can be compared.

    What `modify_pending_order_items` records is not rounded, and of several items each gets the last one's price and options.
    """

    def recorded(self, difference: float) -> float:
        return difference

    def described(self, variants: list[Row]) -> list[Row]:
        return [variants[-1]] * len(variants)


def _check(holds: bool, why: str) -> None:
    if not holds:
        raise Impossible(why)


def _check_held(order: Row, item_ids: list[str]) -> None:
    held = [item["item_id"] for item in order["items"]]
    _check(all(item_ids.count(each) <= held.count(each) for each in item_ids), "the order has no such item")
