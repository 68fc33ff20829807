"""Calls that break one rule each, made from the real orders of the test bed: by whom, which action, with what.

Each breaks its rule and no other, so that what denies it can be told exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.retail.bed import Bed

Asked = tuple[str, str, dict[str, Any]]
ADDRESS = {"address1": "1 Elm Street", "address2": "", "city": "Austin", "state": "TX", "country": "USA", "zip": "78701"}


def cashless(bed: Bed, customer: str) -> list[str]:
    """List the payment methods that have no balance which could be too small."""
    return [key for key, method in bed.users[customer]["payment_methods"].items() if method["source"] != "gift_card"]


def original(order: Mapping[str, Any]) -> str:
    return order["payment_history"][0]["payment_method_id"]


def swap(order: Mapping[str, Any], item: Mapping[str, Any], to: str, method: str) -> tuple[str, dict[str, Any]]:
    """Replace one item, in the way that the order's status allows."""
    name = "modify_pending_order_items" if order["status"] == "pending" else "exchange_delivered_order_items"
    return name, {
        "order_id": order["order_id"],
        "item_ids": [item["item_id"]],
        "new_item_ids": [to],
        "payment_method_id": method,
    }


def swappable(bed: Bed, *statuses: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], str]]:
    """Give customer, order, its first item, and a payment method without a balance."""
    for customer, order in bed.orders(*statuses):
        for method in cashless(bed, customer)[:1]:
            yield customer, order, order["items"][0], method


def legitimate(bed: Bed) -> Iterator[Asked]:
    """Give changes that nothing speaks against, one for each customer, of every kind."""
    seen: set[str] = set()
    for customer, order, item, method in swappable(bed, "pending", "delivered"):
        if customer in seen:
            continue
        for variant in bed.variants(item)[:1]:
            seen.add(customer)
            kind = len(seen) % 4
            if kind == 0:
                yield customer, *swap(order, item, variant["item_id"], method)
            elif kind == 1:
                yield customer, "modify_user_address", {"user_id": customer, **ADDRESS}
            elif order["status"] == "delivered":
                returned = {"item_ids": [item["item_id"]], "payment_method_id": original(order)}
                yield customer, "return_delivered_order_items", {"order_id": order["order_id"], **returned}
            elif kind == 2:
                yield customer, "cancel_pending_order", {"order_id": order["order_id"], "reason": "ordered by mistake"}
            else:
                yield customer, "modify_pending_order_address", {"order_id": order["order_id"], **ADDRESS}


def by_itself(bed: Bed) -> Iterator[Asked]:
    for customer, order, item, method in swappable(bed, "pending", "delivered"):
        if bed.tables["products"][item["product_id"]]["variants"][item["item_id"]]["available"]:
            yield customer, *swap(order, item, item["item_id"], method)


def by_another_product(bed: Bed) -> Iterator[Asked]:
    for customer, order, item, method in swappable(bed, "pending", "delivered"):
        for other in order["items"]:
            if other["product_id"] != item["product_id"] and (variants := bed.variants(other)):
                yield customer, *swap(order, item, variants[0]["item_id"], method)
                break


def not_available(bed: Bed) -> Iterator[Asked]:
    for customer, order, item, method in swappable(bed, "pending", "delivered"):
        for variant in bed.variants(item, available=False)[:1]:
            yield customer, *swap(order, item, variant["item_id"], method)


def not_paired(bed: Bed) -> Iterator[Asked]:
    for customer, order, item, method in swappable(bed, "pending", "delivered"):
        if variants := bed.variants(item):
            name, arguments = swap(order, item, variants[0]["item_id"], method)
            yield customer, name, {**arguments, "new_item_ids": [variant["item_id"] for variant in variants[:2]] * 2}


def not_in_the_order(bed: Bed) -> Iterator[Asked]:
    for customer, order, item, _ in swappable(bed, "delivered"):
        listed = [item["item_id"]] * (1 + sum(one["item_id"] == item["item_id"] for one in order["items"]))
        arguments = {"order_id": order["order_id"], "item_ids": listed, "payment_method_id": original(order)}
        yield customer, "return_delivered_order_items", arguments


def difference_not_covered(bed: Bed) -> Iterator[Asked]:
    for customer, order in bed.orders("pending", "delivered"):
        for key, method in bed.users[customer]["payment_methods"].items():
            for item in order["items"]:
                for variant in bed.variants(item):
                    if variant["price"] - item["price"] > method.get("balance", 10**6) + 0.005:
                        yield customer, *swap(order, item, variant["item_id"], key)


def not_pending(bed: Bed) -> Iterator[Asked]:
    for customer, order in bed.orders("processed", "delivered", "cancelled"):
        yield customer, "cancel_pending_order", {"order_id": order["order_id"], "reason": "no longer needed"}
        yield customer, "modify_pending_order_address", {"order_id": order["order_id"], **ADDRESS}


def not_delivered(bed: Bed) -> Iterator[Asked]:
    for customer, order in bed.orders("pending", "processed", "cancelled"):
        listed = {"item_ids": [order["items"][0]["item_id"]], "payment_method_id": original(order)}
        yield customer, "return_delivered_order_items", {"order_id": order["order_id"], **listed}


def not_theirs(bed: Bed) -> Iterator[Asked]:
    customers = list(bed.users)
    for customer, order in bed.orders("pending", "delivered"):
        other = customers[(customers.index(customer) + 1) % len(customers)]
        for item, key in zip(order["items"], bed.users[other]["payment_methods"], strict=False):
            if (variants := bed.variants(item)) and key not in bed.users[customer]["payment_methods"]:
                yield customer, *swap(order, item, variants[0]["item_id"], key)


def refunded_elsewhere(bed: Bed) -> Iterator[Asked]:
    for customer, order, item, method in swappable(bed, "delivered"):
        if method != original(order):
            arguments = {"order_id": order["order_id"], "item_ids": [item["item_id"]], "payment_method_id": method}
            yield customer, "return_delivered_order_items", arguments


def paid_so_already(bed: Bed) -> Iterator[Asked]:
    for customer, order in bed.orders("pending"):
        if original(order) in cashless(bed, customer):
            yield customer, "modify_pending_order_payment", {"order_id": order["order_id"], "payment_method_id": original(order)}


def order_not_covered(bed: Bed) -> Iterator[Asked]:
    for customer, order in bed.orders("pending"):
        for key, method in bed.users[customer]["payment_methods"].items():
            if key != original(order) and method.get("balance", 10**6) < order["payment_history"][0]["amount"]:
                yield customer, "modify_pending_order_payment", {"order_id": order["order_id"], "payment_method_id": key}


BREAKING = {
    "items/by_itself": by_itself,
    "items/by_another_product": by_another_product,
    "items/not_available": not_available,
    "items/not_paired": not_paired,
    "items/gift_card_too_small": difference_not_covered,
    "listed/not_in_the_order": not_in_the_order,
    "pending/not_pending": not_pending,
    "delivered/not_delivered": not_delivered,
    "payments/not_theirs": not_theirs,
    "returns/refunded_elsewhere": refunded_elsewhere,
    "payment_changes/paid_so_already": paid_so_already,
    "payment_changes/gift_card_too_small": order_not_covered,
}
"""The calls by the rule that they break."""
