"""The one call that everything here measures: an allowed refund with an effect key, ten rules, a handler that does nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from remit import Context, Money, Runtime, Session, ToolCall, action, keyed
from remit.runtime import sqlite

SUBJECTS = 50
_numbers = itertools.count(1)


class Receipt(BaseModel):
    id: str


@action(
    effect=keyed("24h"),
    key="refund:{payment_id}",
    owns=None,
    owns_reason="the benchmark measures the runtime, and loads no facts",
)
async def refund_payment(ctx: Context, payment_id: str, amount: Money, reason: str) -> Receipt:  # noqa: ARG001 - it does nothing
    """Refund a payment to the card it came from, in full or in part."""
    return Receipt(id=ctx.idempotency_key)


def write_policies(folder: Path, rules: int = 10, limit: str = "") -> Path:
    """Write a policy with that many rules: one allows, the others look at the same call and don't match; `limit` is one in YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "policy: refunds",
        "actions: [refund_payment]",
        "rules:",
        "  - {id: small, when: 'arguments.amount.currency == \"EUR\" && arguments.amount.minor <= 5000', then: allow}",
    ]
    lines += [
        f"  - {{id: never_{number}, when: 'arguments.amount.currency == \"EUR\" && arguments.amount.minor > {100_000 + number}', then: deny}}"
        for number in range(1, rules)
    ]
    lines += ["limits:", f"  - {limit}"] if limit else []
    (folder / "refunds.yaml").write_text("\n".join(lines) + "\n")
    return folder


@contextmanager
def synchronous(mode: str) -> Iterator[None]:
    """Open databases with another durability while the block lasts. For comparison only: Remit itself has no such option."""
    before = sqlite.PRAGMAS
    sqlite.PRAGMAS = tuple(f"synchronous = {mode}" if pragma.startswith("synchronous") else pragma for pragma in before)
    try:
        yield
    finally:
        sqlite.PRAGMAS = before


async def open_runtime(folder: Path, *, mode: str = "FULL", rules: int = 10, limit: str = "") -> Runtime:
    """Start a runtime over the database in a folder, which is made if it is not there."""
    with synchronous(mode):
        policies = write_policies(folder / "policies", rules, limit)
        return await Runtime([refund_payment], policies=policies, database=folder / "remit.db").start()


def next_call() -> tuple[ToolCall, Session]:
    """Make a call that was never made before, as a model of some conversation sends it."""
    number = next(_numbers)
    arguments = f'{{"payment_id": "pay_{number}", "amount": {{"value": "12.50", "currency": "EUR"}}, "reason": "it came broken"}}'
    session = Session(
        principal="agent",
        subject=f"customer_{number % SUBJECTS}",
        conversation=f"conversation_{number % (10 * SUBJECTS)}",
        channel="chat",
        model="model-1",
        assurance=2,
    )
    return ToolCall(f"call_{number}", "refund_payment", arguments), session


async def submit(runtime: Runtime) -> None:
    """Make one call, and see that it was really done."""
    outcome = await runtime.submit(*next_call())
    if outcome.state != "succeeded" or outcome.repeated:
        raise AssertionError(f"a benchmark call {outcome.state}: {outcome.to_json()}")


async def submit_many(runtime: Runtime, calls: int, callers: int) -> None:
    """Make that many calls, with as many under way at once as there are callers."""
    left = itertools.islice(itertools.count(), calls)

    async def caller() -> None:
        for _ in left:
            await submit(runtime)

    await asyncio.gather(*(caller() for _ in range(callers)))
