"""Actions to offer to models: like those of the library, and the schemas of the test bed as actions."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from remit.actions import Action, Context, Internal, Money, action, keyed, lookup, per_call, read

TESTBED = Path(__file__).resolve().parents[3] / "shared" / "testbeds" / "schemas" / "functions.json"


class Reason(StrEnum):
    DAMAGED = "damaged"
    LATE = "late"


class Refund(BaseModel):
    id: str
    amount: Money
    note: str | None = None
    ledger: Internal[str] = "7001"


class Card(BaseModel):
    kind: Literal["card"]
    last4: Annotated[str, Field(pattern="^[0-9]{4}$")]
    name: str = ""


class Account(BaseModel):
    kind: Literal["account"]
    iban: str
    bic: str | None = None


class Slot(BaseModel):
    start: datetime
    room: str | None = None
    seats: Annotated[int, Field(ge=1, le=8)] = 1


class Category(BaseModel):
    name: str
    parts: list[Category] = []


async def find(ctx: Context) -> None:
    """Find nothing."""


@action(effect=keyed("24h"), key="refund:{payment_id}", owns="true")
async def refund_payment(
    payment_id: str, amount: Money, reason: Reason, note: Annotated[str, Field(max_length=200)] = "", fee: Decimal | None = None
) -> Refund:
    """Refund a payment to the card it came from.

    Args:
        payment_id: The payment, as the shop names it.
        note: What the customer said.
    """
    return Refund(id="re_1", amount=amount)


@action(effect=read, owns="true")
async def look_up_payment(payment_id: str) -> Refund:
    """Look up a payment."""
    return Refund(id=payment_id, amount=Money.of("1.00", "EUR"))


@action(effect=lookup(find), key=per_call, owns="true")
async def book_slots(slots: Annotated[list[Slot], Field(min_length=1, max_length=5)], remind: bool = True, hours: int | None = 24) -> None:
    """Book one or more slots."""


@action(key=per_call, owns="true")
async def change_payout(payout: Card | Account, backup: Card | Account | None = None) -> None:
    """Change where money is paid out."""


@action(key=per_call, owns="true")
async def tag_order(order_id: str, tags: dict[str, str]) -> None:
    """Put tags on an order."""


@action(key=per_call, owns="true")
async def file_category(category: Category) -> None:
    """File a category with what belongs to it."""


OURS: list[Action] = [refund_payment, look_up_payment, book_slots, change_payout, tag_order, file_category]


async def takes_anything(**others: Any) -> None: ...


def foreign(name: str, schema: dict[str, Any]) -> Action:
    """Declare an action by a schema, as a developer would."""
    return Action.from_schema(name, schema, takes_anything, description="Do it.", key=per_call, owns=None, owns_reason="a test")


def schemas_of_the_testbed() -> list[Action]:
    """Give every schema of the test bed as an action. Not declared one by one, which takes seconds: only the schema matters here."""
    if not TESTBED.exists():
        pytest.skip("the test bed of function schemas, ../shared/testbeds/schemas/functions.json, is not on this machine")
    template = foreign("template", {"type": "object"})
    functions = json.loads(TESTBED.read_text())
    described = [function for function in functions if '"type": ""' not in json.dumps(function)]  # that is no JSON Schema
    assert len(described) > 1_500
    return [
        dataclasses.replace(
            template,
            name=f"f{number}_{re.sub('[^a-z0-9_]', '_', function['name'].lower())}"[:64],
            description=function["description"],
            schema={"properties": {}, "additionalProperties": False, **function["parameters"]},
        )
        for number, function in enumerate(described)
    ]
