"""The shop's records as actions and rules see them: typed, with prices as exact money."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator

from remit import Money

CURRENCY = "USD"


def dollars(amount: float) -> Money:
    """Read a price as the file has it, exactly: 50.88 is 5,088 cents."""
    return Money.of(str(amount), CURRENCY)


def _money(given: Any) -> Any:
    return dollars(given) if isinstance(given, int | float) else given


Dollars = Annotated[Money, BeforeValidator(_money)]

Status = Literal[
    "pending",
    "pending (item modified)",
    "processed",
    "delivered",
    "cancelled",
    "return requested",
    "exchange requested",
]


class Address(BaseModel):
    address1: str
    address2: str
    city: str
    state: str
    country: str
    zip: str


class Item(BaseModel):
    name: str
    product_id: str
    item_id: str
    price: Dollars
    options: dict[str, str]


class Shipment(BaseModel):
    tracking_id: list[str]
    item_ids: list[str]


class Transaction(BaseModel):
    transaction_type: Literal["payment", "refund"]
    amount: Dollars
    payment_method_id: str


class Order(BaseModel):
    """An order. Its first transaction says how it was paid."""

    order_id: str
    user_id: str
    status: Status
    address: Address
    items: list[Item]
    fulfillments: list[Shipment]
    payment_history: list[Transaction]
    cancel_reason: str | None = None
    exchange_items: list[str] | None = None
    exchange_new_items: list[str] | None = None
    exchange_payment_method_id: str | None = None
    exchange_price_difference: Dollars | None = None
    return_items: list[str] | None = None
    return_payment_method_id: str | None = None


class Variant(BaseModel):
    item_id: str
    options: dict[str, str]
    available: bool
    price: Dollars


class Product(BaseModel):
    product_id: str
    name: str
    variants: dict[str, Variant]


class PaymentMethod(BaseModel):
    """A way of paying; only a gift card has a balance."""

    id: str
    source: Literal["gift_card", "paypal", "credit_card"]
    brand: str | None = None
    last_four: str | None = None
    balance: Dollars | None = None


class Name(BaseModel):
    first_name: str
    last_name: str


class Customer(BaseModel):
    user_id: str
    name: Name
    email: str
    address: Address
    payment_methods: dict[str, PaymentMethod]
    orders: list[str]
