"""A caller may go away, be in a hurry, or come in a crowd: calls go on all the same, and each caller is told the truth."""

import asyncio

import pytest

from remit.audit import State
from remit.runtime.journeys import Journeys
from tests.runtime.bank import ALLOW, NOTES, asks, comes_to, gated, says, session


async def test_a_caller_who_goes_away_does_not_cancel_the_call(runtime, world):
    gate, entered = asyncio.Event(), asyncio.Event()
    world.bank.plan.append(gated(gate, entered))
    caller = asyncio.create_task(runtime.submit(asks(tag="t1"), session()))
    await entered.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    gate.set()

    again = await runtime.submit(asks(tag="t1"), session())
    assert (again.state, again.repeated) == (State.SUCCEEDED, True)
    assert world.bank.effects == ["pay_1"]


async def test_a_caller_who_goes_away_while_others_take_the_key_leaves_nothing_half_done(runtime, world):
    """Whoever loses the race for a key begins again; nobody has to be there for that."""
    callers = [asyncio.create_task(runtime.submit(says("milk", tag="t1"), session())) for _ in range(20)]
    await asyncio.sleep(0.002)
    for caller in callers[::2]:
        caller.cancel()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    stayed = [one for one in outcomes if not isinstance(one, BaseException)]
    assert len(stayed) >= 10 and {one.state for one in stayed} == {State.SUCCEEDED}
    assert world.bank.effects == ["milk"]


async def test_waiting_is_bounded_and_the_call_goes_on(runtime, world):
    gate = asyncio.Event()
    world.bank.plan.append(gated(gate))
    hasty = await runtime.submit(asks(), session(), wait=0.01)
    assert hasty.state in {State.NEW, State.EXECUTING} and "Do not repeat" in hasty.message()
    assert (await runtime.wait(hasty.call_id, 0.01)).state is State.EXECUTING
    gate.set()
    assert (await runtime.wait(hasty.call_id, 30)).state is State.SUCCEEDED


async def test_a_hasty_call_survives_a_change_of_policies_in_another_process(world):
    async with world.running() as one, world.running(people=False) as other:
        world.policies(payments=ALLOW + "# changed\n", notes=NOTES)
        await other.reload_policies(by="fay")
        hasty = await one.submit(asks(), session(), wait=0)
        done = await comes_to(one, hasty.call_id, State.SUCCEEDED)
        assert done.state is State.SUCCEEDED
        assert (await one.verify()).ok


async def hasty(runtime, monkeypatch):
    """Begin a call in a hurry while nothing can be written for a moment; gives what the database knows of it when the caller has its id."""
    gate, commit = asyncio.Event(), runtime.parts.store.journal.commit

    async def slowly(writes):
        await gate.wait()
        await commit(writes)

    monkeypatch.setattr(runtime.parts.store.journal, "commit", slowly)
    asyncio.get_running_loop().call_later(0.1, gate.set)
    outcome = await runtime.submit(asks(), session(), wait=0)
    return await runtime.parts.store.find(outcome.call_id)


async def test_an_id_that_is_given_is_in_the_database(runtime, monkeypatch):
    assert await hasty(runtime, monkeypatch) is not None


async def test_control_an_id_that_is_given_before_may_be_lost(runtime, monkeypatch):
    async def at_once(_journeys, call, _task):
        return call

    monkeypatch.setattr(Journeys, "_written", at_once)
    assert await hasty(runtime, monkeypatch) is None


async def test_one_call_too_many_is_told_to_come_back(runtime, world, monkeypatch):
    monkeypatch.setattr("remit.runtime.admission.LONGEST_LINE", 3)
    gate = asyncio.Event()
    world.bank.plan.extend([gated(gate)] * 3)
    inside = [await runtime.submit(says(f"note {number}"), session(), wait=0.01) for number in range(3)]

    for sent in (says("one more"), {"name": "no_such", "arguments": {}}):
        refused = await runtime.submit(sent, session())
        assert (refused.call_id, refused.error.code, refused.error.retry) == (None, "overloaded", "later")
    gate.set()
    assert {(await runtime.wait(one.call_id, 30)).state for one in inside} == {State.SUCCEEDED}
    assert len(world.bank.effects) == 3, "what was let in is done, and nothing else"
    await runtime._journeys.rest()  # a call is told to be final a moment before its place in the line is free
    assert (await runtime.submit(says("one more"), session())).state is State.SUCCEEDED


async def test_a_full_journal_is_told_before_the_effect_and_never_after_it(runtime, world, monkeypatch):
    gate, entered = asyncio.Event(), asyncio.Event()
    world.bank.plan.append(gated(gate, entered))
    under_way = asyncio.create_task(runtime.submit(asks(), session()))
    await entered.wait()
    monkeypatch.setattr("remit.runtime.admission.LONGEST_QUEUE", 0)

    refused = await runtime.submit(asks(payment="pay_2"), session())
    assert refused.error.code == "overloaded"
    gate.set()
    assert (await under_way).state is State.SUCCEEDED, "an effect that happened is settled, however long the queue"
    assert world.bank.effects == ["pay_1"]


async def test_a_caller_who_goes_away_during_the_start_does_not_start_it_twice(world):
    runtime = world.runtime()
    first = asyncio.create_task(runtime.start())
    await asyncio.sleep(0)
    first.cancel()
    second = asyncio.create_task(runtime.start())
    await asyncio.gather(first, second, return_exceptions=True)
    parts = runtime.parts
    assert (await runtime.submit(asks(), session())).state is State.SUCCEEDED
    assert runtime.parts is parts
    await runtime.close()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()], "nothing of it is left running"


async def test_closing_lets_what_runs_come_to_rest(world):
    gate, entered = asyncio.Event(), asyncio.Event()
    async with world.running() as runtime:
        world.bank.plan.append(gated(gate, entered))
        caller = asyncio.create_task(runtime.submit(asks(), session()))
        await entered.wait()
        closing = asyncio.create_task(runtime.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
        gate.set()
        await closing
        assert (await caller).state is State.SUCCEEDED
    async with world.running() as runtime:
        assert [call.state for call in await runtime.calls()] == [State.SUCCEEDED]
        assert (await runtime.verify()).ok


async def test_calling_after_close_opens_again(world):
    runtime = world.runtime()
    await runtime.submit(asks(tag="t1"), session())
    await runtime.close()
    again = await runtime.submit(asks(tag="t1"), session())
    await runtime.close()
    assert again.repeated and world.bank.effects == ["pay_1"]
