"""Between an agreement and the effect anything may change: each change is refused or asked anew, and an event says why."""

import dataclasses

import pytest

from remit.audit import State
from remit.errors import ApprovalNotOpen, NotAnApprover
from remit.runtime import confirmation, votes
from remit.runtime.votes import vote
from tests.runtime.asking import CONFIRM, TELLING, approve, asking, events, said, told_transfer, waits
from tests.runtime.bank import ACTIONS, asks, session, transfer

APPROVE = approve("large", "finance")


async def agreed(runtime, call_id: str, person: str = "fay") -> None:
    """Commit the last vote, and stop before the runtime takes the call up."""
    for task in runtime._background:
        task.cancel()
    await vote(runtime.parts, runtime.people, call_id, person=person, answer="approve", reason="", digest=None, via="test")


async def taken_up(runtime, call_id: str):
    await runtime._journeys.advance(call_id)
    return await runtime.get(call_id)


async def tampered(world, sql: str, *values: object) -> None:
    assert await world.change(sql, *values) == 1


async def granted_by_hand(world, call_id: str) -> None:
    """Say in the rows that everybody agreed, and that it is time to go on."""
    await tampered(world, "UPDATE requirement SET state = 'approved' WHERE call = ?", call_id)
    await tampered(world, "UPDATE call SET wake_at = 0 WHERE id = ?", call_id)


async def test_control_nothing_has_changed(world):
    async with asking(world, APPROVE).running(TELLING) as runtime:
        call_id = await waits(runtime)
        await agreed(runtime, call_id)
        assert (await taken_up(runtime, call_id)).state is State.SUCCEEDED and world.bank.effects == ["pay_1"]


@pytest.mark.parametrize("what", ["argument", "principal", "fact", "owner", "rule", "version"])
async def test_what_changes_after_the_last_vote_is_refused(world, what):
    async with asking(world, APPROVE).running() as runtime:
        call_id = await waits(runtime)
        other = await waits(runtime, payment="pay_2")
        await agreed(runtime, call_id)
        match what:
            case "argument":
                await tampered(world, "UPDATE call SET sealed = (SELECT sealed FROM call WHERE id = ?) WHERE id = ?", other, call_id)
            case "principal":
                await tampered(world, "UPDATE call SET principal = 'somebody' WHERE id = ?", call_id)
            case "fact":
                world.bank.payments["pay_1"].disputed = True
            case "owner":
                world.bank.payments["pay_1"].customer = "zoe"
            case "rule":
                asking(world, APPROVE, "  - {id: stop, then: deny, reason: All is stopped.}\n")
                await runtime.reload_policies(by="fay")
        newer = [dataclasses.replace(transfer, version="2"), *(one for one in ACTIONS if one is not transfer)]
        if what != "version":
            await taken_up(runtime, call_id)
    async with world.running(newer if what == "version" else ACTIONS, people=False) as runtime:
        denied = await runtime.wait(call_id, 30)
        codes = {"argument": "row_changed", "principal": "row_changed", "owner": "not_found", "version": "action_changed"}
        assert (denied.state, denied.error.code) == (State.DENIED, codes.get(what, "denied"))
        [event] = await events(runtime, call_id, "call.denied")
        assert event["body"]["code"] == codes.get(what, "denied") and world.bank.attempts == []


@pytest.mark.parametrize("kind", ["confirmation", "approval"])
async def test_another_price_than_was_shown_asks_anew_and_says_why(world, kind):
    world.bank.payments["pay_1"].memo = "10.00"

    async def agrees(runtime, call_id):
        if kind == "confirmation":
            return await runtime.confirm(call_id, subject="kay")
        return await runtime.vote(call_id, person="fay", answer="approve")

    async with asking(world, CONFIRM if kind == "confirmation" else APPROVE).running(TELLING) as runtime:
        call_id = await waits(runtime)
        world.bank.payments["pay_1"].memo = "99.00"
        again = await agrees(runtime, call_id)
        assert (again.state, said(again)) == (State.WAITING, [kind]) and world.bank.attempts == []
        held = await events(runtime, call_id, "call.held")
        assert [one["body"].get("why") for one in held] == [None, "what was shown has changed"]
        assert held[0]["body"]["shown"] != held[1]["body"]["shown"]
        if kind == "confirmation":
            assert "99.00" in (await runtime.confirmation(call_id, subject="kay")).summary.sentence
        assert (await agrees(runtime, call_id)).state is State.SUCCEEDED, "and whoever had agreed may agree to that as well"
        assert (await runtime.verify()).ok


