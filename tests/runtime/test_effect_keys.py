"""At most one effect for each effect key and ordinal, whoever asks, however often, and at once."""

import asyncio

import pytest

from remit import Refused
from remit.actions import per_call
from remit.audit import State
from tests.runtime.bank import ACTIONS, LARGE, Payment, asks, dropped, lost, raising, refund, session


async def test_the_same_effect_under_a_new_call_id_gives_the_first_outcome(runtime, world):
    first = await runtime.submit(asks(tag="t1"), session())
    again = await runtime.submit(asks(tag="t2"), session(conversation="c2", principal="other-bot"))

    assert (again.call_id, again.result, again.repeated) == (first.call_id, first.result, True)
    assert "nothing was done again" in again.message()
    assert world.bank.effects == ["pay_1"]


async def test_fifty_equal_submissions_at_once_have_one_effect(runtime, world):
    outcomes = await asyncio.gather(*(runtime.submit(asks(tag=f"t{number}"), session()) for number in range(50)))

    assert world.bank.effects == ["pay_1"] and len(world.bank.attempts) == 1
    assert {one.state for one in outcomes} == {State.SUCCEEDED}
    assert len({one.call_id for one in outcomes}) == 1
    assert sum(not one.repeated for one in outcomes) == 1


async def test_control_without_an_effect_key_fifty_submissions_have_fifty_effects(world):
    import dataclasses

    keyless = dataclasses.replace(refund, key=per_call)
    async with world.running([keyless, *ACTIONS[1:]]) as runtime:
        await asyncio.gather(*(runtime.submit(asks(tag=f"t{number}"), session()) for number in range(50)))
    assert len(world.bank.effects) == 50


async def test_other_content_is_denied_and_names_the_holder(runtime, world):
    first = await runtime.submit(asks("transfer", euros="10.00"), session())
    other = await runtime.submit(asks("transfer", euros="11.00"), session())

    assert (other.state, other.error.code, other.error.retry) == (State.DENIED, "effect_taken", "never")
    assert first.call_id in other.error.message
    assert world.bank.effects == ["pay_1"]


async def test_another_customer_gets_a_conflict_that_reveals_nothing(runtime, world):
    first = await runtime.submit(asks("transfer"), session())
    world.bank.payments["pay_1"] = Payment(customer="zoe")
    for euros in ("10.00", "11.00"):
        other = await runtime.submit(asks("transfer", euros=euros), session(subject="zoe"))
        assert (other.state, other.error.code, other.result) == (State.DENIED, "conflict", None)
        assert first.call_id not in str(other.to_json())
        view = await runtime.view(other.call_id)
        assert first.call_id not in str(view.events)
    assert world.bank.effects == ["pay_1"]


async def test_a_held_key_does_not_tell_strangers_that_there_is_such_a_payment(runtime, world):
    await runtime.submit(asks("transfer"), session())
    held = await runtime.submit(asks("transfer"), session(subject="zoe"))
    missing = await runtime.submit(asks("transfer", "pay_none"), session(subject="zoe"))
    assert (held.error.code, held.error.message) == (missing.error.code, missing.error.message)
    assert held.error.code == "not_found"


async def test_the_holder_on_its_way_gives_its_outcome_to_both(runtime, world):
    gate, entered = asyncio.Event(), asyncio.Event()
    from tests.runtime.bank import gated

    world.bank.plan.append(gated(gate, entered))
    first = asyncio.create_task(runtime.submit(asks(tag="t1"), session()))
    await entered.wait()
    second = asyncio.create_task(runtime.submit(asks(tag="t2"), session()))
    hasty = await runtime.submit(asks(tag="t3"), session(), wait=0.01)
    assert (hasty.state, hasty.repeated) == (State.EXECUTING, True)
    gate.set()
    assert (await first).call_id == (await second).call_id
    assert (await second).state is State.SUCCEEDED
    assert world.bank.effects == ["pay_1"]


async def ends(runtime, world, how: str) -> str:
    """Bring a large refund to an end without effect."""
    if how == "failed":
        world.bank.plan.append(raising(Refused("no such card", definite=True)))
        return (await runtime.submit(asks("transfer"), session())).call_id
    waiting = await runtime.submit(asks("transfer", euros=LARGE), session())
    match how:
        case "declined":
            await runtime.vote(waiting.call_id, person="fay", answer="reject", reason="no")
        case "cancelled":
            await runtime.cancel(waiting.call_id, by="kay")
        case "expired":
            world.time.pass_(hours=5)
            await runtime.wait(waiting.call_id, 30)
        case "denied":
            world.bank.payments["pay_1"].disputed = True
            await runtime.vote(waiting.call_id, person="fay", answer="approve")
            world.bank.payments["pay_1"].disputed = False
    return waiting.call_id


@pytest.mark.parametrize("how", ["denied", "declined", "expired", "cancelled", "failed"])
async def test_an_end_without_effect_frees_the_key(runtime, world, how):
    ended = await ends(runtime, world, how)
    assert (await runtime.get(ended)).state == how
    assert world.bank.effects == []

    other = await runtime.submit(asks("transfer", euros="12.00"), session())
    assert other.state is State.SUCCEEDED and other.call_id != ended
    assert world.bank.effects == ["pay_1"]


