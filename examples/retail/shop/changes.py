"""What the desk can change. None of it asks whether it may: that is in the policies, over the facts that each action names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from remit import Context, Injected, Money, Public, Subject, action, after, once

from .database import Database, Row
from .facts import load_conversation, load_listed, load_order, load_payment_method, load_replacement
from .records import Customer, Order, dollars

ItemIds = Annotated[list[str], Field(min_length=1, max_length=50)]
CancelReason = Literal["no longer needed", "ordered by mistake"]

Loaders = Mapping[str, Callable[..., Any]]
CONVERSATION: Loaders = {"conversation": load_conversation}
ORDER: Loaders = {**CONVERSATION, "order": load_order}
PAID: Loaders = {**ORDER, "payment": load_payment_method}
LISTED: Loaders = {**PAID, "listed": load_listed}
REPLACED: Loaders = {**LISTED, "replacement": load_replacement}

# One key for whatever a customer may have changed: while one change waits or runs, no other begins, whoever asks and wherever.
# So the rules that look at an order's status can't be raced. A second after it is done, the next may be asked for.
ONE_AT_A_TIME: dict[str, Any] = {"effect": once, "key": "change:{subject.id}", "again": after("1s"), "tags": ["change"]}
OWN_ORDER: dict[str, Any] = {"owns": "facts.order.user_id == subject.id", **ONE_AT_A_TIME}


@action(summary="Cancel order {order_id}: {reason}. What was paid goes back to where it came from.", facts=ORDER, **OWN_ORDER)
async def cancel_pending_order(order_id: str, reason: CancelReason, shop: Injected[Database]) -> Order:
    """Cancel a pending order and refund it to where it was paid from.

    Args:
        order_id: With the # in front, such as #W0000000.
    """
    order = shop.tables["orders"][order_id]
    user = shop.tables["users"][order["user_id"]]
    refunds = []
    for paid in order["payment_history"]:
        refunds.append(paid | {"transaction_type": "refund"})
        user = shop.credited(user, paid["payment_method_id"], dollars(paid["amount"]))
    history = [*order["payment_history"], *refunds]
    return _store(shop, order | {"status": "cancelled", "cancel_reason": reason, "payment_history": history}, user)


@action(summary="Send order {order_id} to {address1}, {city}, {state} {zip}.", facts=ORDER, **OWN_ORDER)
async def modify_pending_order_address(
    order_id: str,
    address1: str,
    address2: str,
    city: str,
    state: str,
    country: str,
    zip: str,  # noqa: A002
    shop: Injected[Database],
) -> Order:
    """Send a pending order to another address.

    Args:
        address2: Such as Apt 1, or empty.
    """
    address = {"address1": address1, "address2": address2, "city": city, "state": state, "country": country, "zip": zip}
    return _store(shop, shop.tables["orders"][order_id] | {"address": address})


@action(summary="Have order {order_id} paid by {payment_method_id}; the payment made before is given back.", facts=PAID, **OWN_ORDER)
async def modify_pending_order_payment(order_id: str, payment_method_id: str, shop: Injected[Database]) -> Order:
    """Have a pending order paid in another way; the payment made before is given back."""
    order = shop.tables["orders"][order_id]
    before = order["payment_history"][0]
    amount = dollars(before["amount"])
    user = shop.credited(shop.tables["users"][order["user_id"]], payment_method_id, _negative(amount))
    user = shop.credited(user, before["payment_method_id"], amount)
    moved = [_transaction("payment", amount, payment_method_id), _transaction("refund", amount, before["payment_method_id"])]
    return _store(shop, order | {"payment_history": [*order["payment_history"], *moved]}, user)


@action(
    summary="Change in order {order_id}: {facts.replacement.changes}. Difference in price: {facts.replacement.difference}, by {payment_method_id}.",
    facts=REPLACED,
    **OWN_ORDER,
)
async def modify_pending_order_items(
    order_id: str, item_ids: ItemIds, new_item_ids: ItemIds, payment_method_id: str, shop: Injected[Database]
) -> Order:
    """Change items of a pending order for other variants of the same products. This can be done once: list all of them.

    Args:
        new_item_ids: What each is changed for, in the same order as item_ids.
        payment_method_id: Where the difference in price is paid from, or goes to.
    """
    order = shop.tables["orders"][order_id]
    items, difference = _replaced(shop, order, item_ids, new_item_ids)
    user = shop.credited(shop.tables["users"][order["user_id"]], payment_method_id, _negative(difference))
    kind, amount = ("payment", difference) if difference.minor > 0 else ("refund", Money(abs(difference.minor), difference.currency))
    history = [*order["payment_history"], _transaction(kind, amount, payment_method_id)]
    return _store(shop, order | {"items": items, "payment_history": history, "status": "pending (item modified)"}, user)


@action(
    summary="Exchange from order {order_id}: {facts.replacement.changes}. Difference in price: {facts.replacement.difference}, by {payment_method_id}.",
    facts=REPLACED,
    **OWN_ORDER,
)
async def exchange_delivered_order_items(
    order_id: str, item_ids: ItemIds, new_item_ids: ItemIds, payment_method_id: str, shop: Injected[Database]
) -> Order:
    """Exchange delivered items for other variants of the same products. This can be done once an order: list all of them.

    Args:
        new_item_ids: What each is exchanged for, in the same order as item_ids.
        payment_method_id: Where the difference in price is paid from, or goes to.
    """
    order = shop.tables["orders"][order_id]
    _, difference = _replaced(shop, order, item_ids, new_item_ids)
    asked = {
        "status": "exchange requested",
        "exchange_items": sorted(item_ids),
        "exchange_new_items": sorted(new_item_ids),
        "exchange_payment_method_id": payment_method_id,
        "exchange_price_difference": float(difference.value),
    }
    return _store(shop, order | asked)


@action(summary="Return from order {order_id}: {facts.listed.names}. The refund goes to {payment_method_id}.", facts=LISTED, **OWN_ORDER)
async def return_delivered_order_items(order_id: str, item_ids: ItemIds, payment_method_id: str, shop: Injected[Database]) -> Order:
    """Take back delivered items of an order; the customer is told by e-mail how to return them.

    Args:
        payment_method_id: Where the refund goes: how the order was paid, or a gift card.
    """
    asked = {"status": "return requested", "return_items": sorted(item_ids), "return_payment_method_id": payment_method_id}
    return _store(shop, shop.tables["orders"][order_id] | asked)


@action(
    summary="Make {address1}, {city}, {state} {zip} the default address.",
    facts=CONVERSATION,
    owns="arguments.user_id == subject.id",
    **ONE_AT_A_TIME,
)
async def modify_user_address(
    user_id: str,
    address1: str,
    address2: str,
    city: str,
    state: str,
    country: str,
    zip: str,  # noqa: A002
    shop: Injected[Database],
) -> Customer:
    """Change the customer's default address. Orders that were placed keep theirs."""
    address = {"address1": address1, "address2": address2, "city": city, "state": state, "country": country, "zip": zip}
    user = shop.tables["users"][user_id] | {"address": address}
    shop.put(("users", user_id, user))
    return Customer.model_validate(user)


