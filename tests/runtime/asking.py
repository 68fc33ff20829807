"""Policies that ask, and calls that wait: what the tests of requirements share."""

from __future__ import annotations

from typing import Any

from remit import Context, Injected, Money, action, lookup
from remit.audit import State
from tests.runtime.bank import ACTIONS, NOTES, OWN, Bank, Receipt, World, asks, find, session

ALLOWED = """
policy: payments
actions: [refund, traced_refund, transfer, cheque]
rules:
  - {id: any, when: arguments.amount.currency == "EUR", then: allow}
  - {id: disputed, when: facts.payment.disputed, then: deny}
"""
CONFIRM = "  - {id: sure, then: require_confirmation, confirmation: {within: 1h}}\n"
CONFIRM_TOO = "  - {id: really, then: require_confirmation}\n"
PROVE = "  - {id: weak, when: subject.assurance < 2, then: require_step_up}\n"


def approve(rule: str, by: str, votes: int = 1, *, within: str = "4h", escalate: str = "", when: str = "true") -> str:
    more = f", escalate: {escalate}" if escalate else ""
    return f"  - {{id: {rule}, when: '{when}', then: require_approval, approval: {{by: {by}, votes: {votes}, within: {within}{more}}}}}\n"


def asking(world: World, *rules: str) -> World:
    """Let a world's policies ask for this."""
    world.policies(payments=ALLOWED + "".join(rules), notes=NOTES)
    return world


async def waits(runtime: Any, name: str = "transfer", payment: str = "pay_1", euros: str = "10.00", **changes: Any) -> str:
    outcome = await runtime.submit(asks(name, payment, euros), session(**changes))
    assert outcome.state is State.WAITING, outcome
    return outcome.call_id


def said(outcome: Any) -> list[str]:
    return [one["requirement"] for one in outcome.waiting]


async def events(runtime: Any, call_id: str, kind: str) -> list[Any]:
    return [event for event in (await runtime.view(call_id)).events if event["kind"] == kind]


@action(
    effect=lookup(find, settle="30s"),
    key="transfer:{payment_id}",
    deadline="5s",
    summary={"": "Pay back {amount} for {facts.payment.memo}", "de": "{amount} zurückzahlen für {facts.payment.memo}"},
    name="transfer",
    **OWN,
)
async def told_transfer(ctx: Context, payment_id: str, amount: Money, bank: Injected[Bank]) -> Receipt:
    """Refund, and say to people for what."""
    return await bank.pay(ctx, payment_id, None)


TELLING = [told_transfer, *(one for one in ACTIONS if one.name != "transfer")]
