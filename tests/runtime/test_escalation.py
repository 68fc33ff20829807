"""Escalation: from its time on, and not before, people of another role may vote as well."""

import asyncio

import pytest

from remit.audit import State
from remit.errors import NotAnApprover
from tests.runtime.asking import approve, asking, events, waits
from tests.runtime.bank import kinds

WIDENED = approve("large", "finance", within="4h", escalate="{after: 1h, to: support}")


async def widened(runtime, world, call_id: str) -> None:
    world.time.pass_(minutes=61)
    async with asyncio.timeout(10):
        while "approval.escalated" not in kinds(await runtime.view(call_id)):
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("person", ["sam", "fay"])
async def test_after_a_while_others_may_vote_as_well_as_those_who_could(world, person):
    async with asking(world, WIDENED).running() as runtime:
        call_id = await waits(runtime)
        world.time.pass_(minutes=59)
        await asyncio.sleep(0.05)
        with pytest.raises(NotAnApprover):
            await runtime.vote(call_id, person="sam", answer="approve")
        world.time.pass_(minutes=-59)
        await widened(runtime, world, call_id)
        [event] = await events(runtime, call_id, "approval.escalated")
        assert event["body"]["to"] == "support"
        [asked] = (await runtime.view(call_id)).requirements
        assert asked["can"] == ["fay", "finn", "sam"] and asked["escalates"]["done"]
        assert (await runtime.vote(call_id, person=person, answer="approve")).state is State.SUCCEEDED
        assert (await runtime.verify()).ok


async def test_it_escalates_once_in_two_processes_and_ends_at_its_deadline(world):
    async with asking(world, WIDENED).running() as one, world.running(people=False) as two:
        call_id = await waits(one)
        await widened(two, world, call_id)
        await asyncio.sleep(0.05)
        assert kinds(await one.view(call_id)).count("approval.escalated") == 1
        world.time.pass_(hours=3)
        assert (await one.wait(call_id, 30)).state is State.EXPIRED
        assert world.bank.attempts == [] and (await one.verify()).ok


async def test_it_escalates_after_a_restart(world):
    async with asking(world, WIDENED).running() as runtime:
        call_id = await waits(runtime)
    async with world.running() as runtime:
        await widened(runtime, world, call_id)
        assert (await runtime.vote(call_id, person="sam", answer="approve")).state is State.SUCCEEDED


async def test_what_is_answered_in_time_is_not_escalated(world):
    two = approve("large", "finance", 2, escalate="{after: 1h, to: support}")
    async with asking(world, two, approve("b", "support", within="8h")).running() as runtime:
        call_id = await waits(runtime)
        for person in ("fay", "finn"):
            await runtime.vote(call_id, person=person, answer="approve")
        world.time.pass_(hours=5)
        await asyncio.sleep(0.05)
        assert "approval.escalated" not in kinds(await runtime.view(call_id)), "and its own deadline ends nothing any more"
        assert (await runtime.vote(call_id, person="sam", answer="approve")).state is State.SUCCEEDED
        assert (await runtime.verify()).ok
