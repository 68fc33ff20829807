"""The caller's idempotency key: the same content gives the first outcome, other content is told apart."""

import asyncio

import pytest

from remit.audit import State
from remit.errors import KeyReused
from tests.runtime.bank import asks, says, session


async def test_the_same_key_and_content_give_the_first_outcome(runtime, world):
    first = await runtime.submit(says("milk", tag="t1"), session())
    again = await runtime.submit(says("milk", tag="t1"), session())

    assert (first.state, first.repeated) == (State.SUCCEEDED, False)
    assert (again.call_id, again.result, again.repeated) == (first.call_id, first.result, True)
    assert world.bank.effects == ["milk"]


async def test_control_another_key_is_another_call(runtime, world):
    first = await runtime.submit(says("milk", tag="t1"), session())
    second = await runtime.submit(says("milk", tag="t2"), session())

    assert first.call_id != second.call_id
    assert world.bank.effects == ["milk", "milk"]


async def test_a_tool_call_id_with_other_content_is_told_and_not_raised(runtime, world):
    await runtime.submit(says("milk", tag="t1"), session())
    other = await runtime.submit(says("bread", tag="t1"), session())

    assert (other.state, other.error.code, other.error.retry) == (State.DENIED, "key_reused", "never")
    assert world.bank.effects == ["milk"]


async def test_a_hosts_key_with_other_content_raises(runtime, world):
    await runtime.submit(says("milk"), session(), idempotency_key="order-1")
    with pytest.raises(KeyReused):
        await runtime.submit(says("bread"), session(), idempotency_key="order-1")
    assert world.bank.effects == ["milk"]


@pytest.mark.parametrize("other", [{"conversation": "c2"}, {"principal": "other-bot"}])
async def test_conversation_and_principal_scope_the_key(runtime, world, other):
    first = await runtime.submit(says("milk", tag="t1"), session())
    second = await runtime.submit(says("bread", tag="t1"), session(**other))

    assert second.state is State.SUCCEEDED and second.call_id != first.call_id
    assert world.bank.effects == ["milk", "bread"]


@pytest.mark.parametrize("nothing", [None, ""])
async def test_a_tool_call_without_an_id_has_no_key(runtime, world, nothing):
    """Some models send no ids, some send empty ones."""
    assert (await runtime.submit(says("milk", tag=nothing), session())).state is State.SUCCEEDED
    assert (await runtime.submit(says("bread", tag=nothing), session())).state is State.SUCCEEDED
    assert world.bank.effects == ["milk", "bread"]


async def test_fifty_at_once_under_one_key_are_one_call(runtime, world):
    outcomes = await asyncio.gather(*(runtime.submit(says("milk", tag="t1"), session()) for _ in range(50)))

    assert len({one.call_id for one in outcomes}) == 1
    assert {one.state for one in outcomes} == {State.SUCCEEDED}
    assert sum(not one.repeated for one in outcomes) == 1
    assert world.bank.effects == ["milk"]


async def test_a_key_gives_a_waiting_call_as_it_stands(runtime):
    first = await runtime.submit(asks(euros="99.00", tag="t1"), session())
    again = await runtime.submit(asks(euros="99.00", tag="t1"), session())

    assert first.state is State.WAITING
    assert (again.call_id, again.state, again.repeated) == (first.call_id, State.WAITING, True)
    assert [one["for"] for one in again.waiting] == ["approval by finance"]
