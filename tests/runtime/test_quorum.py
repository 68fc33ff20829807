"""Approvals: each person counts once, nobody approves what is their own, and what nobody could approve is refused at once."""

import asyncio

import pytest

from remit.audit import State
from remit.errors import AlreadyVoted, ApprovalNotOpen, NotAnApprover
from remit.runtime.approvals import voter_hash
from remit.runtime.statements import STATEMENTS
from remit.runtime.votes import vote
from tests.runtime.asking import approve, asking, events, said, waits
from tests.runtime.bank import REFUSED, altered, asks, comes_to, kinds, session

THREE = ("fay", "finn", "boss")


async def yes(runtime, call_id: str, person: str):
    return await runtime.vote(call_id, person=person, answer="approve")


async def test_votes_of_two_different_people_are_needed(world):
    async with asking(world, approve("large", "finance", 2)).running() as runtime:
        call_id = await waits(runtime)
        assert (await yes(runtime, call_id, "fay")).state is State.WAITING and world.bank.attempts == []
        with pytest.raises(AlreadyVoted):
            await yes(runtime, call_id, "fay")
        [asked] = (await runtime.inbox())[0].requirements
        assert [one["person"] for one in asked["answers"]] == ["fay"] and asked["can"] == ["finn"], "boss answers for the bot"
        assert (await yes(runtime, call_id, "finn")).state is State.SUCCEEDED
        assert (await runtime.verify()).ok


async def test_a_person_of_two_roles_fills_one_seat_and_moves_to_let_another_in(world):
    """fay is of both roles: whoever comes second decides which seat she fills."""
    async with asking(world, approve("a", "finance"), approve("b", "support")).running() as runtime:
        await runtime.people.change_roles("fay", add=["support"])
        for number, second in enumerate(("sam", "finn"), start=1):
            call_id = await waits(runtime, payment=f"pay_{number}")
            assert (await yes(runtime, call_id, "fay")).state is State.WAITING
            assert (await yes(runtime, call_id, second)).state is State.SUCCEEDED
        assert (await runtime.verify()).ok


async def test_a_vote_that_fills_no_seat_is_refused(world):
    async with asking(world, approve("a", "finance"), approve("b", "support")).running() as runtime:
        call_id = await waits(runtime)
        await yes(runtime, call_id, "fay")
        with pytest.raises(ApprovalNotOpen):
            await yes(runtime, call_id, "finn")
        assert (await yes(runtime, call_id, "sam")).state is State.SUCCEEDED


async def test_roles_count_as_held_when_voting(world):
    async with asking(world, approve("large", "finance", 2)).running() as runtime:
        call_id = await waits(runtime)
        await yes(runtime, call_id, "fay")
        await runtime.people.change_roles("fay", remove=["finance"])
        await runtime.people.disable("fay")
        assert (await yes(runtime, call_id, "finn")).state is State.SUCCEEDED
        assert [one["body"]["roles"] for one in await events(runtime, call_id, "approval.voted")] == [["finance"], ["finance"]]
        assert (await runtime.verify()).ok


async def test_sixty_four_votes_of_one_person_at_once_count_once(world):
    async with asking(world, approve("large", "finance", 2)).running() as one, world.running(people=False) as two:
        call_id = await waits(one)
        votes = (yes(each, call_id, "fay") for each in (one, two) for _ in range(32))
        outcomes = await asyncio.gather(*votes, return_exceptions=True)
        assert sum(not isinstance(each, BaseException) for each in outcomes) == 1
        assert {type(each) for each in outcomes if isinstance(each, BaseException)} == {AlreadyVoted}
        assert world.bank.attempts == [] and kinds(await one.view(call_id)).count("approval.voted") == 1


async def test_control_without_the_call_moving_at_each_vote_one_person_would_count_twice(world, monkeypatch):
    """The broken variant: votes are added without the compare-and-set on the call, and without the unique index."""
    await world.change("DROP INDEX vote_once")
    altered(monkeypatch, "call.move", STATEMENTS["call.move"].replace("AND version = ?", "AND version > ? - 1000"))
    async with asking(world, approve("large", "finance", 2), approve("other", "finance", when="false")).running() as runtime:
        call_id = await waits(runtime)

        async def none(_call):
            return {}

        monkeypatch.setattr(runtime.parts.store, "ballots", none)
        again = " ON CONFLICT (tenant, requirement, person) DO UPDATE SET at = excluded.at"
        altered(monkeypatch, "vote.add", STATEMENTS["vote.add"] + again)
        await asyncio.gather(*(yes(runtime, call_id, "fay") for _ in range(4)), return_exceptions=True)
        assert kinds(await runtime.view(call_id)).count("approval.voted") > 1


