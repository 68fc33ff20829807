"""Approvals and confirmations: by whom they count, that they count once, and that what was agreed to runs once."""

import asyncio

import pytest

from remit.audit import State
from remit.errors import AlreadyVoted, ApprovalNotOpen, CallNotFound, NotAnApprover
from tests.runtime.bank import ALLOW, LARGE, NOTES, Payment, asks, kinds, session


async def waits(runtime, **changes):
    outcome = await runtime.submit(asks("transfer", euros=LARGE), session(**changes))
    assert outcome.state is State.WAITING, outcome
    return outcome.call_id


def approval(view) -> str:
    return next(one["id"] for one in view.requirements if one["kind"] == "approval")


async def test_a_waiting_call_is_said_to_wait_and_has_no_effect(runtime, world):
    outcome = await runtime.submit(asks("transfer", euros=LARGE), session())
    assert outcome.message() == "Waiting for approval by finance. Do not repeat the call; it will be done when they agree."
    assert world.bank.attempts == []
    [view] = await runtime.inbox()
    assert (view.id, view.arguments["amount"]["minor"]) == (outcome.call_id, 9900)


@pytest.mark.parametrize("named", ["call", "approval"])
async def test_an_approved_call_runs_once(runtime, world, named):
    call_id = await waits(runtime)
    view = await runtime.view(call_id)
    done = await runtime.vote(call_id if named == "call" else approval(view), person="fay", answer="approve", digest=view.digest)

    assert done.state is State.SUCCEEDED
    assert world.bank.effects == ["pay_1"] and await runtime.inbox() == []
    after = await runtime.view(call_id)
    assert [one["state"] for one in after.requirements] == ["used"]
    assert after.events[-2]["body"]["approvals"] == [approval(view)], "the intent names what it stands on"
    assert kinds(await runtime.view(call_id)) == [
        "call.received",
        "call.decided",
        "call.held",
        "approval.requested",
        "approval.voted",
        "call.decided",
        "call.intended",
        "call.succeeded",
    ]
    assert (await runtime.verify()).ok


async def test_twenty_approvals_at_once_by_different_people_run_it_once(runtime, world):
    for number in range(20):
        await runtime.people.add(f"finance-{number}", roles=["finance"])
    call_id = await waits(runtime)
    votes = (runtime.vote(call_id, person=f"finance-{number}", answer="approve") for number in range(20))
    outcomes = await asyncio.gather(*votes, return_exceptions=True)

    counted = [one for one in outcomes if not isinstance(one, BaseException)]
    assert [one.state for one in counted] == [State.SUCCEEDED]
    assert {type(one) for one in outcomes if isinstance(one, BaseException)} == {ApprovalNotOpen}
    assert world.bank.effects == ["pay_1"] and len(world.bank.attempts) == 1
    assert kinds(await runtime.view(call_id)).count("approval.voted") == 1


async def test_the_same_person_twice_at_once_counts_once(runtime, world):
    call_id = await waits(runtime)
    outcomes = await asyncio.gather(*(runtime.vote(call_id, person="fay", answer="approve") for _ in range(2)), return_exceptions=True)

    assert sorted(type(one).__name__ for one in outcomes) in (["ApprovalNotOpen", "Outcome"], ["AlreadyVoted", "Outcome"])
    assert world.bank.effects == ["pay_1"]


async def test_a_person_votes_once(runtime):
    call_id = await waits(runtime)
    await runtime.vote(call_id, person="fay", answer="approve")
    with pytest.raises((AlreadyVoted, ApprovalNotOpen)):
        await runtime.vote(call_id, person="fay", answer="reject")


async def test_approve_and_reject_at_once_have_one_winner(runtime, world):
    call_id = await waits(runtime)
    answers = {"fay": "approve", "finn": "reject"}
    await asyncio.gather(*(runtime.vote(call_id, person=who, answer=what) for who, what in answers.items()), return_exceptions=True)

    state = (await runtime.get(call_id)).state
    assert (state, world.bank.effects) in ((State.SUCCEEDED, ["pay_1"]), (State.DECLINED, []))


async def test_a_reject_is_final(runtime, world):
    call_id = await waits(runtime)
    declined = await runtime.vote(call_id, person="fay", answer="reject", reason="not this one")
    assert (declined.state, declined.error.retry) == (State.DECLINED, "never")
    for who in ("fay", "finn"):
        with pytest.raises(ApprovalNotOpen):
            await runtime.vote(call_id, person=who, answer="approve")
    assert world.bank.attempts == []


async def test_a_reject_touches_that_call_alone(runtime, world):
    one, other = [(await runtime.submit(asks("transfer", f"pay_{number}", LARGE), session())).call_id for number in (1, 2)]
    await runtime.vote(one, person="fay", answer="reject")
    assert (await runtime.vote(other, person="fay", answer="approve")).state is State.SUCCEEDED
    assert world.bank.effects == ["pay_2"]


