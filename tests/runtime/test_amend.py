"""Amending: another digest, decided anew; what was agreed to counts no more, and whoever amends can't vote."""

import asyncio

import pytest

from remit.audit import State
from remit.errors import AlreadySettled, AlreadyVoted, ApprovalNotOpen, NotAmended, NotAnApprover
from remit.runtime.statements import STATEMENTS
from tests.runtime.asking import CONFIRM, PROVE, approve, asking, events, said, waits
from tests.runtime.bank import REFUSED, asks, kinds, says, session

LESS = {"amount": {"value": "5.00", "currency": "EUR"}}
LARGE = approve("large", "finance", when='arguments.amount.currency == "EUR" && arguments.amount.minor > 700')
ALWAYS = approve("always", "finance")


async def yes(runtime, call_id, person="fay"):
    return await runtime.vote(call_id, person=person, answer="approve")


async def test_what_runs_is_what_was_amended_and_approved(world):
    async with asking(world, ALWAYS).running() as runtime:
        call_id = await waits(runtime)
        before = await runtime.view(call_id)
        amended = await runtime.amend(call_id, by="fay", arguments=LESS, reason="half is enough")
        after = await runtime.view(call_id)
        assert amended.state is State.WAITING and after.digest != before.digest
        assert after.arguments == {"payment_id": "pay_1", "amount": {"currency": "EUR", "minor": 500}}
        with pytest.raises(NotAnApprover):
            await yes(runtime, call_id, "fay")
        assert (await yes(runtime, call_id, "finn")).state is State.SUCCEEDED
        final = await runtime.view(call_id)
        assert [one["what"] for one in final.versions] == ["proposed", "amended", "executed"]
        proposed, changed, executed = (one["arguments"]["amount"] for one in final.versions)
        assert (proposed["minor"], changed["minor"], executed["minor"]) == (1000, 500, 500)
        [event] = await events(runtime, call_id, "call.amended")
        assert event["change"] == ["waiting", "waiting"] and event["personal"]["/reason"] == "half is enough"
        assert (event["body"]["digest_before"], event["body"]["by"]) == (before.digest, "fay")
        assert (await runtime.verify()).ok


async def test_votes_and_confirmation_are_void_and_back_again_they_stay_void(world):
    async with asking(world, CONFIRM, approve("two", "finance", 2)).running() as runtime:
        await runtime.people.add("olga", roles=["operator"])
        await runtime.people.add("frida", roles=["finance"])
        call_id = await waits(runtime)
        await runtime.confirm(call_id, subject="kay")
        await yes(runtime, call_id, "fay")
        assert said(await runtime.amend(call_id, by="olga", arguments=LESS)) == ["confirmation"]
        back = {"amount": {"value": "10.00", "currency": "EUR"}}
        assert said(await runtime.amend(call_id, by="olga", arguments=back)) == ["confirmation"]
        assert said(await runtime.confirm(call_id, subject="kay")) == ["approval"]
        assert (await yes(runtime, call_id, "finn")).state is State.WAITING, "fay's vote was for the first"
        assert (await yes(runtime, call_id, "fay")).state is State.SUCCEEDED
        assert (await runtime.verify()).ok


async def test_what_was_proved_is_kept(world):
    from remit import StepUp
    from tests.runtime.test_step_up import Pigeons

    pigeons = Pigeons()
    async with asking(world, PROVE, ALWAYS).running(step_up=StepUp(codes=pigeons)) as runtime:
        call_id = await waits(runtime)
        await runtime.send_code(call_id, subject="kay")
        assert said(await runtime.step_up(call_id, subject="kay", code=pigeons.codes[0])) == ["approval"]
        assert said(await runtime.amend(call_id, by="fay", arguments=LESS)) == ["approval"]
        assert (await yes(runtime, call_id, "finn")).state is State.SUCCEEDED
        assert (await runtime.verify()).ok


async def test_a_proof_that_is_asked_for_stays_asked_for(world):
    from remit import StepUp
    from tests.runtime.test_step_up import Pigeons

    pigeons = Pigeons()
    async with asking(world, PROVE).running(step_up=StepUp(codes=pigeons)) as runtime:
        await runtime.people.add("olga", roles=["operator"])
        call_id = await waits(runtime)
        await runtime.send_code(call_id, subject="kay")
        assert said(await runtime.amend(call_id, by="olga", arguments=LESS)) == ["step_up"]
        assert (await runtime.step_up(call_id, subject="kay", code=pigeons.codes[0])).state is State.SUCCEEDED
        assert (await runtime.view(call_id)).versions[-1]["arguments"]["amount"]["minor"] == 500
        assert (await runtime.verify()).ok


async def test_what_needs_nobody_any_more_runs_at_once(world):
    async with asking(world, LARGE).running() as runtime:
        call_id = await waits(runtime)
        assert (await runtime.amend(call_id, by="fay", arguments=LESS)).state is State.SUCCEEDED
        assert world.bank.effects == ["pay_1"] and (await runtime.verify()).ok


