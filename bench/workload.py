"""The one call that everything here measures: an allowed refund with an effect key, ten rules, a handler that does nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from remit import Context, Money, Outcome, Runtime, Session, ToolCall, action, keyed
from remit.audit import KeyFile
from remit.runtime import sqlite

SUBJECTS = 50
_numbers = itertools.count(1)
executing: Callable[[str, str], None] | None = None
"""Told of each execution where somebody wants to know: the call's id, and the payment's, which is its effect."""


class Receipt(BaseModel):
    id: str


@action(
    effect=keyed("24h"),
    key="refund:{payment_id}",
    owns=None,
    owns_reason="the benchmark measures the runtime, and loads no facts",
    tags=["money"],
)
async def refund_payment(ctx: Context, payment_id: str, amount: Money, reason: str) -> Receipt:  # noqa: ARG001 - it does nothing
    """Refund a payment to the card it came from, in full or in part."""
    if executing is not None:
        executing(ctx.call_id, payment_id)
    return Receipt(id=ctx.idempotency_key)


@action(effect=keyed("24h"), key="note:{payment_id}", owns=None, owns_reason="it is never called", tags=["money"])
async def note_payment(ctx: Context, payment_id: str) -> Receipt:  # noqa: ARG001 - it is there so that a process can lack the other
    """Note something about a payment."""
    return Receipt(id=ctx.idempotency_key)


APPROVED = """\
policy: refunds
actions: ["#money"]
rules:
  - {id: anybody, then: allow}
  - {id: agreed, then: require_approval, reason: Somebody must agree., approval: {by: finance, votes: 1, within: 4h}}
"""
APPROVER = "fay"


def write_policies(folder: Path, rules: int = 10, limit: str = "") -> Path:
    """Write a policy with that many rules: one allows, the others look at the same call and don't match; `limit` is one in YAML."""
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
    return _written(folder, "\n".join(lines) + "\n")


def _written(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "refunds.yaml").write_text(text)
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


async def open_runtime(folder: Path, *, mode: str = "FULL", rules: int = 10, limit: str = "", url: str = "") -> Runtime:
    """Start a runtime over the database in a folder, which is made if it is not there, or over the one at `url`, whose keys are in the folder."""
    with synchronous(mode):
        return await runtime_over(folder, write_policies(folder / "policies", rules, limit), url).start()


async def open_approved(folder: Path, url: str, *, lacking: bool = False) -> Runtime:
    """Start a runtime in which `APPROVER` must agree to every refund; `lacking` is one that does not have that action itself."""
    policies = _written(folder / "policies", APPROVED)
    runtime = await runtime_over(folder, policies, url, [note_payment] if lacking else [refund_payment, note_payment]).start()
    if await runtime.people.get(APPROVER) is None:
        await runtime.people.add(APPROVER, roles=["finance"])
    return runtime


def runtime_over(folder: Path, policies: Path, url: str, actions: list[object] | None = None) -> Runtime:
    """Make a runtime over the database at `url`, or in the folder."""
    keys = folder / "remit.keys"
    if url and not keys.exists():
        KeyFile.create(keys)
    return Runtime(actions or [refund_payment], policies=policies, database=url or folder / "remit.db", keys=keys)


def number_from(first: int) -> None:
    """Number the calls of this process from here on: processes that share a database must not make the same ones by accident."""
    global _numbers  # noqa: PLW0603 - one sequence for a process
    _numbers = itertools.count(first)


def next_call() -> tuple[ToolCall, Session]:
    """Make a call that was never made before, as a model of some conversation sends it."""
    return call_of(next(_numbers))


def call_of(number: int) -> tuple[ToolCall, Session]:
    """Make the call of that number."""
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
    done(await runtime.submit(*next_call()))


def done(outcome: Outcome) -> None:
    """See that a call was really done, and now."""
    if outcome.state != "succeeded" or outcome.repeated:
        raise AssertionError(f"a benchmark call {outcome.state}: {outcome.to_json()}")


async def submit_many(runtime: Runtime, calls: int, callers: int) -> None:
    """Make that many calls, with as many under way at once as there are callers."""
    left = itertools.islice(itertools.count(), calls)

    async def caller() -> None:
        for _ in left:
            await submit(runtime)

    await asyncio.gather(*(caller() for _ in range(callers)))