@pytest.mark.parametrize(
    ("person", "asked"),
    [
        ("sam", {}),  # another role
        ("nobody", {}),
        ("fay", {"principal": "fay", "kind": "person"}),  # who asked
        ("boss", {}),  # who answers for the agent
        ("kay", {}),  # the customer
        ("gone", {}),  # disabled
    ],
)
async def test_who_may_not_vote(runtime, world, person, asked):
    await runtime.people.add("gone", roles=["finance"])
    await runtime.people.disable("gone")
    await runtime.people.add("kay", roles=["finance"])
    call_id = await waits(runtime, **asked)
    for answer in ("approve", "reject"):
        with pytest.raises(NotAnApprover):
            await runtime.vote(call_id, person=person, answer=answer)
    assert (await runtime.get(call_id)).state is State.WAITING and world.bank.attempts == []
    assert (await runtime.vote(call_id, person="finn", answer="approve")).state is State.SUCCEEDED, "the control: somebody else may"


async def test_who_lost_the_role_before_voting_may_not(runtime):
    call_id = await waits(runtime)
    await runtime.people.change_roles("fay", remove=["finance"])
    with pytest.raises(NotAnApprover):
        await runtime.vote(call_id, person="fay", answer="approve")


async def test_the_customer_cannot_approve_as_staff_through_the_confirmation(runtime, world):
    """An approval's id given to `confirm` is no way around the approvers."""
    call_id = await waits(runtime)
    for named in (call_id, approval(await runtime.view(call_id))):
        with pytest.raises((ApprovalNotOpen, CallNotFound)):
            await runtime.confirm(named, subject="kay")
    assert world.bank.attempts == []


async def test_a_vote_on_another_digest_than_was_shown_does_not_count(runtime, world):
    call_id = await waits(runtime)
    with pytest.raises(ApprovalNotOpen):
        await runtime.vote(call_id, person="fay", answer="approve", digest="0" * 64)
    assert world.bank.attempts == []


async def test_what_nobody_answers_expires(runtime, world):
    call_id = await waits(runtime)
    world.time.pass_(hours=3, minutes=59)
    await asyncio.sleep(0.05)
    assert (await runtime.get(call_id)).state is State.WAITING, "the control: not before its time"
    world.time.pass_(minutes=2)
    with pytest.raises(ApprovalNotOpen):
        await runtime.vote(call_id, person="fay", answer="approve")
    assert (await runtime.wait(call_id, 30)).state is State.EXPIRED
    assert world.bank.attempts == [] and await runtime.inbox() == []
    assert (await runtime.verify()).ok


async def test_a_call_that_expired_while_nothing_ran_is_not_done_afterwards(world):
    async with world.running() as runtime:
        call_id = await waits(runtime)
    world.time.pass_(hours=5)
    async with world.running() as runtime:
        assert (await runtime.wait(call_id, 30)).state is State.EXPIRED
    assert world.bank.attempts == []


async def test_a_waiting_call_survives_a_restart_and_runs_once(world):
    async with world.running() as runtime:
        call_id = await waits(runtime)
    async with world.running() as runtime:
        assert (await runtime.vote(call_id, person="fay", answer="approve")).state is State.SUCCEEDED
    async with world.running() as runtime:
        assert (await runtime.get(call_id)).state is State.SUCCEEDED
        assert (await runtime.verify()).ok
    assert world.bank.effects == ["pay_1"]


async def test_an_approval_whose_process_dies_at_once_is_carried_out_by_the_next(world):
    """The vote commits with its wake-up: nothing is only in memory."""
    from remit.runtime.votes import vote

    async with world.running() as runtime:
        call_id = await waits(runtime)
        monkey = runtime._background
        for task in monkey:
            task.cancel()
        await vote(runtime.parts, runtime.people, call_id, person="fay", answer="approve", reason="", digest=None, via="test")
    assert world.bank.attempts == []
    async with world.running() as runtime:
        assert (await runtime.wait(call_id, 30)).state is State.SUCCEEDED
    assert world.bank.effects == ["pay_1"]


TWO = (
    ALLOW
    + """
  - id: twice
    then: require_approval
    approval: {by: support, votes: 1, within: 1h}
"""
)


async def test_two_approvals_are_both_needed_and_each_finds_its_own_approver(world):
    world.policies(payments=TWO, notes=NOTES)
    async with world.running() as runtime:
        call_id = await waits(runtime)
        first = await runtime.vote(call_id, person="sam", answer="approve")
        assert first.state is State.WAITING and [one["for"] for one in first.waiting] == ["approval by finance"]
        assert world.bank.attempts == []
        done = await runtime.vote(call_id, person="fay", answer="approve")
        assert done.state is State.SUCCEEDED and world.bank.effects == ["pay_1"]
        assert (await runtime.verify()).ok


