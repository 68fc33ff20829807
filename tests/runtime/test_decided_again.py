"""A call that has rested is decided again before anything leaves: by today's policies, facts and action, and by the row as it was."""

import asyncio
import contextlib
import dataclasses

import pytest

from remit import Context, Injected, Money, action, lookup
from remit.audit import State
from remit.errors import AuditError
from remit.runtime.votes import vote
from tests.runtime.bank import ACTIONS, ALLOW, LARGE, NOTES, OWN, Bank, Receipt, asks, comes_to, find, kinds, session, transfer

MORE = (
    ALLOW
    + """
  - id: support_as_well
    then: require_approval
    approval: {by: support, votes: 1, within: 2h}
    reason: Since this morning.
"""
)
DENY = (
    ALLOW
    + """
  - id: stop
    then: deny
    reason: All refunds are stopped.
    say: No refunds today.
"""
)


async def waits(runtime) -> str:
    outcome = await runtime.submit(asks("transfer", euros=LARGE), session())
    assert outcome.state is State.WAITING
    return outcome.call_id


async def test_control_nothing_has_changed(runtime, world):
    done = await runtime.vote(await waits(runtime), person="fay", answer="approve")
    assert done.state is State.SUCCEEDED and world.bank.effects == ["pay_1"]


async def test_changed_facts_deny(runtime, world):
    call_id = await waits(runtime)
    world.bank.payments["pay_1"].disputed = True
    denied = await runtime.vote(call_id, person="fay", answer="approve")
    assert (denied.state, denied.error.message) == (State.DENIED, "I can't do this one here.")
    assert world.bank.attempts == [] and (await runtime.verify()).ok


async def test_an_object_that_went_to_somebody_else_is_not_found(runtime, world):
    call_id = await waits(runtime)
    world.bank.payments["pay_1"].customer = "zoe"
    assert (await runtime.vote(call_id, person="fay", answer="approve")).error.code == "not_found"
    assert world.bank.attempts == []


async def test_facts_that_cannot_be_loaded_for_a_moment_deny_nothing_that_people_agreed_to(runtime, world):
    call_id = await waits(runtime)
    world.bank.facts_fail = ConnectionError("down")
    agreed = await runtime.vote(call_id, person="fay", answer="approve")
    assert agreed.state is State.WAITING and agreed.message().startswith("It is being done"), "it waits for nobody any more"
    world.bank.facts_fail = None
    world.time.pass_(seconds=6)
    assert (await runtime.wait(call_id, 30)).state is State.SUCCEEDED
    assert world.bank.effects == ["pay_1"] and (await runtime.verify()).ok


async def test_facts_that_cannot_be_loaded_are_not_asked_for_again_before_their_time(runtime, world):
    call_id = await waits(runtime)
    world.bank.facts_fail = ConnectionError("down")
    await runtime.vote(call_id, person="fay", answer="approve")
    left = await runtime.parts.store.get(call_id)
    world.bank.facts_fail = None
    woken = await runtime._journeys.advance(call_id)  # as a sweep does that saw it due before the vote's own try
    assert (woken.state, woken.version, woken.wake_at) == (State.WAITING, left.version, left.wake_at)
    world.time.pass_(seconds=6)
    assert (await runtime.wait(call_id, 30)).state is State.SUCCEEDED


async def test_changed_policies_deny(runtime, world):
    call_id = await waits(runtime)
    world.policies(payments=DENY, notes=NOTES)
    await runtime.reload_policies(by="fay")
    denied = await runtime.vote(call_id, person="fay", answer="approve")
    assert (denied.state, denied.error.message) == (State.DENIED, "No refunds today.")
    assert world.bank.attempts == []


async def test_an_added_requirement_is_asked_for_and_that_one_only(runtime, world):
    call_id = await waits(runtime)
    world.policies(payments=MORE, notes=NOTES)
    await runtime.reload_policies(by="fay")
    more = await runtime.vote(call_id, person="fay", answer="approve")
    assert (more.state, [one["for"] for one in more.waiting]) == (State.WAITING, ["approval by support"])
    assert world.bank.attempts == []
    done = await runtime.vote(call_id, person="sam", answer="approve")
    assert done.state is State.SUCCEEDED and world.bank.effects == ["pay_1"]
    assert (await runtime.verify()).ok