@pytest.mark.parametrize("what", [lost, dropped])
async def test_an_unknown_effect_holds_its_key(runtime, world, what):
    world.bank.plan.append(what)
    unknown = await runtime.submit(asks("cheque"), session())
    assert unknown.state is State.UNKNOWN

    again, other = await runtime.submit(asks("cheque"), session()), await runtime.submit(asks("cheque", euros="11.00"), session())
    assert (again.call_id, again.state, again.repeated) == (unknown.call_id, State.UNKNOWN, True)
    assert other.error.code == "effect_taken"
    assert len(world.bank.attempts) == 1


async def test_a_waiting_call_holds_its_key(runtime, world):
    waiting = await runtime.submit(asks("transfer", euros=LARGE), session())
    again, other = await runtime.submit(asks("transfer", euros=LARGE), session()), await runtime.submit(asks("transfer"), session())
    assert (again.call_id, again.state) == (waiting.call_id, State.WAITING)
    assert other.error.code == "effect_taken"


async def test_again_after_a_time_takes_the_next_ordinal(runtime, world):
    first = await runtime.submit(asks("cheque"), session())
    soon = await runtime.submit(asks("cheque", euros="11.00"), session())
    assert soon.error.code == "effect_taken"
    world.time.pass_(minutes=16)
    later = await runtime.submit(asks("cheque", euros="11.00"), session())

    assert later.state is State.SUCCEEDED and later.call_id != first.call_id
    assert [call.ordinal for call in await runtime.calls(state="succeeded")] == [2, 1]


async def test_again_after_a_confirmation_takes_the_next_ordinal(runtime, world):
    first = await runtime.submit(asks(euros="10.00"), session())
    second = await runtime.submit(asks(euros="5.00"), session())
    assert second.state is State.WAITING
    assert second.waiting == ({"requirement": "confirmation", "for": "the customer's confirmation"},)
    assert world.bank.effects == ["pay_1"]
    assert first.call_id in str((await runtime.view(second.call_id)).requirements), "it is shown what was already done"

    done = await runtime.confirm(second.call_id, subject="kay")
    assert done.state is State.SUCCEEDED
    assert world.bank.effects == ["pay_1", "pay_1"]
    assert len(set(world.bank.attempts)) == 2, "two effects have two provider keys"


async def test_repeating_any_earlier_part_is_that_part_and_not_a_third(runtime, world):
    first = await runtime.submit(asks(euros="10.00"), session())
    second = await runtime.submit(asks(euros="5.00"), session())
    await runtime.confirm(second.call_id, subject="kay")

    for euros, earlier in (("10.00", first), ("5.00", second)):
        again = await runtime.submit(asks(euros=euros), session())
        assert (again.call_id, again.repeated) == (earlier.call_id, True)
    assert len(world.bank.effects) == 2


async def test_two_others_at_once_after_the_first_never_share_an_ordinal(runtime, world):
    await runtime.submit(asks(euros="10.00"), session())
    both = await asyncio.gather(*(runtime.submit(asks(euros=euros), session()) for euros in ("5.00", "6.00")))
    assert sorted(one.state for one in both) == [State.DENIED, State.WAITING]


async def test_the_same_content_again_takes_the_hosts_word(runtime, world):
    first = await runtime.submit(asks("transfer"), session())
    unmeant = await runtime.submit(asks("transfer"), session(), repeat_of="call_somethingelse")
    assert unmeant.repeated
    second = await runtime.submit(asks("transfer"), session(), repeat_of=first.call_id)

    assert second.state is State.SUCCEEDED and second.call_id != first.call_id
    assert world.bank.effects == ["pay_1", "pay_1"]


async def test_a_model_cannot_ask_for_a_repetition(runtime, world):
    first = await runtime.submit(asks("transfer"), session())
    sent = asks("transfer", repeat_of=first.call_id)
    assert (await runtime.submit(sent, session())).state is State.REJECTED
    assert world.bank.effects == ["pay_1"]


async def test_a_failed_second_gives_its_ordinal_back(runtime, world):
    first = await runtime.submit(asks(euros="10.00"), session())
    second = await runtime.submit(asks(euros="5.00"), session())
    world.bank.plan.append(raising(Refused("over the amount", definite=True)))
    assert (await runtime.confirm(second.call_id, subject="kay")).state is State.FAILED

    again = await runtime.submit(asks(euros="10.00"), session())
    assert (again.call_id, again.repeated) == (first.call_id, True)
    third = await runtime.submit(asks(euros="6.00"), session())
    assert third.state is State.WAITING


async def test_keys_of_different_templates_never_meet(runtime, world):
    assert (await runtime.submit(asks("transfer"), session())).state is State.SUCCEEDED
    assert (await runtime.submit(asks("cheque"), session())).state is State.SUCCEEDED
    assert world.bank.effects == ["pay_1", "pay_1"]
