"""Policies with limits over the tests' bank, and what the database keeps of them."""

from __future__ import annotations

from typing import Any

import orjson

from remit.runtime import Runtime

CAP = "{id: budget, measure: arguments.amount, currency: EUR, window: 1h, at_most: 10000, say: That is enough for now.}"
ALL = "[refund, traced_refund, transfer, cheque]"


def limited(*limits: str, actions: str = ALL, rules: str = "", more: str = "") -> str:
    """Write a policy that allows everything within limits."""
    lines = ["policy: payments", f"actions: {actions}", more, "rules:", "  - {id: any, then: allow}", rules]
    return "\n".join([*lines, "limits:", *(f"  - {one}" for one in limits)]) + "\n"


async def held(runtime: Runtime) -> dict[str, int]:
    """What the windows hold by series, as the slices say it."""
    rows = await runtime.parts.store.rows("SELECT series, sum(amount) FROM usage GROUP BY series, key")
    return {series: amount for series, amount in rows if amount}


async def told(runtime: Runtime, kind: str) -> list[dict[str, Any]]:
    """The bodies of the events of a kind, in the order of their numbers where they have some."""
    rows = await runtime.parts.store.rows("SELECT leaf FROM event WHERE kind = ? ORDER BY position", (kind,))
    return [orjson.loads(leaf)["body"] for (leaf,) in rows]
