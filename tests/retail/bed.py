"""The retail test bed, read from beside the repository: database, gold calls, whose each task is; and the original tools' digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "testbeds" / "retail"
MISSING = "the retail test bed, ../shared/testbeds/retail beside the repository, is not on this machine"

# What an order may have besides: the original counts each as null where it is not there.
_LATER = ("cancel_reason", "exchange_items", "exchange_new_items", "exchange_payment_method_id", "exchange_price_difference")
_LATER += ("return_items", "return_payment_method_id")

Tables = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Gold:
    """One call of a task: whether it worked in the original, and of what kind it is there (read, write, generic)."""

    name: str
    arguments: dict[str, Any]
    kind: str
    ok: bool


@dataclass(frozen=True)
class Task:
    id: str
    customer: str
    calls: tuple[Gold, ...]
    after: str
    """The digest of the original's database when it was through."""


class Bed:
    """Read both files once."""

    def __init__(self) -> None:
        self.tables: Tables = json.loads((FOLDER / "db.json").read_text())

    @cached_property
    def tasks(self) -> list[Task]:
        gold = json.loads((FOLDER / "gold.json").read_text())
        return [
            Task(
                task["id"],
                self._customer(task),
                tuple(Gold(one["name"], one["arguments"], one["type"], one["ok"]) for one in task["actions"]),
                task["db_hash_after"][0],
            )
            for task in gold["tasks"]
        ]

    @property
    def users(self) -> Mapping[str, Any]:
        return self.tables["users"]

    def orders(self, *statuses: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give the orders of these statuses with their customers, in the order of the file."""
        return ((row["user_id"], row) for row in self.tables["orders"].values() if row["status"] in statuses)

    def variants(self, item: Mapping[str, Any], *, available: bool = True) -> list[dict[str, Any]]:
        """Give the other variants of an item's product."""
        variants = self.tables["products"][item["product_id"]]["variants"].values()
        return [one for one in variants if one["available"] is available and one["item_id"] != item["item_id"]]

    def digest(self, tables: Tables) -> str:
        """Give the digest that the original took of its database."""
        parts = []
        for name in ("orders", "products", "users"):
            rows = (f"{json.dumps(key)}: {self._text(name, key, row)}" for key, row in sorted(tables[name].items()))
            parts.append(f'"{name}": {{{", ".join(rows)}}}')
        return hashlib.sha256(f"{{{', '.join(parts)}}}".encode()).hexdigest()

    def _text(self, table: str, key: str, row: dict[str, Any]) -> str:
        if row is self.tables[table].get(key):
            return self._texts[table, key]
        return _text(table, row)

    @cached_property
    def _texts(self) -> dict[tuple[str, str], str]:
        return {(name, key): _text(name, row) for name, rows in self.tables.items() for key, row in rows.items()}

    def _customer(self, task: Mapping[str, Any]) -> str:
        """Find whose a task is: by its orders and profiles, else by who the instructions say they are."""
        named = [one["arguments"] for one in task["actions"]]
        owners = {self.tables["orders"][each["order_id"]]["user_id"] for each in named if each.get("order_id") in self.tables["orders"]}
        found = owners | {each["user_id"] for each in named if "user_id" in each}
        found = found or {user for user, row in self.users.items() if _introduced(user, row, task["instructions"])}
        [customer] = found
        return customer


def _introduced(user: str, row: Mapping[str, Any], said: str) -> bool:
    name = f"{row['name']['first_name']} {row['name']['last_name']}"
    return row["address"]["zip"] in said and bool(re.search(rf"\b({user}|{name})\b", said))


def _text(table: str, row: dict[str, Any]) -> str:
    return json.dumps(dict.fromkeys(_LATER) | row if table == "orders" else row, sort_keys=True)
