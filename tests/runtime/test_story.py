"""A call's story: in order, in plain words, with who, why and what was seen; personal values only for whoever may see them, for a purpose."""

import pytest

from remit.audit import KINDS, State
from remit.audit.event import REACHED
from remit.errors import CallNotFound
from remit.runtime.access import NotAReader, PurposeMissing
from remit.runtime.story_words import _SAYS, says
from remit.runtime.terms import COUNTED
from tests.runtime.asking import CONFIRM, TELLING, approve, asking, waits
from tests.runtime.bank import LARGE, asks, comes_to, lost, session
from tests.runtime.bank import says as noting

PURPOSE = "complaint 117"


async def agreed(runtime) -> str:
    call_id = (await runtime.submit(asks(euros=LARGE), session())).call_id
    await runtime.vote(call_id, person="fay", answer="approve", reason="SECRET-REASON")
    return call_id


async def test_a_story_is_told_in_order_with_who_why_and_where_it_stands(runtime):
    told = await runtime.story(await agreed(runtime))
    order = ["call.received", "call.decided", "call.held", "approval.requested", "approval.voted", "call.decided"]
    assert [one.kind for one in told.events] == [*order, "call.intended", "call.succeeded"]
    by = {one.kind: one for one in told.events}
    assert by["call.received"].who == "bot" and by["approval.voted"].who == "fay" and by["call.intended"].who == "remit"
    assert "payments/large (require_approval)" in by["call.decided"].says and "approved it, as finance" in by["approval.voted"].says
    assert told.reference and told.reference in by["call.succeeded"].says and told.stands.startswith("It was done")
    decision = told.decisions[-1]
    assert decision["policy"] == runtime.folder.policies.digest and decision["allowed"]
    assert {one["rule"] for one in decision["matched"]} == {"payments/small", "payments/large"}
    assert told.attempts == 1 and told.state == "succeeded"


async def test_a_story_says_what_each_approver_saw(runtime):
    told = await runtime.story(await agreed(runtime))
    (saw,) = [one.saw for one in told.events if one.saw]
    assert saw["digest"] == told.digest and len(saw["shown"]) == 64 and saw["rule"] == "payments/large"
    assert saw["reasons"] == ["More than fifty."] and saw["policy"] == runtime.folder.policies.digest
    assert saw["arguments"] == {"amount": {"currency": "EUR", "minor": 9900}}, "the payment's id is personal"


async def test_of_what_was_amended_each_vote_is_told_with_what_it_was_on(world):
    async with asking(world, approve("large", "finance", 2)).running(TELLING) as runtime:
        await runtime.people.add("olga", roles=["operator"])
        call_id = await waits(runtime)
        await runtime.vote(call_id, person="fay", answer="approve")
        await runtime.amend(call_id, by="olga", arguments={"amount": {"value": "5.00", "currency": "EUR"}}, reason="half")
        for person in ("fay", "finn"):
            await runtime.vote(call_id, person=person, answer="approve")
        told = await runtime.story(call_id)
        saw = [one.saw["arguments"]["amount"]["minor"] for one in told.events if one.kind == "approval.voted"]
        assert saw == [1000, 500, 500]
        assert len({one.saw["digest"] for one in told.events if one.saw}) == 2 and told.arguments["amount"]["minor"] == 500
        await runtime.people.add("rita", roles=["reviewer"])
        revealed = await runtime.story(call_id, by="rita", reveal=True, purpose=PURPOSE)
        words = [one.saw.get("words") for one in revealed.events if one.saw]
        assert words[0] is None and words[1] == words[2] and "Pay back" in words[1][0]


async def test_an_unknown_effect_is_told_with_its_look_ups(world, runtime):
    world.bank.plan.append(lost)
    call_id = (await runtime.submit(asks("transfer"), session())).call_id
    assert (await runtime.story(call_id)).stands.startswith("It may or may not have been done; it is looked up again")
    world.time.pass_(seconds=31)
    await comes_to(runtime, call_id, State.SUCCEEDED)
    told = await runtime.story(call_id)
    assert [one.says for one in told.events if one.kind == "call.reconciled"] == ["looked it up, and found: it was done"]