async def test_what_is_not_allowed_is_denied(world):
    async with asking(world, ALWAYS, "  - {id: odd, when: arguments.payment_id == 'pay_9', then: deny}\n").running() as runtime:
        call_id = await waits(runtime)
        denied = await runtime.amend(call_id, by="fay", arguments={"payment_id": "pay_9"})
        assert denied.state is State.DENIED and world.bank.attempts == []
        for payment in ("pay_1", "pay_9"):
            assert await runtime.parts.store.holds(runtime.parts.vault.hash("effect", f"transfer:{payment}")) == [], "both keys are free"
        assert (await runtime.verify()).ok


async def test_another_customers_object_is_not_found(world):
    world.bank.payments["pay_9"].customer = "zoe"
    async with asking(world, ALWAYS).running() as runtime:
        call_id = await waits(runtime)
        assert (await runtime.amend(call_id, by="fay", arguments={"payment_id": "pay_9"})).error.code == "not_found"


async def test_the_effect_key_moves_with_the_arguments(world):
    async with asking(world, ALWAYS).running() as runtime:
        await runtime.people.add("olga", roles=["operator"])
        call_id = await waits(runtime)
        await runtime.amend(call_id, by="fay", arguments={"payment_id": "pay_2"})
        held = {pay: await runtime.parts.store.holds(runtime.parts.vault.hash("effect", f"transfer:{pay}")) for pay in ("pay_1", "pay_2")}
        assert held["pay_1"] == [] and [one.call for one in held["pay_2"]] == [call_id]
        other = await runtime.submit(asks("transfer", "pay_2", "10.00"), session())
        assert other.repeated and other.call_id == call_id, "who asks for what it is now is given this call"
        assert (await runtime.submit(asks("transfer", "pay_1"), session())).state is State.WAITING
        with pytest.raises(NotAmended):
            await runtime.amend(call_id, by="olga", arguments={"payment_id": "pay_1"})
        assert (await yes(runtime, call_id, "finn")).state is State.SUCCEEDED and world.bank.effects == ["pay_2"]
        assert (await runtime.verify()).ok


async def test_who_sends_again_what_was_amended_is_given_what_became_of_it(world):
    """A caller that lost the answer repeats its request under its key: to be told that nothing was done would be untrue."""
    async with asking(world, ALWAYS).running() as runtime:
        await runtime.people.add("olga", roles=["operator"])
        asked = asks("transfer", tag="toolu_1")
        call_id = (await runtime.submit(asked, session())).call_id
        for by, euros in (("fay", "5.00"), ("olga", "4.00")):
            await runtime.amend(call_id, by=by, arguments={"amount": {"value": euros, "currency": "EUR"}})
        for state in (State.WAITING, State.SUCCEEDED):
            if state is State.SUCCEEDED:
                await yes(runtime, call_id, "finn")
            for euros in ("10.00", "4.00"):
                again = await runtime.submit(asks("transfer", euros=euros, tag="toolu_1"), session())
                assert (again.call_id, again.state, again.repeated) == (call_id, state, True)
            assert (await runtime.submit(asks("transfer", euros="5.00", tag="toolu_1"), session())).error.code == "key_reused"
        assert world.bank.effects == ["pay_1"]


async def test_under_the_same_key_it_is_known_by_what_it_asks_for_now(world):
    async with asking(world, ALWAYS).running() as runtime:
        call_id = await waits(runtime)
        await runtime.amend(call_id, by="fay", arguments=LESS)
        same = await runtime.submit(asks("transfer", euros="5.00"), session())
        assert same.repeated and same.call_id == call_id
        assert (await runtime.submit(asks("transfer"), session())).error.code == "effect_taken"


@pytest.mark.parametrize("by", ["sam", "nobody", "gone", "kay", "KAY", "boss", "bot"])
async def test_who_may_not_amend(world, by):
    async with asking(world, ALWAYS).running() as runtime:
        await runtime.people.add("gone", roles=["finance"])
        await runtime.people.disable("gone")
        for served in ("kay", "KAY"):
            await runtime.people.add(served, roles=["finance", "operator"])
        call_id = await waits(runtime)
        with pytest.raises(NotAnApprover):
            await runtime.amend(call_id, by=by, arguments=LESS)
        assert "call.amended" not in kinds(await runtime.view(call_id))


@pytest.mark.parametrize(
    "arguments", [{"amount": "5"}, {"unknown": 1}, {"payment_id": None}, {"amount": {"currency": "EUR", "minor": 5}}], ids=str
)
async def test_arguments_that_a_model_could_not_send_are_refused(world, arguments):
    async with asking(world, ALWAYS).running() as runtime:
        call_id = await waits(runtime)
        with pytest.raises(NotAmended):
            await runtime.amend(call_id, by="fay", arguments=arguments)
        assert (await yes(runtime, call_id, "fay")).state is State.SUCCEEDED, "and fay may still vote"


async def test_while_the_customer_is_asked_only_an_operator_amends(world):
    async with asking(world, CONFIRM, ALWAYS).running() as runtime:
        await runtime.people.add("olga", roles=["operator"])
        call_id = await waits(runtime)
        with pytest.raises(NotAnApprover):
            await runtime.amend(call_id, by="fay", arguments=LESS)
        assert said(await runtime.amend(call_id, by="olga", arguments=LESS)) == ["confirmation"]


