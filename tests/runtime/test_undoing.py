"""Undoing is an ordinary call, linked to the first; and a provider's own reversal is taken down. Both free limits and effect key, once."""

import asyncio

import pytest

from remit import Context, Injected, Money, Refused, action, lookup
from remit.actions import once, per_call, undo
from remit.audit import State
from remit.errors import CallNotFound, NothingToUndo, NotSettled, NoUndo
from remit.runtime import work as work_module
from remit.runtime.people import BadPerson
from remit.runtime.undoing import undo_of
from tests.runtime.bank import ACTIONS, OWN, Bank, Receipt, asks, comes_to, dropped, find, gated, good, kinds, lost, raising, session
from tests.runtime.limited import held, limited

BUDGET = "{id: budget, measure: arguments.amount, currency: EUR, window: 1h, at_most: 10000}"
BOTH = "[lend, take_back, keep, transfer]"


@action(
    effect=lookup(find, settle="30s"),
    key="loan:{payment_id}",
    undo=undo("take_back", payment_id="arguments.payment_id", receipt="result.id", memo="facts.payment.memo"),
    deadline="5s",
    **OWN,
)
async def lend(ctx: Context, payment_id: str, amount: Money, bank: Injected[Bank]) -> Receipt:
    """Lend money."""
    return await bank.pay(ctx, payment_id, None)


@action(effect=lookup(find, settle="30s"), key="taking:{receipt}", deadline="5s", **OWN)
async def take_back(ctx: Context, payment_id: str, receipt: str, memo: str, bank: Injected[Bank]) -> Receipt:
    """Take a loan back."""
    return await bank.pay(ctx, f"back {receipt} {memo}", None)


@action(effect=once, key="keeping:{payment_id}", deadline="5s", **OWN)
async def keep(ctx: Context, payment_id: str, amount: Money, bank: Injected[Bank]) -> Receipt:
    """Keep a thing, for good."""
    return await bank.pay(ctx, payment_id, None)


LENDING = [lend, take_back, keep, *(one for one in ACTIONS if one.name not in {"refund", "traced_refund", "cheque", "jot", "look_up"})]
APPROVED = "  - {id: agreed, then: require_approval, approval: {by: finance, votes: 1, within: 4h}}"


def lending(world, *, rules="", more=""):
    (world.folder / "policies" / "notes.yaml").unlink(missing_ok=True)
    world.policies(
        payments=limited(BUDGET, actions="[lend, keep, transfer]", more=more),
        back=f"policy: back\nactions: [take_back]\nrules:\n  - {{id: any, then: allow}}\n{rules}",
    )
    world.bank.payments["pay_1"].memo = "for the roof"
    return world


@pytest.fixture
async def desk(world):
    async with lending(world).running(LENDING) as runtime:
        yield runtime
        world.bank.look_fails = None
        report = await runtime.verify()
        assert report.ok, report.findings


async def lent(runtime, payment="pay_1", **more) -> str:
    outcome = await runtime.submit(asks("lend", payment, **more), session())
    assert outcome.ok, outcome
    return outcome.call_id


async def test_it_is_undone_by_a_call_of_its_own_that_says_what_it_undoes(desk, world):
    first = await lent(desk)
    undone = await desk.undo(first, by=session(conversation="c2"), reason="she changed her mind")

    assert (undone.state, undone.action) == (State.SUCCEEDED, "take_back") and undone.call_id != first
    assert world.bank.effects == ["pay_1", "back re_1 for the roof"], "told by the arguments, the result and the facts of the first"
    before, after = await desk.view(first), await desk.view(undone.call_id)
    assert (before.state, before.taken_back, before.undo, after.undoes) == (State.SUCCEEDED, "undone", undone.call_id, first)
    received = after.events[0]
    assert (received["body"]["undoes"], received["personal"]["/reason"]) == (first, "she changed her mind")
    assert kinds(after) == ["call.received", "call.decided", "call.intended", "call.succeeded"]
    last = before.events[-1]
    assert (last["kind"], last["body"], last["change"]) == ("call.undone", {"undo": undone.call_id, "by": "bot"}, None)
    assert "undone since" in (await desk.get(first)).message() and (await desk.get(first)).to_json()["taken_back"] == "undone"


