"""A desk that refunds through the Stripe connector at the payment sandbox, on the world's own time: what the tests of reconciliation share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from remit import Runtime, Session
from remit.actions.library import payments, plans
from remit.actions.library.stripe import Stripe
from remit.sandbox.payments import PaymentSandbox
from tests.runtime.bank import World, hire

REFUNDS = """
policy: refunds
actions: [refund_payment]
rules:
  - id: large
    when: arguments.amount.currency == "EUR" && arguments.amount.minor > 500000
    then: deny
    reason: Too much.
  - id: small
    when: arguments.amount.currency == "EUR"
    then: allow
"""
PLANS = """
policy: plans
actions: [change_plan]
rules:
  - id: all
    when: "true"
    then: allow
"""


@dataclass
class Desk:
    """A runtime, the provider behind it, and a customer who buys."""

    world: World
    runtime: Runtime
    sandbox: PaymentSandbox
    customer: str

    def bought(self, cents: int = 4990) -> str:
        return self.sandbox.charging.create_payment(amount=cents, currency="eur", customer=self.customer)["id"]

    def subscribed(self) -> str:
        prices = [
            self.sandbox.billing.create_price(
                currency="eur", unit_amount=cents, recurring={"interval": "month"}, product_data={"name": plan}, lookup_key=plan
            )["id"]
            for plan, cents in (("basic", 900), ("pro", 1900), ("max", 1900))
        ]
        return self.sandbox.billing.create_subscription(customer=self.customer, items=[{"price": prices[0]}])["id"]

    async def asks(self, name: str, **arguments: Any) -> Any:
        session = Session(principal="bot", subject=self.customer, conversation="c1")
        return await self.runtime.submit({"name": name, "arguments": arguments}, session)

    async def refunds(self, payment: str, euros: str = "10.00") -> Any:
        return await self.asks(
            "refund_payment", payment_id=payment, amount={"value": euros, "currency": "EUR"}, reason="requested_by_customer"
        )

    def by_hand(self, payment: str, cents: int = 500, call: str | None = None) -> str:
        """Refund at the provider, past Remit."""
        named = {"remit_call": call} if call else {}
        return self.sandbox.charging.create_refund(payment_intent=payment, amount=cents, metadata=named)["id"]

    def change(self, kind: str, name: str, **fields: Any) -> None:
        """Change an object in the provider's own books, as nobody can by its API."""
        self.sandbox._account.ledger.get(kind, name).update(fields)

    def lose(self, name: str) -> None:
        """Let the provider lose an object."""
        del self.sandbox._account.ledger._objects[name]

    async def compare(self, *, later: int = 60, **since: Any) -> Any:
        self.world.time.pass_(seconds=later)  # what has only just been done may not show yet
        return await self.runtime.reconcile(since=timedelta(**(since or {"days": 7})))


@contextlib.asynccontextmanager
async def opened(world: World, *actions: Any, policies: Any = None, resources: Any = (), **settings: Any) -> AsyncIterator[Desk]:
    """Open a desk on a world; when it closes, its log must verify."""
    world.policies(**(policies or {"refunds": REFUNDS, "plans": PLANS}))
    for left in ("payments", "notes"):
        (world.folder / "policies" / f"{left}.yaml").unlink(missing_ok=True)
    with PaymentSandbox(clock=lambda: datetime.fromtimestamp(world.time.nanos // 10**9, UTC)) as sandbox:
        async with Stripe("sk_test_any", api_base=sandbox.url) as stripe:
            customer = sandbox.charging.create_customer(name="Ada")["id"]
            runtime = Runtime(
                actions or (payments, plans),
                policies=world.folder / "policies",
                database=world.database,
                keys=world.folder / "remit.keys",
                **{"activate": True, "clock": world.time.clock, "resources": [stripe, *resources], **settings},
            )
            async with runtime:
                await hire(runtime)
                yield Desk(world, runtime, sandbox, customer)
                report = await runtime.verify()
                assert report.ok, report.first


def codes(report: Any) -> list[tuple[str, str | None, str | None]]:
    return [(one.code, one.call, one.reference) for one in report.differences]