@pytest.mark.parametrize("how", ["version", "schema"])
async def test_another_version_or_schema_of_the_action_denies(world, how):
    async with world.running() as runtime:
        call_id = await waits(runtime)

    @action(effect=lookup(find, settle="30s"), key="transfer:{payment_id}", deadline="5s", **OWN, name="transfer")
    async def wider(ctx: Context, payment_id: str, amount: Money, bank: Injected[Bank], urgent: bool = False) -> Receipt:
        """Take one argument more."""
        return await bank.pay(ctx, payment_id, None)

    other = dataclasses.replace(transfer, version="2") if how == "version" else wider
    async with world.running([other, *(one for one in ACTIONS if one is not transfer)]) as runtime:
        denied = await runtime.vote(call_id, person="fay", answer="approve")
        assert (denied.state, denied.error.code) == (State.DENIED, "action_changed")
        assert world.bank.attempts == [] and (await runtime.verify()).ok
        assert (await runtime.submit(asks("transfer"), session())).state is State.SUCCEEDED, "its key is free"


async def test_an_action_that_is_not_registered_here_expires_all_the_same(world):
    async with world.running() as runtime:
        call_id = await waits(runtime)
    world.policies(payments=ALLOW.replace(", transfer", ""))
    async with world.running([one for one in ACTIONS if one is not transfer]) as runtime:
        world.time.pass_(hours=5)
        assert (await runtime.wait(call_id, 30)).state is State.EXPIRED


async def test_calls_that_cannot_be_moved_here_do_not_hide_the_others(world, monkeypatch):
    monkeypatch.setattr("remit.runtime.wakeups.MOST", 3)
    async with world.running() as runtime:
        for task in runtime._background:
            task.cancel()
        for number in range(1, 8):
            outcome = await runtime.submit(asks("transfer", f"pay_{number}", LARGE), session())
            parts = runtime.parts
            await vote(parts, runtime.people, outcome.call_id, person="fay", answer="approve", reason="", digest=None, via="test")
        last = await runtime.submit(asks("cheque", "pay_9", LARGE), session())
        await vote(runtime.parts, runtime.people, last.call_id, person="fay", answer="approve", reason="", digest=None, via="test")
    world.policies(payments=ALLOW.replace(", transfer", ""))
    async with world.running([one for one in ACTIONS if one is not transfer]) as runtime:
        assert (await runtime.wait(last.call_id, 30)).state is State.SUCCEEDED
        assert world.bank.effects == ["pay_9"]


async def tampered(world, sql: str, *values: object) -> None:
    assert await world.change(sql, *values) == 1


@pytest.mark.parametrize("what", ["digest", "principal", "sealed", "subject"])
async def test_a_row_that_was_changed_is_refused(runtime, world, what):
    call_id = await waits(runtime)
    other = (await runtime.submit(asks("transfer", "pay_2", LARGE), session())).call_id
    await runtime.submit(asks("cheque", "pay_3"), session(subject="zoe"))  # another person's key
    match what:
        case "digest":
            await tampered(world, "UPDATE call SET digest = ? WHERE id = ?", "0" * 64, call_id)
            await tampered(world, "UPDATE requirement SET digest = ? WHERE call = ?", "0" * 64, call_id)
        case "principal":
            await tampered(world, "UPDATE call SET principal = 'somebody' WHERE id = ?", call_id)
        case "sealed":  # another call's request, in place of the one that was approved
            await tampered(world, "UPDATE call SET sealed = (SELECT sealed FROM call WHERE id = ?) WHERE id = ?", other, call_id)
        case "subject":
            sql = "UPDATE call SET subject = (SELECT pseudonym FROM subject WHERE pseudonym != call.subject LIMIT 1) WHERE id = ?"
            await tampered(world, sql, call_id)
    with contextlib.suppress(AuditError):
        await runtime.vote(call_id, person="fay", answer="approve")
    await asyncio.sleep(0.05)
    assert (await runtime.get(call_id)).state in {State.DENIED, State.WAITING}
    assert world.bank.attempts == []