async def test_limits_and_the_effect_key_are_free_only_when_it_has_been_undone(desk, world):
    first = await lent(desk)
    gate, entered = asyncio.Event(), asyncio.Event()
    world.bank.plan.append(gated(gate, entered))
    undoing = asyncio.create_task(desk.undo(first, by=session()))
    await entered.wait()
    assert await held(desk) == {"payments/budget:EUR": 1000}
    assert (await desk.submit(asks("lend"), session())).repeated
    gate.set()
    assert (await undoing).ok
    assert await held(desk) == {} and (await desk.get(first)).taken_back == "undone"
    again = await desk.submit(asks("lend"), session())
    assert again.ok and not again.repeated and again.call_id != first
    assert await held(desk) == {"payments/budget:EUR": 1000}


async def test_control_an_undo_that_fails_frees_nothing(desk, world):
    first = await lent(desk)
    world.bank.plan.append(raising(Refused("It was spent.", definite=True)))
    failed = await desk.undo(first, by=session())
    assert failed.state is State.FAILED and await held(desk) == {"payments/budget:EUR": 1000}
    assert (await desk.get(first)).taken_back is None and (await desk.submit(asks("lend"), session())).repeated
    assert (await desk.undo(first, by=session())).ok, "and another may be tried"


async def test_it_is_governed_like_any_call(world):
    async with lending(world, rules=APPROVED).running(LENDING) as runtime:
        first = await lent(runtime)
        waiting = await runtime.undo(first, by="sam", reason="x")
        assert waiting.state is State.WAITING and world.bank.effects == ["pay_1"]
        assert (await runtime.get(first)).taken_back is None
        assert (await runtime.undo(first, by="fay")).call_id == waiting.call_id, "one is under way"
        done = await runtime.vote(waiting.call_id, person="fay", answer="approve")
        assert done.ok and (await runtime.get(first)).taken_back == "undone"
        view = await runtime.view(waiting.call_id)
        assert (view.principal, view.conversation) == ("sam", "c1")
        assert (await runtime.view(first)).events[-1]["body"]["by"] == "sam"


async def test_a_rule_may_deny_it(world):
    deny = '  - {id: never, when: principal.kind == "agent", then: deny}'
    async with lending(world, rules=deny).running(LENDING) as runtime:
        first = await lent(runtime)
        assert (await runtime.undo(first, by=session())).state is State.DENIED
        assert (await runtime.undo(first, by="sam")).ok, "the control"


async def test_it_is_undone_once_by_however_many(desk, world):
    first = await lent(desk)
    outcomes = await asyncio.gather(*(desk.undo(first, by=session()) for _ in range(8)))
    assert {one.state for one in outcomes} == {State.SUCCEEDED} and len({one.call_id for one in outcomes}) == 1
    assert sum(not one.repeated for one in outcomes) == 1
    assert (await desk.undo(first, by=session())).repeated and len(world.bank.effects) == 2
    assert kinds(await desk.view(first)).count("call.undone") == 1


async def test_two_processes_undo_it_once(world):
    async with lending(world).running(LENDING) as one, world.running(LENDING, people=False) as other:
        first = await lent(one)
        outcomes = await asyncio.gather(*(runtime.undo(first, by=session()) for runtime in (one, other) * 3))
        assert len({each.call_id for each in outcomes}) == 1 and len(world.bank.effects) == 2


@action(effect=once, key=per_call, name="take_back", deadline="5s", **OWN)
async def take_back_again(ctx: Context, payment_id: str, receipt: str, memo: str, bank: Injected[Bank]) -> Receipt:
    """Take a loan back, whatever was done before."""
    return await bank.pay(ctx, f"back {receipt}", None)