async def test_one_approval_taken_up_by_two_processes_at_once_runs_once(world):
    async with asking(world, approve("large", "finance")).running() as one, world.running(people=False) as two:
        for number in range(1, 6):
            call_id = await waits(one, payment=f"pay_{number}")
            await vote(one.parts, one.people, call_id, person="fay", answer="approve", reason="", digest=None, via="test")
            await asyncio.gather(*(each._journeys.advance(call_id) for each in (one, two)), return_exceptions=True)
            await comes_to(one, call_id, State.SUCCEEDED)
            assert kinds(await one.view(call_id)).count("call.intended") == 1
        assert sorted(world.bank.effects) == [f"pay_{number}" for number in range(1, 6)]
        assert (await one.verify()).ok


@pytest.mark.on_files("two that look at once must meet, and over a wire they seldom do")
async def test_control_an_approval_that_is_not_used_up_is_taken_twice(world, monkeypatch):
    """The broken variant: neither the call's version nor the approval's state is compared when the intent is written."""
    from remit.runtime.advance import _decide_again

    altered(monkeypatch, "call.move", STATEMENTS["call.move"].replace("AND version = ?", "AND version > ? - 1000"))
    altered(monkeypatch, "requirement.move", "UPDATE requirement SET state = ? WHERE tenant = ? AND id = ? AND ? <> ''")
    async with asking(world, approve("large", "finance")).running() as runtime:
        for task in runtime._background:
            task.cancel()
        call_id = await waits(runtime)
        await vote(runtime.parts, runtime.people, call_id, person="fay", answer="approve", reason="", digest=None, via="test")
        call = await runtime.parts.store.get(call_id)
        action = runtime.catalog["transfer"]
        await asyncio.gather(*(_decide_again(runtime.parts, call, action) for _ in range(2)), return_exceptions=True)
        assert len(world.bank.effects) == 2


@pytest.mark.parametrize("person", ["kay", "Kay", "anna"])
async def test_whoever_is_served_cannot_approve_under_another_name(world, person):
    async with asking(world, approve("large", "finance")).running() as runtime:
        await runtime.people.add(person, roles=["finance"], email="KAY" if person == "anna" else "")
        call_id = await waits(runtime)
        with pytest.raises(NotAnApprover):
            await yes(runtime, call_id, person)
        assert (await yes(runtime, call_id, "fay")).state is State.SUCCEEDED


@pytest.mark.parametrize("principal", ["ann", "ANN", "ann@example.org"])
async def test_whoever_asks_cannot_approve_under_another_name(world, principal):
    async with asking(world, approve("large", "finance")).running() as runtime:
        await runtime.people.add("ann", roles=["finance"], email="Ann@example.org")
        call_id = await waits(runtime, principal=principal, kind="person")
        with pytest.raises(NotAnApprover):
            await yes(runtime, call_id, "ann")


async def test_whoever_asks_cannot_approve_as_somebody_else_of_the_same_address(world):
    async with asking(world, approve("large", "finance")).running() as runtime:
        for person in ("ann", "ann2"):
            await runtime.people.add(person, roles=["finance"], email=f"{person[:3].upper()}@example.org")
        call_id = await waits(runtime, principal="ann", kind="person")
        with pytest.raises(NotAnApprover):
            await yes(runtime, call_id, "ann2")


async def test_an_agent_that_gets_another_owner_meanwhile_does_not_let_the_first_approve_what_it_asked_for(world):
    async with asking(world, approve("large", "finance")).running() as runtime:
        call_id = await waits(runtime)
        await runtime.people.add_agent("bot", owner="fay")
        for person in ("boss", "fay"):
            with pytest.raises(NotAnApprover):
                await yes(runtime, call_id, person)
        with pytest.raises(REFUSED, match="can not vote"):
            await written(world, runtime, call_id, "boss")
        assert (await yes(runtime, call_id, "finn")).state is State.SUCCEEDED


async def written(world, runtime, call_id: str, person: str) -> None:
    """Write a vote straight into the table."""
    asked = (await runtime.parts.store.requirements(call_id))[0]
    who = await voter_hash(runtime.parts, await runtime.parts.store.get(call_id), person)
    row = ("default", asked.id, person, "approve", "finance", asked.digest, 1, call_id, "finance", who)
    assert await world.change(STATEMENTS["vote.add"], *row) == 1