async def test_only_what_waits_can_be_amended(world):
    async with asking(world, ALWAYS).running() as runtime:
        call_id = await waits(runtime)
        await yes(runtime, call_id)
        with pytest.raises(AlreadySettled):
            await runtime.amend(call_id, by="finn", arguments=LESS)


async def test_what_nobody_answered_in_time_is_not_revived(world):
    """A process that was down has not ended it yet."""
    async with asking(world, ALWAYS).running() as runtime:
        call_id = await waits(runtime)
        for task in runtime._background:
            task.cancel()
        world.time.pass_(hours=4, seconds=1)
        with pytest.raises(ApprovalNotOpen):
            await runtime.amend(call_id, by="fay", arguments=LESS)


async def test_a_vote_on_what_was_shown_before_does_not_count(world):
    async with asking(world, ALWAYS).running() as runtime:
        call_id = await waits(runtime)
        shown = (await runtime.view(call_id)).digest
        await runtime.amend(call_id, by="fay", arguments=LESS)
        with pytest.raises(ApprovalNotOpen):
            await runtime.vote(call_id, person="finn", answer="approve", digest=shown)


@pytest.mark.parametrize("said", [True, False])
async def test_of_two_amendments_at_once_the_second_is_not_put_into_what_the_first_made(world, said):
    """Each changes another argument: both together nobody has looked at, and it might need nobody's approval."""
    async with asking(world, ALWAYS).running() as runtime:
        call_id = await waits(runtime)
        seen = (await runtime.view(call_id)).digest if said else None
        both = ("fay", LESS), ("finn", {"payment_id": "pay_2"})
        ended = await asyncio.gather(
            *(runtime.amend(call_id, by=by, arguments=arguments, digest=seen) for by, arguments in both), return_exceptions=True
        )
        assert [type(one) for one in ended if isinstance(one, Exception)] == [ApprovalNotOpen]
        assert len(await events(runtime, call_id, "call.amended")) == 1


async def test_a_vote_and_an_amendment_at_once_have_one_order(world):
    for number in range(1, 9):
        async with asking(world, ALWAYS).running() as runtime:
            call_id = await waits(runtime, payment=f"pay_{number}")
            both = runtime.amend(call_id, by="fay", arguments=LESS), yes(runtime, call_id, "finn")
            await asyncio.gather(*(both if number % 2 else reversed(both)), return_exceptions=True)
            view = await runtime.view(call_id)
            if "call.amended" in kinds(view) and view.state is State.SUCCEEDED:
                assert kinds(view).index("call.amended") < kinds(view).index("approval.voted")
            assert (await runtime.verify()).ok


async def test_the_database_refuses_the_amenders_vote(world):
    from tests.runtime.test_quorum import written

    async with asking(world, ALWAYS).running() as runtime:
        call_id = await waits(runtime)
        await runtime.amend(call_id, by="fay", arguments=LESS)
        with pytest.raises(REFUSED, match="amended"):
            await written(world, runtime, call_id, "fay")


async def test_control_an_amended_call_under_its_old_digest_would_keep_its_votes(world, monkeypatch):
    """The broken variant: the digest does not say what would run."""
    monkeypatch.setattr("remit.runtime.amend.digest_of", lambda *_: "d" * 64)
    monkeypatch.setattr("remit.runtime.receive.digest_of", lambda *_: "d" * 64)
    monkeypatch.setattr("remit.runtime.advance.digest_of", lambda *_: "d" * 64)
    monkeypatch.setattr("remit.runtime.requirements.commitment", lambda _: "s")
    async with asking(world, approve("two", "finance", 2)).running() as runtime:
        await runtime.people.add("olga", roles=["operator"])
        call_id = await waits(runtime)
        await yes(runtime, call_id, "fay")
        await runtime.amend(call_id, by="olga", arguments=LESS)
        with pytest.raises(AlreadyVoted):
            await yes(runtime, call_id, "fay")
        assert (await yes(runtime, call_id, "finn")).state is State.SUCCEEDED


async def test_a_secret_stays_secret(world):
    world.policies(notes="policy: notes\nactions: [jot, look_up]\nrules:\n  - {id: a, then: allow}\n" + ALWAYS)
    async with world.running() as runtime:
        call_id = (await runtime.submit(says("hello", pin="4711-secret"), session())).call_id
        await runtime.amend(call_id, by="fay", arguments={"text": "goodbye"})
        view = await runtime.view(call_id)
        assert view.arguments["pin"] == "•••" and "4711-secret" not in str(view) and b"4711-secret" not in world.bytes()
        assert (await yes(runtime, call_id, "finn")).state is State.SUCCEEDED and world.bank.effects == ["goodbye"]


def test_the_hold_is_amended_before_it_is_freed():
    order = list(STATEMENTS)
    assert order.index("effect.hold") < order.index("effect.amend") < order.index("effect.free")
