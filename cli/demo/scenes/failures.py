"""What goes wrong in the middle: an answer that is lost at the provider, and a process that is killed."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from ....sandbox.faults import Fault
from .. import life
from ..record import Step
from ..stage import Stage
from .refunds import euro, refund

PATIENCE = 20.0


async def answer_lost(stage: Stage, step: Step) -> None:
    """The provider pays and its answer is lost: unknown is said, and the same key settles it."""
    step.says("Bo", "The vase is chipped. That was 25.00.")
    stage.account.order(Fault.ANSWER_LOST)
    (unknown,) = await stage.ask(step, stage.bo, refund(stage.goods.vase, "25.00"))
    call = unknown.call_id or ""
    step.expect("it is said to be unknown", (unknown.state, unknown.error is None), ("unknown", True))
    known = len((await stage.runtime.view(call)).events)
    outcome = await stage.runtime.wait(call, PATIENCE)
    await stage.moved(step, outcome, known)
    step.expect("it settles itself", outcome.state, "succeeded")
    requests = stage.account.requests_of(call)
    step.happens("provider", f"{len(requests)} requests under one key; the second got the first one's answer again")
    step.expect("both requests had one key, and the second was a replay", (len({key for key, _ in requests}), requests[-1][1]), (1, True))
    step.expect("the provider made one refund of 25.00 EUR", stage.account.refunded(stage.goods.vase), euro("25.00"))


async def killed(stage: Stage, step: Step) -> None:
    """The process is killed between intent and answer; the next one finds out what happened, and pays nothing twice."""
    step.says("Bo", "Last one: the rug has a hole. 40.00, please.")
    sent = stage.says(step, refund(stage.goods.rug, "40.00"))
    await stage.runtime.close()
    stage.account.order(Fault.SLOW, seconds=30)
    async with life.begun(stage.folder, "anthropic", sent, stage.bo) as process:
        await _paid(stage)
        process.kill()
    step.happens("process", f"{process.pid} has written its intent and sent the refund; it is killed before the answer comes")
    dead = process.returncode is not None and process.returncode < 0
    step.expect("it is dead, and the provider has paid", (dead, stage.account.refunded(stage.goods.rug)), (True, euro("40.00")))
    stage.account.later(timedelta(seconds=30))
    async with asyncio.timeout(PATIENCE), life.begun(stage.folder, "anthropic", sent, stage.bo) as process:
        step.happens("process", f"{process.pid} starts on the same database, and is handed the same message")
        [settled] = await life.end_of(process)
    await stage.runtime.start()
    [call], outcome = stage.runtime.read("anthropic", sent), await stage.runtime.get(settled["call"])
    await stage.answer(step, "anthropic", [(call, outcome, None)])
    made = [event["change"][1] for event in (await stage.runtime.view(settled["call"])).events if event["change"]]
    step.expect("the log tells of the intent, and that its outcome was unknown", made[:2], ["executing", "unknown"])
    step.expect("the new process settles it", settled["state"], "succeeded")
    step.expect("the provider made one refund of 40.00 EUR", stage.account.refunded(stage.goods.rug), euro("40.00"))


async def _paid(stage: Stage) -> None:
    """Wait until the provider has paid; its answer is held back by the fault that was ordered."""
    async with asyncio.timeout(PATIENCE):
        while not stage.account.refunded(stage.goods.rug):  # noqa: ASYNC110 - another process makes it so
            await asyncio.sleep(0.02)