@action(facts=CONVERSATION, effect=once, key="transfer:{subject.id}", again=after("1s"), owns=None, owns_reason="It is the customer's own.")
async def transfer_to_human_agents(ctx: Context, subject: Subject, summary: str, shop: Injected[Database]) -> Public[str]:
    """Hand the customer over to a person: where they ask for one, or where the desk can't do what they ask.

    Args:
        summary: What the customer wants.
    """
    shop.put(("transfers", ctx.call_id, {"customer": subject.id, "summary": summary}))
    return "YOU ARE BEING TRANSFERRED TO A HUMAN AGENT. PLEASE HOLD ON."


def _replaced(shop: Database, order: Row, item_ids: list[str], new_item_ids: list[str]) -> tuple[list[Row], Money]:
    """Give the order's items with some replaced, and what that costs more."""
    items, difference = list(order["items"]), dollars(0)
    for item_id, new_item_id in zip(item_ids, new_item_ids, strict=True):
        at, old = next((at, item) for at, item in enumerate(items) if item["item_id"] == item_id)
        variant = shop.tables["products"][old["product_id"]]["variants"][new_item_id]
        items[at] = old | {"item_id": new_item_id, "price": variant["price"], "options": variant["options"]}
        difference += dollars(variant["price"]) - dollars(old["price"])
    return items, difference


def _transaction(kind: str, amount: Money, method_id: str) -> Row:
    return {"transaction_type": kind, "amount": float(amount.value), "payment_method_id": method_id}


def _negative(amount: Money) -> Money:
    return Money(-amount.minor, amount.currency)


def _store(shop: Database, order: Row, user: Row | None = None) -> Order:
    shop.put(("orders", order["order_id"], order), *([("users", user["user_id"], user)] if user else []))
    return Order.model_validate(order)
