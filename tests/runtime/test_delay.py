"""A cooling-off that an action or a rule asks for: nothing is sent before its end, and until then the call can be cancelled."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest

from remit import Retryable
from remit.audit import State
from remit.errors import AlreadyStarted
from remit.runtime import advance
from tests.runtime.asking import ALLOWED, CONFIRM, approve, events, waits
from tests.runtime.bank import ACTIONS, NOTES, asks, comes_to, gated, kinds, raising, session
from tests.runtime.limited import CAP, held, limited

FINANCE = approve("large", "finance")


def slow(rule="any", delay="10m", when='arguments.amount.currency == "EUR"'):
    return ALLOWED.replace(f"id: {rule}, when: {when}", f"id: {rule}, delay: {delay}, when: {when}")


def delayed(world, *rules, delay="10m"):
    world.policies(payments=slow(delay=delay) + "".join(rules), notes=NOTES)
    return world


async def ready(runtime, name="transfer", payment="pay_1", **more) -> str:
    outcome = await runtime.submit(asks(name, payment, **more), session())
    assert outcome.state is State.READY, outcome
    return outcome.call_id


async def test_nothing_is_sent_before_its_end(world):
    async with delayed(world).running() as runtime:
        call_id = await ready(runtime)
        (told,) = await events(runtime, call_id, "call.delayed")
        assert told["body"]["seconds"] == 600 and told["change"] == ["new", "ready"]
        world.time.pass_(minutes=9, seconds=59)
        await asyncio.sleep(0.05)
        assert world.bank.attempts == [] and (await runtime.get(call_id)).state is State.READY
        world.time.pass_(seconds=1)
        assert (await runtime.wait(call_id, 30)).ok and world.bank.effects == ["pay_1"]
        assert kinds(await runtime.view(call_id)).count("call.decided") == 2, "it is decided again"
        assert len(await events(runtime, call_id, "call.delayed")) == 1 and (await runtime.verify()).ok


async def test_control_without_a_delay_it_is_sent_at_once(runtime, world):
    assert (await runtime.submit(asks("transfer"), session())).ok


async def test_an_action_may_ask_for_it_and_the_longer_of_both_counts(world):
    patient = [dataclasses.replace(one, delay=timedelta(hours=1)) if one.name == "transfer" else one for one in ACTIONS]
    async with delayed(world).running(patient) as runtime:
        long, short = await ready(runtime, "transfer"), await ready(runtime, "cheque", "pay_2")
        seconds = [(await events(runtime, one, "call.delayed"))[0]["body"]["seconds"] for one in (long, short)]
        assert seconds == [3600, 600]
        world.time.pass_(minutes=10)
        assert (await runtime.wait(short, 10)).ok and (await runtime.get(long)).state is State.READY


async def test_the_outcome_says_until_when_and_that_it_can_be_cancelled(world):
    async with delayed(world).running() as runtime:
        body = (await runtime.get(await ready(runtime))).to_json()
        until = body["until"]
        assert until[:19].replace("T", " ") in body["message"] and "cancel" in body["message"] and "Do not repeat" in body["message"]
        assert (await runtime.submit(asks("transfer"), session())).to_json()["until"] == until, "its effect key is held"


@pytest.mark.parametrize("by", ["kay", "fay", "service bot"])
async def test_it_can_be_cancelled_until_its_end(world, by):
    async with delayed(world).running() as runtime:
        call_id = await ready(runtime)
        world.time.pass_(minutes=9)
        assert (await runtime.cancel(call_id, by=by)).state is State.CANCELLED
        world.time.pass_(minutes=9)
        await asyncio.sleep(0.05)
        assert world.bank.attempts == [] and (await runtime.verify()).ok
        assert not (await runtime.submit(asks("transfer"), session())).repeated, "its effect key is free"


async def test_after_its_end_it_cannot(world):
    gate, entered = asyncio.Event(), asyncio.Event()
    async with delayed(world).running() as runtime:
        world.bank.plan.append(gated(gate, entered))
        call_id = await ready(runtime)
        world.time.pass_(minutes=10)
        await entered.wait()
        with pytest.raises(AlreadyStarted):
            await runtime.cancel(call_id, by="kay")
        gate.set()
        assert (await runtime.wait(call_id, 30)).ok


async def test_it_runs_from_when_the_last_one_has_agreed(world):
    async with delayed(world, FINANCE).running() as runtime:
        call_id = await waits(runtime)
        world.time.pass_(hours=1)
        voted = await runtime.vote(call_id, person="fay", answer="approve")
        assert voted.state is State.READY and (await events(runtime, call_id, "call.delayed"))[0]["change"] == ["waiting", "ready"]
        world.time.pass_(minutes=9)
        await asyncio.sleep(0.05)
        assert world.bank.attempts == []
        world.time.pass_(minutes=1)
        assert (await runtime.wait(call_id, 30)).ok
        intended = (await events(runtime, call_id, "call.intended"))[0]["body"]
        assert len(intended["approvals"]) == 1, "the approval holds until then"


async def test_a_longer_delay_by_the_rules_of_its_end_waits_longer(world):
    async with delayed(world).running() as runtime:
        call_id = await ready(runtime)
        world.time.pass_(minutes=5)
        delayed(world, delay="1h")
        await runtime.reload_policies(by="fay")
        world.time.pass_(minutes=5)
        async with asyncio.timeout(10):
            while len(told := await events(runtime, call_id, "call.delayed")) < 2:
                await asyncio.sleep(0.005)
        assert told[1]["body"]["seconds"] == 3600 and told[1]["change"] is None and world.bank.attempts == []
        world.time.pass_(minutes=49)
        await asyncio.sleep(0.05)
        assert world.bank.attempts == []
        world.time.pass_(minutes=1)
        assert (await runtime.wait(call_id, 30)).ok, "an hour from when it was agreed to, not from when the rule was made"


async def test_what_is_denied_at_its_end_is_not_done(world):
    async with delayed(world).running() as runtime:
        call_id = await ready(runtime)
        world.bank.payments["pay_1"].disputed = True
        world.time.pass_(minutes=10)
        assert (await runtime.wait(call_id, 30)).state is State.DENIED and world.bank.attempts == []


async def test_what_is_asked_for_at_its_end_is_asked_for_alone_and_cools_off_no_second_time(world):
    async with delayed(world).running() as runtime:
        call_id = await ready(runtime)
        delayed(world, FINANCE)
        await runtime.reload_policies(by="fay")
        world.time.pass_(minutes=10)
        await comes_to(runtime, call_id, State.WAITING)
        assert (await runtime.vote(call_id, person="fay", answer="approve")).ok


async def test_it_survives_a_restart(world):
    async with delayed(world).running() as runtime:
        call_id = await ready(runtime)
        world.time.pass_(minutes=5)
    async with world.running() as runtime:
        await asyncio.sleep(0.05)
        assert world.bank.attempts == []
        world.time.pass_(minutes=5)
        assert (await runtime.wait(call_id, 30)).ok


async def test_an_amendment_cools_off_anew(world):
    """It waits again for a rule that came since; what it is now was agreed to only now."""
    async with delayed(world).running() as runtime:
        call_id = await ready(runtime)
        delayed(world, FINANCE)
        await runtime.reload_policies(by="fay")
        world.time.pass_(minutes=10)
        await comes_to(runtime, call_id, State.WAITING)
        await runtime.people.add("olga", roles=["operator"])
        await runtime.amend(call_id, by="olga", arguments={"amount": {"value": "5.00", "currency": "EUR"}})
        voted = await runtime.vote(call_id, person="fay", answer="approve")
        assert voted.state is State.READY and len(await events(runtime, call_id, "call.delayed")) == 2
        world.time.pass_(minutes=10)
        assert (await runtime.wait(call_id, 30)).ok


async def test_a_limit_is_taken_at_its_end(world):
    world.policies(payments=limited(CAP).replace("id: any, then: allow", "id: any, then: allow, delay: 10m"), notes=NOTES)
    async with world.running() as runtime:
        call_id = await ready(runtime)
        assert await held(runtime) == {}
        world.time.pass_(minutes=10)
        assert (await runtime.wait(call_id, 30)).ok and await held(runtime) == {"payments/budget:EUR": 1000}


async def test_another_try_does_not_cool_off_again(world):
    async with delayed(world).running() as runtime:
        world.bank.plan.append(raising(Retryable("down")))
        call_id = await ready(runtime)
        world.time.pass_(minutes=10)
        async with asyncio.timeout(10):
            while not world.bank.attempts:
                await asyncio.sleep(0.005)
        await comes_to(runtime, call_id, State.READY)
        assert (await runtime.get(call_id)).until is None
        world.time.pass_(seconds=1)
        assert (await runtime.wait(call_id, 30)).ok and len(await events(runtime, call_id, "call.delayed")) == 1


async def test_what_only_reads_is_never_delayed(world):
    world.policies(payments=slow(), notes=NOTES + "    delay: 10m\n")
    async with world.running() as runtime:
        assert (await runtime.submit({"name": "look_up", "arguments": {"payment_id": "pay_1"}}, session())).ok
        assert (await runtime.submit({"name": "jot", "arguments": {"text": "x"}}, session())).state is State.READY, "the control"


async def test_a_dry_run_says_that_it_would_wait(world):
    async with delayed(world).running() as runtime:
        assert (await runtime.submit(asks("transfer"), session(), dry_run=True)).state is State.READY
        assert await runtime.calls() == []


async def test_who_is_woken_early_waits_on_without_a_decision(world):
    async with delayed(world).running() as runtime:
        call_id = await ready(runtime)
        call = await advance.advance(runtime.parts, call_id)
        assert (call.state, kinds(await runtime.view(call_id)).count("call.decided")) == (State.READY, 1)
        world.time.pass_(minutes=10)
        assert (await runtime.wait(call_id, 30)).ok


async def test_the_customers_yes_comes_before_it(world):
    async with delayed(world, CONFIRM).running() as runtime:
        call_id = await waits(runtime)
        assert (await runtime.confirm(call_id, subject="kay")).state is State.READY
        assert (await runtime.cancel(call_id, by="kay", reason="no after all")).state is State.CANCELLED


async def test_control_a_delay_that_is_not_kept_is_sent_at_once(world, monkeypatch):
    async def at_once(_parts, work):
        return work

    phases = tuple(at_once if phase is advance.cool_off else phase for phase in advance.FIRST)
    monkeypatch.setattr("remit.runtime.journeys.FIRST", phases)
    async with delayed(world).running() as runtime:
        assert (await runtime.submit(asks("transfer"), session())).ok