async def test_a_request_that_was_exchanged_after_the_vote_is_denied(runtime, world):
    """The vote is committed; then the row is changed, before the runtime comes to it."""
    call_id = await waits(runtime)
    other = (await runtime.submit(asks("transfer", "pay_2", LARGE), session())).call_id
    for task in runtime._background:
        task.cancel()
    await vote(runtime.parts, runtime.people, call_id, person="fay", answer="approve", reason="", digest=None, via="test")
    await tampered(world, "UPDATE call SET sealed = (SELECT sealed FROM call WHERE id = ?) WHERE id = ?", other, call_id)
    async with world.running(people=False) as next_life:
        denied = await next_life.wait(call_id, 30)
        assert (denied.state, denied.error.code) == (State.DENIED, "row_changed")
    assert world.bank.attempts == []


async def test_policies_changed_by_another_process_between_decision_and_intent_decide_anew(world, monkeypatch):
    async with world.running() as one, world.running(people=False) as other:
        world.policies(payments=DENY, notes=NOTES)
        from remit.runtime import phases

        real, changed = phases.hold, []

        async def meanwhile(parts, work):
            if not changed and parts is one.parts:
                changed.append(await other.reload_policies(by="fay"))
            return await real(parts, work)

        monkeypatch.setattr("remit.runtime.journeys.FIRST", tuple(meanwhile if phase is real else phase for phase in phases_of()))
        denied = await one.submit(asks("transfer"), session())
        assert (denied.state, denied.error.message) == (State.DENIED, "No refunds today.")
        assert world.bank.attempts == [] and (await one.verify()).ok


async def test_policies_changed_while_facts_are_loaded_are_given_theirs(world, monkeypatch):
    async with world.running() as runtime:
        from remit.runtime import phases

        world.policies(payments=MORE, notes=NOTES)
        real, epochs = phases.gather, []

        async def meanwhile(parts, work):
            epochs.append(parts.control.epoch)
            gathered = await real(parts, work)
            if len(epochs) == 1:
                await runtime.reload_policies(by="fay")
            return gathered

        monkeypatch.setattr("remit.runtime.journeys.FIRST", tuple(meanwhile if phase is real else phase for phase in phases_of()))
        assert (await runtime.submit(asks("transfer"), session())).state is State.WAITING
        assert epochs == [1, 2], "what was loaded for the old ones is no answer to the new ones"
        assert (await runtime.verify()).ok


def phases_of():
    from remit.runtime.advance import FIRST

    return FIRST


async def test_a_change_by_another_process_reaches_this_one_without_a_call_that_writes(world):
    async with world.running() as one, world.running(people=False) as other:
        assert (await one.submit({"name": "look_up", "arguments": {"payment_id": "pay_1"}}, session())).state is State.SUCCEEDED
        world.policies(payments=ALLOW, notes=NOTES.replace("jot, look_up", "jot"))
        await other.reload_policies(by="fay")
        async with asyncio.timeout(10):
            while one.parts.control.epoch != other.parts.control.epoch:
                await asyncio.sleep(0.005)
        denied = await one.submit({"name": "look_up", "arguments": {"payment_id": "pay_1"}}, session())
        assert denied.state is State.DENIED


async def test_an_unknown_effect_of_a_changed_action_is_looked_up_and_not_sent_again(world):
    from tests.runtime.bank import dropped, traced_refund

    async with world.running() as runtime:
        world.bank.plan.append(dropped)
        outcome = await runtime.submit(asks("traced_refund"), session())
    newer = dataclasses.replace(traced_refund, version="2")
    async with world.running([newer, *(one for one in ACTIONS if one is not traced_refund)]) as runtime:
        world.time.pass_(seconds=31)
        assert (await comes_to(runtime, outcome.call_id, State.FAILED)).error.code == "not_applied"
        assert len(world.bank.attempts) == 1 and world.bank.looks == 1
        assert "call.intended" in kinds(await runtime.view(outcome.call_id))
        assert (await runtime.verify()).ok
