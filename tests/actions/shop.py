"""A small invented shop, for the tests of actions."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from remit.actions import Context, Injected, Internal, Money, Personal, Public, Secret, Subject, action, keyed, lookup, read


class Reason(enum.StrEnum):
    DAMAGED = "damaged"
    LATE = "late"


class Payment(BaseModel):
    customer: str
    amount: Money
    created: datetime
    disputed: bool = False
    note: str | None = None


class Refund(BaseModel):
    id: str
    amount: Money
    reason: Reason
    risk: Internal[int] = 0
    token: Secret[str] = "tok_1"
    at: datetime = datetime(2026, 3, 1, 10, tzinfo=UTC)


class Payments(ABC):
    @abstractmethod
    def find(self, payment_id: str) -> Payment | None: ...


@dataclass
class Books(Payments):
    payments: dict[str, Payment]

    def find(self, payment_id: str) -> Payment | None:
        return self.payments.get(payment_id)


async def load_payment(payment_id: str, books: Injected[Payments]) -> Payment | None:
    return books.find(payment_id)


def find_refund(ctx: Context, payment_id: str, books: Injected[Payments]) -> Refund | None:
    payment = books.find(payment_id)
    return Refund(id=ctx.call_id, amount=payment.amount, reason=Reason.LATE) if payment else None


@action(
    effect=keyed("24h", find_refund),
    key="refund:{payment_id}",
    again="confirmed",
    facts={"payment": load_payment},
    owns="facts.payment.customer == subject.id",
    tags=["money"],
)
async def refund_payment(
    ctx: Context, subject: Subject, payment_id: str, amount: Money, reason: Reason, books: Injected[Payments]
) -> Refund:
    """Refund a payment to the card it came from, in full or in part.

    Args:
        payment_id: The payment, as the provider names it.
        amount: How much.
    """
    ctx.reference(f"{subject.id}/{ctx.idempotency_key}", status="pending")
    return Refund(id=f"re_{payment_id}", amount=amount, reason=reason)


class Address(BaseModel):
    street: str
    city: str
    zip: str | None = None


@action(effect=lookup(find_refund), key="ship:{payment_id}", owns="true", undo="recall_parcel")
def ship_parcel(
    payment_id: Personal[str],
    to: Address,
    on: date,
    at: datetime,
    slot: time,
    weight: Decimal,
    label: UUID,
    boxes: list[int],
    speed: Literal["slow", "fast"] = "slow",
    code: Secret[str] | None = None,
    gift: bool = False,
    store: Public[str] = "north",
    count: Annotated[int, Field(ge=1, le=9, description="How many parcels.")] = 1,
) -> str:
    """Ship a parcel."""
    return f"{payment_id} on {on} in {count}"


@action(effect=read, owns=None, owns_reason="opening hours are public")
def look_up_hours() -> dict[str, str]:
    """Say when the shop is open."""
    return {"monday": "9-17"}