async def test_the_second_approval_in_vain_expires_by_its_own_time(world):
    world.policies(payments=TWO, notes=NOTES)
    async with world.running() as runtime:
        call_id = await waits(runtime)
        await runtime.vote(call_id, person="fay", answer="approve")
        world.time.pass_(hours=1, minutes=1)
        assert (await runtime.wait(call_id, 30)).state is State.EXPIRED
        assert world.bank.attempts == []


async def asks_again(runtime) -> str:
    await runtime.submit(asks(euros="10.00"), session())
    return (await runtime.submit(asks(euros="5.00"), session())).call_id


async def test_only_the_customer_confirms(runtime, world):
    call_id = await asks_again(runtime)
    for other in ("zoe", "fay", "bot", "anonymous"):
        with pytest.raises(NotAnApprover):
            await runtime.confirm(call_id, subject=other)
    with pytest.raises(ApprovalNotOpen):
        await runtime.vote(call_id, person="fay", answer="approve")
    assert len(world.bank.effects) == 1
    assert (await runtime.confirm(call_id, subject="kay")).state is State.SUCCEEDED
    assert (await runtime.verify()).ok


async def test_a_customer_who_says_no_ends_it(runtime, world):
    call_id = await asks_again(runtime)
    assert (await runtime.confirm(call_id, subject="kay", answer="reject")).state is State.DECLINED
    with pytest.raises(ApprovalNotOpen):
        await runtime.confirm(call_id, subject="kay")
    assert len(world.bank.effects) == 1


async def test_confirming_twice_at_once_runs_it_once(runtime, world):
    call_id = await asks_again(runtime)
    outcomes = await asyncio.gather(*(runtime.confirm(call_id, subject="kay") for _ in range(5)), return_exceptions=True)
    assert {type(one).__name__ for one in outcomes} == {"Outcome", "ApprovalNotOpen"}
    assert len(world.bank.effects) == 2


async def test_the_customer_is_asked_first_and_staff_only_then(world):
    world.policies(payments=ALLOW, notes=NOTES)
    async with world.running() as runtime:
        await runtime.submit(asks(euros="10.00"), session())
        first = await runtime.submit(asks(euros=LARGE), session())
        assert [one["requirement"] for one in first.waiting] == ["confirmation"]
        with pytest.raises(ApprovalNotOpen):
            await runtime.vote(first.call_id, person="fay", answer="approve")
        then = await runtime.confirm(first.call_id, subject="kay")
        assert [one["requirement"] for one in then.waiting] == ["approval"]
        assert (await runtime.vote(first.call_id, person="fay", answer="approve")).state is State.SUCCEEDED
        assert world.bank.effects == ["pay_1", "pay_1"]
        assert (await runtime.verify()).ok


async def test_who_asks_for_somebody_elses_data_cannot_approve_it_either(world):
    """`about` names whose data it is; the one in whose name it is asked still counts as the subject."""
    from remit import Context, Injected, action
    from remit.actions import once
    from tests.runtime.bank import Bank, Receipt, load_payment

    @action(
        effect=once, key="about:{payment_id}", facts={"payment": load_payment}, about="facts.payment.customer", owns=None, owns_reason="x"
    )
    async def tell(ctx: Context, payment_id: str, bank: Injected[Bank]) -> Receipt:
        """Tell the owner of a payment."""
        return await bank.pay(ctx, payment_id, None)

    policy = "policy: p\nactions: [tell]\nrules:\n  - {id: a, then: allow}\n"
    policy += "  - id: b\n    then: require_approval\n    approval: {by: finance, votes: 1, within: 1h}\n"
    (world.folder / "policies" / "payments.yaml").write_text(policy)
    (world.folder / "policies" / "notes.yaml").unlink()
    world.bank.payments["pay_1"], world.bank.payments["pay_2"] = Payment(customer="owner"), Payment(customer="OTHER")
    async with world.running([tell]) as runtime:
        for person in ("kay", "owner", "Owner", "other"):
            await runtime.people.add(person, roles=["finance"])
        call_id = (await runtime.submit({"name": "tell", "arguments": {"payment_id": "pay_1"}}, session())).call_id
        for person in ("kay", "owner", "Owner"):
            with pytest.raises(NotAnApprover):
                await runtime.vote(call_id, person=person, answer="approve")
        await runtime.amend(call_id, by="finn", arguments={"payment_id": "pay_2"})
        with pytest.raises(NotAnApprover):
            await runtime.vote(call_id, person="other", answer="approve")
        assert (await runtime.vote(call_id, person="fay", answer="approve")).state is State.SUCCEEDED
        assert (await runtime.verify()).ok