async def test_a_vote_does_not_count_for_a_price_that_its_person_was_not_shown(world):
    world.bank.payments["pay_1"].memo = "10.00"
    async with asking(world, APPROVE).running(TELLING) as runtime:
        call_id = await waits(runtime)
        [asked] = (await runtime.review(call_id)).call.requirements
        world.bank.payments["pay_1"].memo = "99.00"
        assert (await runtime.vote(call_id, person="fay", answer="approve", shown=asked["shown"])).state is State.WAITING, "asked anew"
        with pytest.raises(ApprovalNotOpen, match="shown has changed"):
            await runtime.vote(call_id, person="finn", answer="approve", shown=asked["shown"])
        asked = (await runtime.review(call_id)).call.requirements[-1]
        assert (await runtime.vote(call_id, person="finn", answer="approve", shown=asked["shown"])).state is State.SUCCEEDED
        assert (await runtime.verify()).ok


@pytest.mark.parametrize("how", ["vote", "confirm"])
async def test_what_people_read_is_no_older_than_what_their_answer_would_be_to(world, how, monkeypatch):
    """Another process asks anew, with another price, just between the reading of the call and of what it asks for."""
    world.bank.payments["pay_1"].memo = "10.00"
    async with asking(world, APPROVE if how == "vote" else CONFIRM).running(TELLING) as runtime:
        call_id = await waits(runtime)
        store = runtime.parts.store
        reads, find = [await store.find(call_id)], store.find
        world.bank.payments["pay_1"].memo = "99.00"
        await (runtime.vote(call_id, person="fay", answer="approve") if how == "vote" else runtime.confirm(call_id, subject="kay"))

        async def older(named):
            return reads.pop() if reads else await find(named)

        monkeypatch.setattr(store, "find", older)
        seen = await (runtime.review(call_id) if how == "vote" else runtime.confirmation(call_id, subject="kay"))
        assert "99.00" in seen.summary.sentence and not reads


@pytest.mark.parametrize("how", ["vote", "confirm"])
async def test_an_answer_that_another_change_overtakes_is_not_one_to_what_came_of_that(world, how, monkeypatch):
    """The first try meets an amendment that is quicker; without a digest it must still not count for the amended call."""
    place, less = votes if how == "vote" else confirmation, {"amount": {"value": "5.00", "currency": "EUR"}}
    async with asking(world, APPROVE if how == "vote" else CONFIRM).running() as runtime:
        await runtime.people.add("olga", roles=["operator"])
        call_id = await waits(runtime)
        grants = place.grant

        async def overtaken(*given, **more):
            monkeypatch.setattr(place, "grant", grants)
            await runtime.amend(call_id, by="olga", arguments=less)
            return await grants(*given, **more)

        monkeypatch.setattr(place, "grant", overtaken)
        with pytest.raises(ApprovalNotOpen):
            if how == "vote":
                await runtime.vote(call_id, person="fay", answer="approve")
            else:
                await runtime.confirm(call_id, subject="kay")
        assert (await runtime.get(call_id)).state is State.WAITING and world.bank.effects == []


async def test_a_fact_that_nobody_is_shown_asks_nobody_anew(world):
    async with asking(world, APPROVE).running() as runtime:
        call_id = await waits(runtime)
        world.bank.payments["pay_1"].memo = "something else"
        assert (await runtime.vote(call_id, person="fay", answer="approve")).state is State.SUCCEEDED


async def test_an_approval_whose_commitment_was_wiped_is_asked_for_anew(world):
    world.bank.payments["pay_1"].memo = "10.00"
    async with asking(world, APPROVE).running(TELLING) as runtime:
        call_id = await waits(runtime)
        await agreed(runtime, call_id)
        await tampered(world, "UPDATE requirement SET shown = '' WHERE call = ?", call_id)
        assert said(await taken_up(runtime, call_id)) == ["approval"] and world.bank.attempts == []


