"""What the desk can look up, and a calculator. Products are everybody's; orders and profiles are their customer's alone."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Any, TypeVar

from pydantic import StringConstraints

from remit import Injected, Public, Refused, action, read

from .database import Database
from .facts import load_by_email, load_by_name, load_conversation, load_order
from .records import Customer, Order, Product, Variant

OPEN: dict[str, Any] = {
    "facts": {"conversation": load_conversation},
    "owns": None,
    "owns_reason": "What the shop sells is no secret.",
    "tags": ["reading"],
}
T = TypeVar("T")
FOUND = "subject.anonymous || facts.customer.user_id == subject.id"


@action(effect=read, facts={"customer": load_by_email}, owns=FOUND)
async def find_user_id_by_email(email: str, shop: Injected[Database]) -> str:
    """Find a customer's id by e-mail address.

    Args:
        email: Such as something@example.com.
    """
    return _there(await load_by_email(email, shop)).user_id


@action(effect=read, facts={"customer": load_by_name}, owns=FOUND)
async def find_user_id_by_name_zip(first_name: str, last_name: str, zip: str, shop: Injected[Database]) -> str:  # noqa: A002
    """Find a customer's id by name and zip code, where the e-mail address is not known."""
    return _there(await load_by_name(first_name, last_name, zip, shop)).user_id


@action(
    effect=read,
    facts={"conversation": load_conversation, "order": load_order},
    owns="facts.order.user_id == subject.id",
    tags=["reading"],
)
async def get_order_details(order_id: str, shop: Injected[Database]) -> Order:
    """Look at an order of the customer.

    Args:
        order_id: With the # in front, such as #W0000000.
    """
    return _there(shop.order(order_id))


@action(effect=read, facts={"conversation": load_conversation}, owns="arguments.user_id == subject.id", tags=["reading"])
async def get_user_details(user_id: str, shop: Injected[Database]) -> Customer:
    """Look at the customer's profile: addresses, payment methods, orders."""
    return _there(shop.customer(user_id))


@action(effect=read, **OPEN)
async def get_product_details(product_id: str, shop: Injected[Database]) -> Product:
    """Look at a product and its variants.

    Args:
        product_id: Not to be confused with an item id.
    """
    return _there(shop.product(product_id))


@action(effect=read, **OPEN)
async def get_item_details(item_id: str, shop: Injected[Database]) -> Variant:
    """Look at one variant of a product."""
    return _there(shop.variant(item_id))[1]


@action(effect=read, **OPEN)
async def list_all_product_types(shop: Injected[Database]) -> dict[str, str]:
    """List every product's name and id."""
    return {row["name"]: product for product, row in sorted(shop.tables["products"].items(), key=lambda one: one[1]["name"])}


@action(effect=read, **OPEN)
async def calculate(expression: Annotated[str, StringConstraints(min_length=1, max_length=200)]) -> Public[str]:
    """Calculate sums, differences, products and quotients, rounded to cents.

    Args:
        expression: Numbers, + - * /, parentheses and spaces, such as 2 + 2.
    """
    try:
        result = _value(ast.parse(expression, mode="eval").body, expression)
        return str(result.quantize(Decimal("0.01"), ROUND_HALF_EVEN))
    except (SyntaxError, ArithmeticError, ValueError) as error:
        raise Refused("That can't be calculated.", code="not_arithmetic") from error


_OPERATIONS: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def _value(node: ast.expr, text: str) -> Decimal:
    match node:
        case ast.Constant(value=int() | float()):
            return Decimal(ast.get_source_segment(text, node) or "")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left, text), _value(right, text))
        case _:
            raise ValueError(ast.dump(node))


def _there(found: T | None) -> T:
    if found is None:
        raise Refused("There is no such thing in this shop.", code="not_found")
    return found
