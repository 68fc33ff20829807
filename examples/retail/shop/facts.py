"""What the rules look at: loaded by the shop's own code, when a rule or an ownership check mentions it."""

from __future__ import annotations

from collections import Counter

from pydantic import BaseModel

from remit import Context, Injected, Subject
from remit.actions import SignedMoney

from .database import Database
from .records import CURRENCY, Customer, Item, Order, PaymentMethod, Variant


class Conversation(BaseModel):
    """Whom the desk opened this conversation for."""

    customer: str


class Listed(BaseModel):
    """The items that a call lists: what they are called, and those that the order does not hold, or not as often."""

    names: list[str]
    missing: list[str]


class Pair(BaseModel):
    """One item and what is to take its place. A product is missing where the order, or the shop, has no such item."""

    item_id: str
    new_item_id: str
    product_id: str | None
    new_product_id: str | None
    available: bool


class Replacement(BaseModel):
    """Items and their replacements in pairs, what changes by them in words, and what they cost more altogether, or less."""

    pairs: list[Pair]
    changes: list[str]
    difference: SignedMoney


async def load_conversation(ctx: Context, subject: Subject, shop: Injected[Database]) -> Conversation | None:
    """Find the conversation; a call outside of any, as from the command line, has its own subject."""
    if not ctx.conversation:
        return Conversation(customer=subject.id)
    row = shop.tables["conversations"].get(ctx.conversation)
    return None if row is None else Conversation.model_validate(row)


async def load_order(order_id: str, shop: Injected[Database]) -> Order | None:
    return shop.order(order_id)


async def load_payment_method(payment_method_id: str, subject: Subject, shop: Injected[Database]) -> PaymentMethod | None:
    """Find it among the customer's own: somebody else's is missing."""
    return shop.payment_method(subject.id, payment_method_id)


async def load_by_email(email: str, shop: Injected[Database]) -> Customer | None:
    found = (user for user, row in shop.tables["users"].items() if row["email"].lower() == email.lower())
    return shop.customer(next(found, ""))


async def load_by_name(first_name: str, last_name: str, zip: str, shop: Injected[Database]) -> Customer | None:  # noqa: A002
    wanted = (first_name.lower(), last_name.lower(), zip)
    for user, row in shop.tables["users"].items():
        name = row["name"]
        if (name["first_name"].lower(), name["last_name"].lower(), row["address"]["zip"]) == wanted:
            return shop.customer(user)
    return None


async def load_listed(order_id: str, item_ids: list[str], shop: Injected[Database]) -> Listed | None:
    if (order := shop.order(order_id)) is None:
        return None
    beyond = Counter(item_ids) - Counter(item.item_id for item in order.items)
    return Listed(names=[item.name for item in order.items if item.item_id in item_ids], missing=sorted(beyond))


async def load_replacement(order_id: str, item_ids: list[str], new_item_ids: list[str], shop: Injected[Database]) -> Replacement | None:
    """Pair the items as far as they go; that there are as many on both sides is for a rule to ask."""
    if (order := shop.order(order_id)) is None:
        return None
    held = {item.item_id: item for item in order.items}
    pairs, changes, difference = [], [], 0
    for item_id, new_item_id in zip(item_ids, new_item_ids, strict=False):
        item, found = held.get(item_id), shop.variant(new_item_id)
        product, variant = found or (None, None)
        pairs.append(
            Pair(
                item_id=item_id,
                new_item_id=new_item_id,
                product_id=item.product_id if item else None,
                new_product_id=product,
                available=variant is not None and variant.available,
            )
        )
        if item and variant:
            changes.append(f"{item.name} ({_changes(item, variant)})")
            difference += variant.price.minor - item.price.minor
    return Replacement(pairs=pairs, changes=changes, difference=SignedMoney(difference, CURRENCY))


def _changes(item: Item, variant: Variant) -> str:
    """Say in words which options would be others."""
    return ", ".join(f"{name} {item.options.get(name)} → {to}" for name, to in variant.options.items() if item.options.get(name) != to)
