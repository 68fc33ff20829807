"""Refunds: allowed, asked again, repaired, somebody else's, and two that a person has to look at."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from ....actions import Money
from ....errors import CallError
from ....runtime import CallView, Outcome
from ..record import Step
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


async def large(stage: Stage, step: Step) -> None:
    """What is large waits for a person, and then runs once."""
    step.says("Ada", "The sofa never arrived. I want the 120.00 back.")
    shown = await _waits_for_finance(stage, step, refund(stage.goods.sofa, "120.00"))
    await _approved(stage, step, shown, "The carrier lost it. Approved.")
    second = await refusal(stage.runtime.vote(shown.id, person=APPROVER, answer="approve"))
    step.expect("a second vote is refused", second, "approval_not_open")
    step.expect("the provider made one refund of 120.00 EUR", stage.account.refunded(stage.goods.sofa), euro("120.00"))


async def beyond_the_month(stage: Stage, step: Step) -> None:
    """What is small waits as well, where the customer has had too much in a month; who approves sees how much."""
    step.says("Ada", "And the mirror is scratched. That is another 30.00.")
    shown = await _waits_for_finance(stage, step, refund(stage.goods.mirror, "30.00"))
    used = [one["used"] for one in shown.limits if one["limit"] == "refunds/customer_month"]
    paid = [amount.minor for payment in stage.goods.payments for amount in stage.account.refunded(payment)]
    step.expect("what counts as used is what the provider has paid back to Ada", used, [sum(paid)])
    await _approved(stage, step, shown, "All of one delivery. Approved.")
    step.expect("the provider made one refund of 30.00 EUR", stage.account.refunded(stage.goods.mirror), euro("30.00"))


async def refusal(attempt: Awaitable[object]) -> str | None:
    """Give the code with which something is refused; None where it is not."""
    try:
        await attempt
    except CallError as refused:
        return refused.code
    return None


async def _waits_for_finance(stage: Stage, step: Step, call: tuple[str, dict[str, Any]]) -> CallView:
    """Let Ada's model ask, and give what finance then has in its inbox."""
    (waiting,) = await stage.ask(step, stage.ada, call)
    step.expect("it waits for finance", [waiting.state, [one["for"] for one in waiting.waiting]], ["waiting", ["approval by finance"]])
    step.expect("nothing is refunded while it waits", stage.account.refunded(call[1]["payment_id"]), [])
    [shown] = await stage.runtime.inbox(person=APPROVER)
    [asked] = shown.requirements
    step.happens("inbox", f"{shown.action}, {Money(shown.arguments['amount']['minor'], 'EUR')} of {shown.arguments['payment_id']}")
    step.happens("inbox", f"stopped by {asked['rule']}: {asked['reason']}")
    for one in shown.limits:
        used, takes, most = (Money(one[name], one["currency"]) for name in ("used", "takes", "at_most"))
        then = f"leaves {most - used - takes} of" if used + takes <= most else f"is {used + takes - most} beyond"
        step.happens("inbox", f"{one['limit']}: {used} used, {takes} more {then} {most}")
    return shown


async def _approved(stage: Stage, step: Step, shown: CallView, words: str) -> None:
    step.says("Fay", words)
    outcome = await stage.runtime.vote(shown.id, person=APPROVER, answer="approve", reason=words, digest=shown.digest)
    await stage.moved(step, outcome, len(shown.events))
    step.expect("it is done as soon as Fay approves", outcome.state, "succeeded")


def _code(outcome: Outcome) -> str | None:
    return outcome.error.code if outcome.error else None


def _without_id(outcome: Outcome) -> dict[str, Any]:
    return {name: value for name, value in outcome.to_json().items() if name != "call"}