@pytest.mark.parametrize("index", [True, False])
async def test_control_without_the_index_whoever_looks_at_once_would_undo_it_twice(world, monkeypatch, index):
    unseen, both_on_their_way = [None, None], asyncio.Event()

    async def late(parts, call_id):
        if unseen:
            return unseen.pop()
        both_on_their_way.set()  # the index has refused the second, which looks again
        return await undo_of(parts, call_id)

    async def second(bank, ctx, about, key):
        both_on_their_way.set()
        return await good(bank, ctx, about, key)

    again = [take_back_again, *(one for one in LENDING if one.name != "take_back")]
    async with lending(world).running(again) as runtime:
        if not index:
            await world.change("DROP INDEX call_undoes")
        first = await lent(runtime)
        monkeypatch.setattr("remit.runtime.journeys.undo_of", late)
        world.bank.plan += [gated(both_on_their_way), second]
        both = await asyncio.gather(*(runtime.undo(first, by=session()) for _ in range(2)))
        assert len({one.call_id for one in both}) == (1 if index else 2)
        assert len(world.bank.effects) == (2 if index else 3)


async def test_what_has_not_settled_or_had_no_effect_is_not_undone(desk, world):
    world.bank.plan.append(lost)
    unknown = (await desk.submit(asks("lend"), session())).call_id
    with pytest.raises(NotSettled):
        await desk.undo(unknown, by=session())
    world.bank.plan.append(raising(Refused("no", definite=True)))
    failed = (await desk.submit(asks("lend", "pay_2"), session())).call_id
    with pytest.raises(NothingToUndo):
        await desk.undo(failed, by=session())
    assert len(await desk.calls()) == 2


async def test_an_action_without_one_says_what_to_do_instead(desk):
    kept = (await desk.submit(asks("keep"), session())).call_id
    with pytest.raises(NoUndo, match=f"remit calls reversed {kept}"):
        await desk.undo(kept, by=session())


async def test_another_customers_call_is_not_there(desk):
    first = await lent(desk)
    with pytest.raises(CallNotFound):
        await desk.undo(first, by=session(subject="eve"))
    with pytest.raises(CallNotFound):
        await desk.undo("call_none", by=session())
    with pytest.raises(BadPerson):
        await desk.undo(first, by="stranger")


async def test_a_result_that_is_not_known_cannot_be_told_to_its_undo(desk, world):
    await desk.people.add("olga", roles=["operator"])
    world.bank.plan.append(lost)
    first = (await desk.submit(asks("lend"), session())).call_id
    world.bank.look_fails = ConnectionError("down")
    world.time.pass_(seconds=31)
    await desk.resolve(first, applied=True, by="olga", reason="x")
    with pytest.raises(NoUndo, match=r"result\.id"):
        await desk.undo(first, by=session())


@pytest.mark.parametrize("how", [lost, dropped])
async def test_an_undo_of_unknown_outcome_settles_the_first_with_itself(desk, world, how):
    first = await lent(desk)
    world.bank.plan.append(how)
    undoing = await desk.undo(first, by=session())
    assert undoing.state is State.UNKNOWN and (await desk.get(first)).taken_back is None
    world.time.pass_(seconds=31)
    await comes_to(desk, undoing.call_id, State.SUCCEEDED)
    assert (await desk.get(first)).taken_back == "undone" and await held(desk) == {}
    assert world.bank.effects.count("back re_1 for the roof") == 1


async def test_an_operator_who_resolves_the_undo_settles_the_first_with_it(desk, world):
    await desk.people.add("olga", roles=["operator"])
    first = await lent(desk)
    world.bank.look_fails = ConnectionError("down")
    world.bank.plan.append(lost)
    undoing = await desk.undo(first, by=session())
    world.time.pass_(seconds=31)
    await desk.resolve(undoing.call_id, applied=True, by="olga", reason="x")
    assert (await desk.get(first)).taken_back == "undone" and await held(desk) == {}


async def test_an_undo_settles_though_the_first_has_moved_meanwhile(desk, world, monkeypatch):
    """The effect of the undo has happened, so nothing that becomes of the first may keep it from settling."""
    first = await lent(desk)
    real, moved = work_module._undone, []

    async def late(parts, call, by):
        writes = await real(parts, call, by)
        if not moved:
            moved.append(await work_module.move(parts, await parts.store.get(first), (), reference="another"))
        return writes

    monkeypatch.setattr(work_module, "_undone", late)
    assert (await desk.undo(first, by=session())).ok and moved
    view = await desk.view(first)
    assert (view.taken_back, view.reference) == ("undone", "another") and kinds(view).count("call.undone") == 1


