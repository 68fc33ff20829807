"""Refunds: allowed, asked again, repaired, somebody else's, and one that a person has to look at."""

from __future__ import annotations

from typing import Any

from ....actions import Money
from ....errors import CallError
from ....runtime import Outcome
from ..record import Moved, Step
from ..retracing import moves
from ..stage import APPROVER, Stage


def refund(payment: str, amount: str, reason: str = "requested_by_customer") -> tuple[str, dict[str, Any]]:
    """Write the call that asks for a refund in euro."""
    return "refund_payment", {"payment_id": payment, "amount": {"value": amount, "currency": "EUR"}, "reason": reason}


def euro(*amounts: str) -> list[Money]:
    """Give amounts in euro."""
    return [Money.of(amount, "EUR") for amount in amounts]


async def allowed_at_once(stage: Stage, step: Step) -> None:
    """A refund below the limit is done at once."""
    step.says("Ada", "The lamp came with a crack in it. Can I have my 49.00 back?")
    (outcome,) = await stage.ask(step, stage.ada, refund(stage.goods.lamp, "49.00"))
    step.expect("it is done at once", outcome.state, "succeeded")
    step.expect("the provider made one refund of 49.00 EUR", stage.account.refunded(stage.goods.lamp), euro("49.00"))
    stage.kept["lamp refund"] = outcome.call_id or ""


async def asked_again(stage: Stage, step: Step) -> None:
    """The same effect, asked again under a new tool-call id, gives the first outcome."""
    step.says("Ada", "Did that work? Please refund the lamp.")
    (outcome,) = await stage.ask(step, stage.ada, refund(stage.goods.lamp, "49.00"))
    first = stage.kept["lamp refund"]
    step.expect("it is the first call's outcome, said to be repeated", (outcome.call_id, outcome.repeated), (first, True))
    step.expect("the provider still has one refund", stage.account.refunded(stage.goods.lamp), euro("49.00"))


async def repaired(stage: Stage, step: Step) -> None:
    """Unusable arguments are answered so that the model can repair them; nothing is sent meanwhile."""
    step.says("Ada", "And 12.50 off the lampshade, please: it has a stain.")
    wrong = {"payment": stage.goods.shade, "amount": {"value": 12.5, "currency": "EUR"}, "reason": "requested_by_costumer"}
    (rejected,) = await stage.ask(step, stage.ada, ("refund_payment", wrong), dialect="openai")
    hints = {error.path: error.suggestion for error in rejected.error.field_errors} if rejected.error else {}
    step.expect("it is rejected, to be repaired", (rejected.state, rejected.error and rejected.error.retry), ("rejected", "fix_arguments"))
    step.expect("the misspelt name is recognised", hints.get("payment"), "did you mean `payment_id`?")
    step.expect("nothing was sent to the provider", stage.account.refunded(stage.goods.shade), [])
    (outcome,) = await stage.ask(step, stage.ada, refund(stage.goods.shade, "12.50"), dialect="openai")
    step.expect("the repaired call is done", outcome.state, "succeeded")
    step.expect("the provider made one refund of 12.50 EUR", stage.account.refunded(stage.goods.shade), euro("12.50"))


async def somebody_elses(stage: Stage, step: Step) -> None:
    """A foreign payment and a missing one get the same answer."""
    step.says("Ada", f"Please refund {stage.goods.coat} too. That was my coat.")
    foreign, missing = await stage.ask(step, stage.ada, refund(stage.goods.coat, "20.00"), refund("pi_missing", "20.00"))
    step.expect("both are denied as not found", [foreign.state, missing.state, _code(foreign)], ["denied", "denied", "not_found"])
    step.expect("the answers do not tell which of the two exists", _without_id(foreign), _without_id(missing))
    step.expect("nothing was refunded of Bo's coat", stage.account.refunded(stage.goods.coat), [])


async def over_the_limit(stage: Stage, step: Step) -> None:
    """What is over the limit waits for a person, and then runs once."""
    step.says("Ada", "The sofa never arrived. I want the 180.00 back.")
    (waiting,) = await stage.ask(step, stage.ada, refund(stage.goods.sofa, "180.00"))
    step.expect("it waits for finance", [waiting.state, [one["for"] for one in waiting.waiting]], ["waiting", ["approval by finance"]])
    step.expect("nothing is refunded while it waits", stage.account.refunded(stage.goods.sofa), [])
    [shown] = await stage.runtime.inbox()
    [asked] = shown.requirements
    step.happens("inbox", f"{shown.action}, {Money(shown.arguments['amount']['minor'], 'EUR')} of {shown.arguments['payment_id']}")
    step.happens("inbox", f"stopped by {asked['rule']}: {asked['reason']}")
    step.says("Fay", "The carrier lost it. Approved.")
    outcome = await stage.runtime.vote(shown.id, person=APPROVER, answer="approve", reason="The carrier lost it.", digest=shown.digest)
    view = await stage.runtime.view(shown.id)
    step.lines.append(Moved(outcome.to_json(), moves(view.events[len(shown.events) :])))
    step.expect("it is done as soon as Fay approves", outcome.state, "succeeded")
    try:
        await stage.runtime.vote(shown.id, person=APPROVER, answer="approve")
        second = "counted"
    except CallError as refused:
        second = refused.code
    step.expect("a second vote is refused", second, "approval_not_open")
    step.expect("the provider made one refund of 180.00 EUR", stage.account.refunded(stage.goods.sofa), euro("180.00"))


def _code(outcome: Outcome) -> str | None:
    return outcome.error.code if outcome.error else None


def _without_id(outcome: Outcome) -> dict[str, Any]:
    return {name: value for name, value in outcome.to_json().items() if name != "call"}