@pytest.mark.parametrize("person", ["kay", "anna", "bot", "boss"])
async def test_the_database_itself_refuses_the_votes_of_whoever_may_not(world, person):
    async with asking(world, approve("large", "finance", 2)).running() as runtime:
        await runtime.people.add("anna", roles=["finance"], email="kay")
        call_id = await waits(runtime)
        with pytest.raises(REFUSED, match="can not vote"):
            await written(world, runtime, call_id, person)
        await written(world, runtime, call_id, "fay")  # the control
        with pytest.raises(REFUSED, match=r"(?i)unique"):
            await written(world, runtime, call_id, "fay")


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ((approve("r", "lawyers"),), "lawyers"),
        ((approve("r", "finance", 3),), "3 of finance must approve, and only 2 could"),
        ((approve("r", "finance", 2), approve("s", "finance")), "finance"),
        ((approve("r", "support"), approve("s", "support")), "support"),
    ],
)
async def test_what_nobody_could_approve_is_refused_at_the_call(world, rules, why):
    async with asking(world, *rules).running() as runtime:
        denied = await runtime.submit(asks("transfer"), session())
        assert (denied.state, denied.error.code, denied.error.retry) == (State.DENIED, "nobody_can_approve", "never")
        [event] = await events(runtime, denied.call_id, "call.denied")
        assert why in event["body"]["why"] and (await runtime.verify()).ok
        assert "finance" not in denied.error.message, "the model is not told who could"


async def test_whoever_could_approve_only_after_escalation_is_somebody(world):
    escalate = "{after: 1h, to: support}"
    async with asking(world, approve("r", "lawyers", escalate=escalate)).running() as runtime:
        assert (await runtime.submit(asks("transfer"), session())).state is State.WAITING


async def test_when_the_last_vote_comes_it_is_decided_again_and_what_nobody_can_approve_any_more_is_denied(world):
    async with asking(world, approve("r", "finance")).running() as runtime:
        call_id = await waits(runtime)
        asking(world, approve("r", "finance"), approve("s", "lawyers"))
        await runtime.reload_policies(by="fay")
        denied = await yes(runtime, call_id, "fay")
        assert (denied.state, denied.error.code) == (State.DENIED, "nobody_can_approve") and world.bank.attempts == []


async def test_votes_are_kept_and_counted_anew_when_a_rule_is_renamed(world):
    async with asking(world, approve("old", "finance")).running() as runtime:
        call_id = await waits(runtime)
        asking(world, approve("new", "finance"))
        await runtime.reload_policies(by="fay")
        assert (await yes(runtime, call_id, "fay")).state is State.SUCCEEDED
        assert len(await events(runtime, call_id, "approval.voted")) == 1
        assert [one["state"] for one in (await runtime.view(call_id)).requirements] == ["voided", "used"]
        assert (await runtime.verify()).ok


async def test_one_vote_is_not_counted_for_a_second_approval_that_was_added(world):
    async with asking(world, approve("r", "finance")).running() as runtime:
        call_id = await waits(runtime)
        asking(world, approve("r", "finance"), approve("a", "finance"))
        await runtime.reload_policies(by="fay")
        assert said(await yes(runtime, call_id, "fay")) == ["approval"] and world.bank.attempts == []
        assert (await yes(runtime, call_id, "finn")).state is State.SUCCEEDED
        assert (await runtime.verify()).ok


async def test_whose_approval_was_given_already_cannot_say_no_to_the_one_that_was_added(world):
    async with asking(world, approve("a", "finance")).running() as runtime:
        call_id = await waits(runtime)
        asking(world, approve("a", "finance"), approve("b", "support"))
        await runtime.reload_policies(by="lee")
        assert said(await yes(runtime, call_id, "fay")) == ["approval"]
        with pytest.raises(NotAnApprover, match="support"):
            await runtime.vote(call_id, person="finn", answer="reject")
        assert (await runtime.vote(call_id, person="sam", answer="reject")).state is State.DECLINED


async def test_more_votes_than_before_are_asked_for_and_the_first_is_kept(world):
    async with asking(world, approve("r", "finance")).running() as runtime:
        call_id = await waits(runtime)
        asking(world, approve("r", "finance", 2))
        await runtime.reload_policies(by="fay")
        assert (await yes(runtime, call_id, "fay")).state is State.WAITING
        assert (await yes(runtime, call_id, "finn")).state is State.SUCCEEDED
        assert (await runtime.verify()).ok