async def test_an_approval_that_a_row_says_was_granted_wants_its_votes(world):
    async with asking(world, APPROVE).running() as runtime:
        call_id = await waits(runtime)
        await granted_by_hand(world, call_id)
        assert said(await taken_up(runtime, call_id)) == ["approval"] and world.bank.attempts == []


async def test_a_confirmation_that_a_row_alone_says_was_given_is_found_by_the_verifier(world):
    async with asking(world, CONFIRM).running() as runtime:
        call_id = await waits(runtime)
        await granted_by_hand(world, call_id)
        await taken_up(runtime, call_id)
        assert {one.code for one in (await runtime.verify()).findings} == {"not_confirmed"}


@pytest.mark.parametrize("votes", ["DELETE FROM vote WHERE call = ?", "UPDATE vote SET digest = 'd' WHERE call = ?"])
async def test_votes_that_are_gone_are_missed_though_the_approval_says_granted(world, votes):
    async with asking(world, APPROVE).running() as runtime:
        call_id = await waits(runtime)
        await agreed(runtime, call_id)
        await tampered(world, votes, call_id)
        assert said(await taken_up(runtime, call_id)) == ["approval"] and world.bank.attempts == []


async def test_an_approval_beyond_a_limit_covers_the_sum_that_was_shown_and_no_more(world):
    limit = """
limits:
  - {id: month, measure: arguments.amount, currency: EUR, per: subject.id, window: 30d, at_most: 2000, beyond: require_approval,
     approval: {by: finance}}
"""
    async with asking(world, limit).running() as runtime:
        call_id = await waits(runtime, euros="25.00")
        review = await runtime.review(call_id)
        assert [(one["used"], one["takes"], one["at_most"]) for one in review.limits] == [(0, 2500, 2000)]
        assert (await runtime.submit(asks("transfer", "pay_2", "10.00"), session())).state is State.SUCCEEDED
        again = await runtime.vote(call_id, person="fay", answer="approve")
        assert said(again) == ["approval"] and world.bank.effects == ["pay_2"]
        held = (await events(runtime, call_id, "call.held"))[-1]["body"]
        assert held["why"] == "it would go further beyond a limit than was shown"
        assert [one["body"]["covers"] for one in await events(runtime, call_id, "approval.requested")] == [2500, 3500]
        assert (await runtime.vote(call_id, person="fay", answer="approve")).state is State.SUCCEEDED
        assert (await runtime.verify()).ok


@pytest.mark.parametrize("how", ["expired", "cancelled", "denied"])
async def test_a_call_of_somebody_who_was_erased_ends_and_lets_go(world, how):
    async with asking(world, APPROVE).running() as runtime:
        call_id = await waits(runtime)
    assert await world.change("DELETE FROM subject")
    async with world.running() as runtime:
        if how == "expired":
            world.time.pass_(hours=5)
        elif how == "cancelled":
            await runtime.cancel(call_id, by="fay", reason="they are gone")
        else:
            await runtime.vote(call_id, person="fay", answer="approve", reason="they are gone")
        assert (await runtime.wait(call_id, 30)).state.value == how and world.bank.effects == []
        assert await runtime.parts.store.holds(runtime.parts.vault.hash("effect", "transfer:pay_1")) == []
        assert (await runtime.verify()).ok


async def test_what_was_shown_is_that_of_the_call_alone(world):
    """A commitment of one call fits no other, though both show the same."""
    async with asking(world, APPROVE).running(TELLING) as runtime:
        one, two = await waits(runtime, "cheque"), await waits(runtime, "transfer")
        shown = {row.shown for call_id in (one, two) for row in await runtime.parts.store.requirements(call_id)}
        assert len(shown) == 2 and told_transfer.summary_facts == {"payment"}


async def test_who_was_made_the_customer_meanwhile_cannot_vote(world):
    async with asking(world, approve("large", "finance", 2)).running() as runtime:
        call_id = await waits(runtime)
        await runtime.people.add("kay", roles=["finance"])
        with pytest.raises(NotAnApprover):
            await runtime.vote(call_id, person="kay", answer="approve")
