"""Cancelling ends what has not started, and forbids what has from being tried again."""

import asyncio

import pytest

from remit import Retryable
from remit.audit import State
from remit.errors import AlreadySettled, AlreadyStarted, ApprovalNotOpen, CallNotFound
from remit.runtime.journal import Conflict
from remit.runtime.votes import _forbid
from tests.runtime.bank import LARGE, asks, comes_to, dropped, gated, kinds, lost, raising, session


async def test_a_waiting_call_is_cancelled(runtime, world):
    waiting = await runtime.submit(asks("transfer", euros=LARGE), session())
    cancelled = await runtime.cancel(waiting.call_id, by="fay", reason="not needed")
    assert (cancelled.state, cancelled.error.retry) == (State.CANCELLED, "never")
    assert await runtime.inbox() == []
    with pytest.raises(ApprovalNotOpen):
        await runtime.vote(waiting.call_id, person="fay", answer="approve")
    assert world.bank.attempts == [] and (await runtime.verify()).ok


async def test_a_call_ready_for_another_try_is_cancelled(runtime, world):
    world.bank.plan.append(raising(Retryable("429")))
    ready = await runtime.submit(asks(), session())
    assert (await runtime.cancel(ready.call_id, by="fay")).state is State.CANCELLED
    world.time.pass_(minutes=5)
    await asyncio.sleep(0.05)
    assert len(world.bank.attempts) == 1 and (await runtime.verify()).ok


async def test_a_settled_call_stays_as_it_is(runtime):
    done = await runtime.submit(asks(), session())
    with pytest.raises(AlreadySettled):
        await runtime.cancel(done.call_id, by="fay")
    with pytest.raises(CallNotFound):
        await runtime.cancel("call_none", by="fay")


async def cancelled_while_executing(runtime, world, then) -> str:
    gate, entered = asyncio.Event(), asyncio.Event()
    world.bank.plan.append(gated(gate, entered, then))
    caller = asyncio.create_task(runtime.submit(asks("traced_refund"), session()))
    await entered.wait()
    call_id = (await runtime.calls())[0].id
    with pytest.raises(AlreadyStarted):
        await runtime.cancel(call_id, by="fay", reason="stop it")
    gate.set()
    await caller
    return call_id


async def test_an_executing_call_settles_as_it_will(runtime, world):
    from tests.runtime.bank import good

    call_id = await cancelled_while_executing(runtime, world, good)
    assert (await runtime.get(call_id)).state is State.SUCCEEDED
    assert (await runtime.verify()).ok


async def test_after_a_cancel_nothing_is_sent_again_that_was_not_applied(runtime, world):
    call_id = await cancelled_while_executing(runtime, world, raising(Retryable("429")))
    world.time.pass_(minutes=5)
    await asyncio.sleep(0.05)
    assert (await runtime.get(call_id)).state is State.FAILED
    assert len(world.bank.attempts) == 1


@pytest.mark.parametrize(("what", "state"), [(lost, State.SUCCEEDED), (dropped, State.FAILED)])
async def test_after_a_cancel_an_unknown_effect_is_looked_up_and_never_sent_again(runtime, world, what, state):
    call_id = await cancelled_while_executing(runtime, world, what)
    world.time.pass_(seconds=20)
    await asyncio.sleep(0.05)
    world.time.pass_(seconds=12)
    assert (await comes_to(runtime, call_id, state)).state is state
    assert len(world.bank.attempts) == 1, "a replay under the same key is a dispatch too"
    assert (await runtime.verify()).ok


async def test_control_without_a_cancel_it_is_sent_again(runtime, world):
    world.bank.plan.append(dropped)
    outcome = await runtime.submit(asks("traced_refund"), session())
    world.time.pass_(seconds=2)
    await comes_to(runtime, outcome.call_id, State.SUCCEEDED)
    assert len(world.bank.attempts) == 2


async def test_an_unknown_call_can_be_told_to_stop(runtime, world):
    world.bank.plan.append(dropped)
    outcome = await runtime.submit(asks("traced_refund"), session())
    with pytest.raises(AlreadyStarted):
        await runtime.cancel(outcome.call_id, by="fay")
    world.time.pass_(seconds=40)
    assert (await comes_to(runtime, outcome.call_id, State.FAILED)).state is State.FAILED
    assert len(world.bank.attempts) == 1
    assert "call.cancel_asked" in kinds(await runtime.view(outcome.call_id))
    assert (await runtime.verify()).ok


async def test_a_cancel_that_comes_as_the_call_settles_forbids_nothing(runtime, world):
    gate, entered = asyncio.Event(), asyncio.Event()
    world.bank.plan.append(gated(gate, entered))
    caller = asyncio.create_task(runtime.submit(asks(), session()))
    await entered.wait()
    seen = (await runtime.calls())[0]
    gate.set()
    await caller
    with pytest.raises(Conflict):
        await _forbid(runtime.parts, seen, "fay", {})
    with pytest.raises(AlreadySettled):
        await runtime.cancel(seen.id, by="fay")


async def test_cancel_and_approve_at_once_have_one_winner(runtime, world):
    for number in range(1, 6):
        waiting = await runtime.submit(asks("transfer", f"pay_{number}", LARGE), session())
        both = (runtime.cancel(waiting.call_id, by="kay"), runtime.vote(waiting.call_id, person="fay", answer="approve"))
        await asyncio.gather(*both, return_exceptions=True)
        state = (await runtime.wait(waiting.call_id, 30)).state
        assert (state is State.SUCCEEDED) == (f"pay_{number}" in world.bank.effects)
        assert state in {State.CANCELLED, State.SUCCEEDED}
    assert (await runtime.verify()).ok


async def test_a_customers_cancel_leaves_no_name_in_clear(runtime, world):
    waiting = await runtime.submit(asks("transfer", euros=LARGE), session(subject="kay"))
    await runtime.cancel(waiting.call_id, by="kay", reason="I changed my mind about MY-REASON")
    event = (await runtime.view(waiting.call_id)).events[-1]
    assert event["body"] == {"by": "subject"} and "MY-REASON" in event["personal"]["/reason"]