async def test_control_what_is_undone_and_still_held_is_found(world, monkeypatch):
    monkeypatch.setattr(work_module, "releasing", lambda _parts, _call: [])
    async with lending(world).running(LENDING) as runtime:
        await runtime.undo(await lent(runtime), by=session())
        assert {one.code for one in (await runtime.verify()).findings} == {"release_missing"}


# reversals


async def test_a_reversal_is_taken_down_once_and_frees_limits_and_key(desk):
    first = await lent(desk)
    reversed_ = await desk.reversed(first, by="stripe", reference="evt_1", code="refund_failed")
    assert (reversed_.state, reversed_.taken_back) == (State.SUCCEEDED, "reversed") and "came to nothing" in reversed_.message()
    assert await held(desk) == {}
    await desk.reversed(first, by="stripe", reference="evt_1", code="refund_failed")
    view = await desk.view(first)
    assert kinds(view).count("effect.reversed") == 1
    assert view.events[-1]["body"] == {"code": "refund_failed", "by": "stripe", "reference": "evt_1"}
    again = await desk.submit(asks("lend"), session())
    assert again.ok and not again.repeated


async def test_control_what_was_not_reversed_is_still_held(desk):
    await lent(desk)
    assert await held(desk) == {"payments/budget:EUR": 1000} and (await desk.submit(asks("lend"), session())).repeated


async def test_however_many_say_so_at_once(desk):
    first = await lent(desk)
    await asyncio.gather(*(desk.reversed(first, by="stripe") for _ in range(8)))
    assert kinds(await desk.view(first)).count("effect.reversed") == 1 and await held(desk) == {}


async def test_what_is_not_settled_had_no_effect_or_was_undone_is_not_reversed(desk, world):
    world.bank.plan.append(lost)
    unknown = (await desk.submit(asks("lend"), session())).call_id
    with pytest.raises(NotSettled):
        await desk.reversed(unknown, by="stripe")
    world.bank.plan.append(raising(Refused("no", definite=True)))
    failed = (await desk.submit(asks("lend", "pay_2"), session())).call_id
    with pytest.raises(NothingToUndo):
        await desk.reversed(failed, by="stripe")
    undone = await lent(desk, "pay_3")
    await desk.undo(undone, by=session())
    with pytest.raises(NothingToUndo):
        await desk.reversed(undone, by="stripe")
    reversed_ = await lent(desk, "pay_4")
    await desk.reversed(reversed_, by="stripe")
    with pytest.raises(NothingToUndo):
        await desk.undo(reversed_, by=session())


async def test_what_is_reversed_while_its_undo_waits_is_not_undone_as_well(world):
    async with lending(world, rules=APPROVED).running(LENDING) as runtime:
        first = await lent(runtime)
        waiting = await runtime.undo(first, by="sam")
        await runtime.reversed(first, by="stripe")
        denied = await runtime.vote(waiting.call_id, person="fay", answer="approve")
        assert (denied.state, denied.error.code) == (State.DENIED, "nothing_to_undo") and world.bank.effects == ["pay_1"]


async def test_a_part_that_is_reversed_leaves_the_others_their_ordinals(runtime, world):
    """Two refunds of one payment: the key's first place is free, its second is not."""
    first = (await runtime.submit(asks(euros="1.00"), session())).call_id
    second = (await runtime.submit(asks(euros="2.00"), session())).call_id
    await runtime.confirm(second, subject="kay")
    await runtime.reversed(first, by="stripe")
    assert [hold.call for hold in await runtime.parts.store.holds((await runtime.parts.store.get(second)).effect_key)] == [second]
    third = (await runtime.submit(asks(euros="1.00"), session())).call_id
    assert (await runtime.confirm(third, subject="kay")).ok and (await runtime.parts.store.get(third)).ordinal == 3
