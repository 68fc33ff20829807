"""The customer's own yes: bound to what was shown, given once, in time, and by nobody else."""

import asyncio

import pytest

from remit.audit import State
from remit.errors import ApprovalNotOpen, CallNotFound, NotAnApprover
from tests.runtime.asking import CONFIRM, CONFIRM_TOO, TELLING, approve, asking, events, said, waits
from tests.runtime.bank import asks, kinds, session


@pytest.fixture
async def confirming(world):
    async with asking(world, CONFIRM).running() as runtime:
        yield runtime


async def test_a_rule_asks_the_customer_and_then_it_runs(confirming, world):
    call_id = await waits(confirming)
    asked = await confirming.confirmation(call_id, subject="kay")
    assert asked.state == "open" and ("Amount", "€10.00") in asked.summary.lines
    done = await confirming.confirm(call_id, subject="kay", digest=asked.digest)
    assert done.state is State.SUCCEEDED and world.bank.effects == ["pay_1"]
    assert (await confirming.confirmation(call_id, subject="kay")).state == "used"
    [confirmed] = await events(confirming, call_id, "call.confirmed")
    [held] = await events(confirming, call_id, "call.held")
    assert confirmed["body"]["shown"] == held["body"]["shown"] != ""
    assert (await confirming.verify()).ok


async def test_several_rules_ask_one_question(world):
    async with asking(world, CONFIRM, CONFIRM_TOO).running() as runtime:
        outcome = await runtime.submit(asks("transfer"), session())
        assert said(outcome) == ["confirmation"] and len((await runtime.view(outcome.call_id)).requirements) == 2
        assert (await runtime.confirm(outcome.call_id, subject="kay")).state is State.SUCCEEDED
        assert kinds(await runtime.view(outcome.call_id)).count("call.confirmed") == 1
        assert (await runtime.verify()).ok


async def test_nobody_else_sees_it_or_answers_it(confirming, world):
    call_id = await waits(confirming)
    for other in ("zoe", "fay", "bot", "anonymous"):
        with pytest.raises(NotAnApprover):
            await confirming.confirmation(call_id, subject=other)
        with pytest.raises(NotAnApprover):
            await confirming.confirm(call_id, subject=other)
    with pytest.raises(CallNotFound):
        await confirming.confirmation("call_none", subject="kay")
    assert world.bank.attempts == []


async def test_it_is_answered_once(confirming, world):
    call_id = await waits(confirming)
    answers = await asyncio.gather(*(confirming.confirm(call_id, subject="kay") for _ in range(64)), return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in answers) == 1
    assert {type(one) for one in answers if isinstance(one, BaseException)} == {ApprovalNotOpen}
    assert world.bank.effects == ["pay_1"] and kinds(await confirming.view(call_id)).count("call.confirmed") == 1


async def test_a_no_is_final_and_the_same_is_not_asked_again(confirming, world):
    call_id = await waits(confirming)
    assert (await confirming.confirm(call_id, subject="kay", answer="reject")).state is State.DECLINED
    with pytest.raises(ApprovalNotOpen):
        await confirming.confirm(call_id, subject="kay")
    again = await confirming.submit(asks("transfer"), session())
    assert (again.state, again.error.code, again.error.retry) == (State.DENIED, "declined", "never") and call_id in again.error.message
    assert world.bank.attempts == []


async def test_another_digest_than_was_shown_does_not_count(confirming, world):
    call_id = await waits(confirming)
    with pytest.raises(ApprovalNotOpen):
        await confirming.confirm(call_id, subject="kay", digest="0" * 64)
    assert world.bank.attempts == []


async def test_it_has_a_deadline(confirming, world):
    call_id = await waits(confirming)
    world.time.pass_(minutes=61)
    with pytest.raises(ApprovalNotOpen):
        await confirming.confirm(call_id, subject="kay")
    assert (await confirming.wait(call_id, 30)).state is State.EXPIRED
    assert world.bank.attempts == []


async def test_each_stage_has_its_own_time_from_when_it_was_asked(world):
    async with asking(world, CONFIRM, approve("large", "finance", within="1h")).running() as runtime:
        call_id = await waits(runtime)
        world.time.pass_(minutes=50)
        await runtime.confirm(call_id, subject="kay")
        world.time.pass_(minutes=50)
        await asyncio.sleep(0.05)
        assert (await runtime.vote(call_id, person="fay", answer="approve")).state is State.SUCCEEDED
        assert (await runtime.verify()).ok


async def test_it_is_shown_in_the_customers_language_with_the_facts_of_when_it_was_asked(world):
    world.bank.payments["pay_1"].memo = "lamp"
    async with asking(world, CONFIRM).running(TELLING) as runtime:
        call_id = await waits(runtime, locale="de-DE")
        world.bank.payments["pay_1"].memo = "sofa"
        summary = (await runtime.confirmation(call_id, subject="kay")).summary
        assert summary.locale.startswith("de") and "lamp" in summary.sentence and "zurückzahlen" in summary.sentence


async def test_links_are_signed_by_a_key_that_stays(world):
    async with world.running() as runtime:
        key = runtime.link_key
    async with world.running() as runtime:
        assert runtime.link_key == key and len(key) == 32
