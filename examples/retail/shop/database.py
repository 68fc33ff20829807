"""The shop's database: a JSON file that is only read, and what has been changed since, in a small file of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from remit import Money

from .records import Customer, Order, PaymentMethod, Product, Variant, dollars

Row = dict[str, Any]
Tables = dict[str, dict[str, Row]]
CHANGING = ("orders", "users", "conversations", "transfers")


class Database:
    """Hold the tables `products`, `users` and `orders` as the file has them, and the desk's own: `conversations`, `transfers`.

    A row is replaced, never changed in place, so a copy of the tables is a copy of their dictionaries. `changes` is where the rows
    that differ from the file are kept; without it they live as long as the process.
    """

    def __init__(self, tables: Mapping[str, Mapping[str, Row]], changes: Path | None = None) -> None:
        self.tables: Tables = {name: dict(rows) for name, rows in tables.items()}
        self._changes, self._changed = changes, {name: dict[str, Row]() for name in CHANGING}
        for name in CHANGING:
            self.tables.setdefault(name, {})
        if changes and changes.exists():
            self._changed |= json.loads(changes.read_text())
            for name, rows in self._changed.items():
                self.tables[name] |= rows
        self._products = {item: product for product, row in self.tables["products"].items() for item in row["variants"]}

    @classmethod
    def read(cls, source: Path, changes: Path | None = None) -> Self:
        """Read the JSON file."""
        return cls(json.loads(source.read_text()), changes)

    def order(self, order_id: str) -> Order | None:
        """Find an order."""
        row = self.tables["orders"].get(order_id)
        return None if row is None else Order.model_validate(row)

    def customer(self, user_id: str) -> Customer | None:
        """Find a customer."""
        row = self.tables["users"].get(user_id)
        return None if row is None else Customer.model_validate(row)

    def payment_method(self, user_id: str, method_id: str) -> PaymentMethod | None:
        """Find one of a customer's ways of paying."""
        row = self.tables["users"].get(user_id, {}).get("payment_methods", {}).get(method_id)
        return None if row is None else PaymentMethod.model_validate(row)

    def product(self, product_id: str) -> Product | None:
        """Find a product."""
        row = self.tables["products"].get(product_id)
        return None if row is None else Product.model_validate(row)

    def variant(self, item_id: str) -> tuple[str, Variant] | None:
        """Find a variant by its item id, and the product that it is one of."""
        if (product := self._products.get(item_id)) is None:
            return None
        return product, Variant.model_validate(self.tables["products"][product]["variants"][item_id])

    def open_conversation(self, conversation: str, user_id: str) -> None:
        """Note whom a conversation is with, when they have logged in; the first one stays."""
        if conversation not in self.tables["conversations"]:
            self.put(("conversations", conversation, {"customer": user_id}))

    def credited(self, user: Row, method_id: str, amount: Money) -> Row:
        """Give a customer's row with an amount put on a gift card, or taken off it; nothing else has a balance here."""
        method = user["payment_methods"][method_id]
        if "balance" not in method:
            return user
        balance = float((dollars(method["balance"]) + amount).value)
        return user | {"payment_methods": user["payment_methods"] | {method_id: method | {"balance": balance}}}

    def put(self, *rows: tuple[str, str, Row]) -> None:
        """Replace rows together, each given as its table, its id and what it is now."""
        for table, row_id, row in rows:
            self.tables[table][row_id] = self._changed[table][row_id] = row
        if self._changes:
            written = self._changes.with_suffix(".new")
            written.write_text(json.dumps(self._changed))
            written.replace(self._changes)
