"""A switch that stops refunds at once, until a person lifts it."""

from __future__ import annotations

from ..record import Step
from ..stage import AGENT, OPERATOR, Stage
from .refunds import euro, refund, refusal


async def switched_off(stage: Stage, step: Step) -> None:
    """No refund begins while the switch stands, and no agent lifts it."""
    switches, (name, arguments) = stage.runtime.switches, refund(stage.goods.coat, "20.00")
    step.says("Olga", "What is wrong with the refunds today? Stop them until I know.")
    await switches.throw("action", name, by=OPERATOR, reason="Too many at once")
    step.happens("switch", f"{name} is off: what has not begun does not begin, in any process")
    step.says("Bo", "My coat lost two buttons. Can I have 20.00 back?")
    (refused,) = await stage.ask(step, stage.bo, (name, arguments))
    step.expect("it is refused", (refused.state, refused.error and refused.error.code), ("denied", "switched_off"))
    by_agent = await refusal(switches.lift("action", name, person=AGENT, reason="The customer is waiting"))
    step.expect("the agent can't lift the switch", (by_agent, len(await switches.list())), ("bad_person", 1))
    step.expect("nothing was refunded", stage.account.refunded(stage.goods.coat), [])
    step.says("Olga", "A whole delivery was broken. Go on.")
    await switches.lift("action", name, person=OPERATOR, reason="A broken delivery")
    step.happens("switch", f"{name} is on again")
    step.says("Bo", "Could you try again?")
    (done,) = await stage.ask(step, stage.bo, (name, arguments))
    step.expect("now it is done", done.state, "succeeded")
    step.expect("the provider made one refund of 20.00 EUR", stage.account.refunded(stage.goods.coat), euro("20.00"))