async def test_where_a_call_stands_is_told_for_each_end(world, runtime):
    waiting = (await runtime.submit(asks(euros=LARGE), session())).call_id
    assert "It waits for: approval by 1 of finance until" in (await runtime.story(waiting)).stands
    await runtime.vote(waiting, person="fay", answer="reject", reason="no")
    assert (await runtime.story(waiting)).stands == "It was not done (declined: declined). A person said no. Do not repeat it."
    done = (await runtime.submit(asks(payment="pay_9"), session())).call_id
    await runtime.reversed(done, by="sam")
    assert (await runtime.story(done)).stands == "It was done, and reversed since."
    with pytest.raises(CallNotFound):
        await runtime.story("call_0")


async def test_a_customers_yes_is_told_as_the_customers(world):
    async with asking(world, CONFIRM).running() as runtime:
        call_id = await waits(runtime)
        await runtime.confirm(call_id, subject="kay")
        told = await runtime.story(call_id)
        (said,) = [one for one in told.events if one.kind == "call.confirmed"]
        assert said.who == "the customer" and said.says.startswith("said yes") and len(said.saw["shown"]) == 64


PERSONAL = ("SECRET-REASON", "PRIVATE-WORDS", "kay", "pay_1")


async def personal(runtime) -> list[str]:
    return [await agreed(runtime), (await runtime.submit(noting("PRIVATE-WORDS"), session())).call_id]


async def test_without_revealing_no_personal_value_is_told(runtime):
    for call_id in await personal(runtime):
        told = await runtime.story(call_id)
        assert not [word for word in PERSONAL if word in repr(told)] and not told.revealed
        assert told.subject.startswith("sub_") and all(one.personal == {} for one in told.events)
        assert "/subject" in told.events[0].sealed


async def test_control_revealed_these_values_are_in_it(runtime):
    await runtime.people.add("rita", roles=["reviewer"])
    told = repr([await runtime.story(call_id, by="rita", reveal=True, purpose=PURPOSE) for call_id in await personal(runtime)])
    assert not [word for word in PERSONAL if word not in told]


@pytest.mark.parametrize("role", ["reviewer", "privacy_officer", "administrator"])
async def test_revealing_takes_a_role_and_a_purpose_and_is_recorded(runtime, role):
    call_id = await agreed(runtime)
    await runtime.people.add("rita", roles=[role])
    told = await runtime.story(call_id, by="rita", reveal=True, purpose=f" {PURPOSE} ")
    (read,) = [one for one in await runtime.accesses() if one.kind == "personal.revealed"]
    assert (read.who, read.call, read.purpose) == ("rita", call_id, PURPOSE)
    assert read.found == sum(len(one.personal) for one in told.events) > 3


async def test_nobody_else_and_nothing_without_a_purpose_is_revealed(runtime):
    call_id = await agreed(runtime)
    await runtime.people.add("rita", roles=["reviewer"])
    for purpose in ("", "     ", "why", "x" * 501):
        with pytest.raises(PurposeMissing):
            await runtime.story(call_id, by="rita", reveal=True, purpose=purpose)
    await runtime.people.disable("rita")
    for who in ("fay", "sam", "rita", "nobody", "local operator"):
        with pytest.raises(NotAReader):
            await runtime.story(call_id, by=who, reveal=True, purpose=PURPOSE)
    assert [one for one in await runtime.accesses() if one.kind == "personal.revealed"] == []


async def test_what_is_sealed_for_good_is_told_as_sealed(world, runtime):
    call_id = await agreed(runtime)
    await runtime.people.add("rita", roles=["reviewer"])
    before = await runtime.story(call_id, by="rita", reveal=True, purpose=PURPOSE)
    await world.change("DELETE FROM opening")
    after = await runtime.story(call_id, by="rita", reveal=True, purpose=PURPOSE)
    assert [one.sealed for one in before.events] == [()] * len(before.events)
    assert after.events[0].personal == {} and "/subject" in after.events[0].sealed


def test_every_kind_that_a_call_has_is_told_in_words():
    others = (
        "policy.",
        "person.",
        "agent.",
        "key.",
        "switch.",
        "subject.",
        "erasure.",
        "hold.",
        "retention.",
        "ledger.",
        "log.",
        "audit.",
        "personal.",
    )
    called = {kind for kind in KINDS - COUNTED if not kind.startswith(others)} | {"policy.shadowed"}
    assert called == set(_SAYS) and set(REACHED) <= set(_SAYS)


def test_control_an_event_that_was_changed_is_told_by_its_kind():
    assert says("call.succeeded", {"reference": "re_1", "status": None}) == "it was done; the provider's reference is re_1"
    assert says("call.decided", {}) == "call decided" and says("call.vanished", {}) == "call vanished"
