"""Waits grow, are bounded, and differ; what the provider asks for is kept; and no key is used beyond its life as if it were honoured."""

import asyncio

import pytest
import stamina

from remit import Retryable
from remit.audit import State
from remit.runtime import execution
from remit.runtime.backoff import asked_for, pause
from remit.runtime.clock import SECOND
from tests.runtime.bank import asks, comes_to, dropped, kinds, lost, raising, session


def test_they_double_up_to_a_bound():
    for tries in range(1, 40):
        least = min(0.25 * 2 ** (tries - 1), 600)
        assert all(least * SECOND - 1 <= pause(tries) <= min(2 * least, 600) * SECOND for _ in range(20)), tries
    assert pause(10**9) == 600 * SECOND


def test_no_two_are_alike():
    assert len({pause(3) for _ in range(50)}) > 40


def test_control_a_wait_without_chance_is_always_the_same(monkeypatch):
    monkeypatch.setattr("remit.runtime.backoff.random.uniform", lambda least, _most: least)
    assert len({pause(3) for _ in range(50)}) == 1


def test_what_is_asked_for_is_never_cut_short():
    assert all(120 * SECOND <= asked_for(120) <= 120.5 * SECOND for _ in range(50))
    assert 0 <= asked_for(-5) <= SECOND / 2


def test_staminas_own_switch_takes_them_away():
    stamina.set_testing(True)
    try:
        assert pause(5) == 0
    finally:
        stamina.set_testing(False)
    assert pause(5) > 0


async def test_a_provider_that_asks_for_hours_gets_them(runtime, world):
    world.bank.plan.append(raising(Retryable("429", after=7200)))
    outcome = await runtime.submit(asks(), session())
    world.time.pass_(minutes=119)
    await asyncio.sleep(0.05)
    assert len(world.bank.attempts) == 1
    world.time.pass_(minutes=2)
    assert (await runtime.wait(outcome.call_id, 30)).state is State.SUCCEEDED


@pytest.mark.parametrize("after", [90_000, float("inf"), float("nan")])
async def test_one_that_asks_for_more_than_a_day_is_not_tried_again(runtime, world, after):
    world.bank.plan.append(raising(Retryable("429", after=after)))
    outcome = await runtime.submit(asks(), session())
    assert (outcome.state, outcome.error.code) == (State.FAILED, "not_applied")


# the life of a key


async def aged(runtime, world, name, then) -> str:
    """A call whose first attempt was known not to be applied, and whose second goes out when the key's life is over."""
    world.bank.plan.extend([raising(Retryable("429", after=20 * 3600)), then])
    outcome = await runtime.submit(asks(name), session())
    assert outcome.state is State.READY
    world.time.pass_(hours=20, seconds=1)
    async with asyncio.timeout(10):
        while len(world.bank.attempts) < 2:
            await asyncio.sleep(0.005)
    return outcome.call_id


async def test_what_was_never_applied_may_be_sent_whatever_has_become_of_its_key(runtime, world):
    """There is nothing that the key would have to protect: a provider that takes it for a new one does what was never done."""
    from tests.runtime.bank import good

    call_id = await aged(runtime, world, "refund", good)
    assert (await runtime.wait(call_id, 30)).ok and world.bank.effects == ["pay_1"]
    assert len({key for key, _ in world.bank.attempts}) == 1
    assert (await runtime.verify()).ok


@pytest.mark.parametrize("how", [lost, dropped])
async def test_after_that_it_is_not_sent_again_under_that_key(runtime, world, how):
    """The key counts from its first use, which the provider may have seen: a second sending could be taken for a new one."""
    world.bank.look_fails = ConnectionError("down")
    call_id = await aged(runtime, world, "traced_refund", how)
    await comes_to(runtime, call_id, State.UNKNOWN)
    world.bank.by_key.clear()  # the provider has forgotten it
    world.time.pass_(minutes=10)
    await asyncio.sleep(0.1)
    assert len(world.bank.attempts) == 2 and kinds(await runtime.view(call_id)).count("call.intended") == 2


async def test_control_were_the_key_taken_for_young_it_would_be_paid_twice(runtime, world, monkeypatch):
    monkeypatch.setattr(execution, "KEY_LIFE_USED", 2.0)
    world.bank.look_fails = ConnectionError("down")
    call_id = await aged(runtime, world, "traced_refund", lost)
    await comes_to(runtime, call_id, State.UNKNOWN)
    world.bank.by_key.clear()
    world.time.pass_(minutes=10)
    await comes_to(runtime, call_id, State.SUCCEEDED)
    assert world.bank.effects == ["pay_1", "pay_1"]
