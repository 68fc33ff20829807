"""What becomes of an effect that nothing automatic can settle: it is said once, and a person of the right role settles it."""

import asyncio
import itertools
import logging

import pytest

from remit.audit import State
from remit.errors import AlreadySettled, CallNotFound, NotAnOperator, NotUnknown, StillRunning
from remit.runtime import finding_out, resolving
from remit.runtime.journal import Conflict
from tests.runtime.bank import LARGE, asks, comes_to, dropped, gated, kinds, lost, raising, session
from tests.runtime.limited import CAP, held, limited

ONCE, LOOKUP, KEYED, TRACED = "cheque", "transfer", "refund", "traced_refund"


async def unknown(runtime, world, name=ONCE, how=lost, **more) -> str:
    """A call of unknown outcome whose settle time is over."""
    if not await runtime.people.get("olga"):
        await runtime.people.add("olga", roles=["operator"])
    world.bank.plan.append(how)
    outcome = await runtime.submit(asks(name, **more), session())
    assert outcome.state is State.UNKNOWN
    return outcome.call_id


async def dead(runtime, world, call_id, within=10):
    async with asyncio.timeout(within):
        while not (found := await runtime.dead()):
            await asyncio.sleep(0.005)
    assert [one.id for one in found] == [call_id]
    return found[0]


# dead letters


async def test_what_nothing_can_look_up_is_dead_once_its_settle_time_is_over(runtime, world, caplog):
    call_id = await unknown(runtime, world)
    world.time.pass_(seconds=20)
    await asyncio.sleep(0.05)
    assert await runtime.dead() == [], "a handler may still answer"
    world.time.pass_(seconds=11)
    await dead(runtime, world, call_id)
    world.time.pass_(days=30)
    await asyncio.sleep(0.05)

    view = await runtime.view(call_id)
    assert kinds(view).count("call.dead_lettered") == 1 and view.state is State.UNKNOWN
    assert view.events[-1]["body"] == {"why": "no_look_up", "attempts": 1}
    assert (await runtime.health()).dead == 1
    (told,) = [one for one in caplog.records if one.name == "remit.settling"]
    assert told.levelno == logging.ERROR and f"remit calls resolve {call_id}" in told.getMessage()
    assert (await runtime.submit(asks(ONCE), session())).call_id == call_id, "its effect key is held"


async def test_control_what_can_be_looked_up_is_not_dead(runtime, world):
    call_id = await unknown(runtime, world, LOOKUP)
    world.time.pass_(seconds=31)
    await comes_to(runtime, call_id, State.SUCCEEDED)
    assert "call.dead_lettered" not in kinds(await runtime.view(call_id)) and (await runtime.health()).dead == 0


async def test_a_key_whose_life_is_over_without_a_look_up_is_dead(runtime, world):
    call_id = await unknown(runtime, world, KEYED)
    world.time.pass_(hours=20)
    await dead(runtime, world, call_id)
    assert (await runtime.view(call_id)).events[-1]["body"]["why"] == "key_life_over"
    assert len(world.bank.attempts) == 1


async def test_a_key_that_may_not_be_used_again_is_dead_without_a_look_up(runtime, world):
    call_id = await unknown(runtime, world, KEYED)
    with pytest.raises(Exception, match="already started"):
        await runtime.cancel(call_id, by="fay")
    world.time.pass_(seconds=31)
    await dead(runtime, world, call_id)
    assert (await runtime.view(call_id)).events[-1]["body"]["why"] == "attempts_forbidden"


async def test_look_ups_that_fail_wait_longer_each_time_then_a_person_is_told_and_they_go_on_daily(runtime, world):
    world.bank.look_fails = ConnectionError("down")
    call_id = await unknown(runtime, world, LOOKUP)
    waits, seen = [], 0
    world.time.pass_(seconds=31)
    while True:
        async with asyncio.timeout(10):
            while (call := await runtime.parts.store.get(call_id)).looks == seen:
                await asyncio.sleep(0.005)
        seen = call.looks
        waits.append((call.wake_at - runtime.parts.clock.now()) / 1e6)
        if await runtime.dead():
            break  # the next look is a day away: none is on its way while the provider comes back
        world.time.nanos = max(world.time.nanos, call.wake_at * 1000)
    assert seen == finding_out.LOOKS and waits[0] < 31 and 1800 < waits[-2] <= 3600 and waits[-1] == pytest.approx(86400, abs=1)
    assert all(later > earlier - 1 for earlier, later in itertools.pairwise(waits)), waits  # a second, for two of the longest may be alike
    assert (await runtime.view(call_id)).events[-1]["body"] == {"why": "look_ups_fail", "attempts": 1}

    world.bank.look_fails = None
    world.time.pass_(days=1)
    assert (await runtime.wait(call_id, 30)).state is State.SUCCEEDED, "it is still looked up"
    assert await runtime.dead() == [] and world.bank.effects == ["pay_1"]


async def test_an_answer_that_comes_late_settles_what_is_dead(runtime, world):
    call_id = await unknown(runtime, world)
    world.time.pass_(seconds=31)
    call = await dead(runtime, world, call_id)
    from remit.runtime.advance import restore
    from remit.runtime.finding_out import answered
    from remit.runtime.phases import context
    from remit.runtime.work import commit

    work = await restore(runtime.parts, call, runtime.catalog[ONCE])
    told = context(runtime.parts, work, provider=None)
    await commit(runtime.parts, answered(work, told, world.bank.by_key[call_id]))
    assert (await runtime.get(call_id)).ok and await runtime.dead() == []


# resolving


@pytest.mark.parametrize("name", [ONCE, LOOKUP, KEYED, TRACED])
@pytest.mark.parametrize("applied", [True, False])
async def test_an_operator_says_what_became_of_it(runtime, world, name, applied, monkeypatch):
    monkeypatch.setattr("remit.runtime.execution.KEY_LIFE_USED", 0.0)
    world.bank.look_fails = ConnectionError("down")
    call_id = await unknown(runtime, world, name)
    world.time.pass_(seconds=31)
    outcome = await runtime.resolve(call_id, applied=applied, by="olga", reason="the bank's list says so", via="test")

    assert outcome.state is (State.SUCCEEDED if applied else State.FAILED)
    assert "a person has made sure" in outcome.message()
    view = await runtime.view(call_id)
    resolved, settled = view.events[-2:]
    assert (resolved["kind"], resolved["body"]) == ("call.resolved", {"applied": applied, "by": "olga", "via": "test"})
    assert resolved["personal"] == {"/reason": "the bank's list says so"} and resolved["change"] is None
    assert (settled["kind"], settled["change"]) == (f"call.{outcome.state}", ["unknown", outcome.state.value])
    again = await runtime.submit(asks(name), session())
    assert (again.call_id == call_id) == applied, "the effect key is kept or free"
    assert (await runtime.verify()).ok
    world.bank.look_fails = None


async def test_limits_are_spent_or_given_back(world):
    world.policies(payments=limited(CAP))
    async with world.running() as runtime:
        spent, released = [await unknown(runtime, world, payment=payment) for payment in ("pay_1", "pay_2")]
        world.time.pass_(seconds=31)
        assert await held(runtime) == {"payments/budget:EUR": 2000}
        await runtime.resolve(spent, applied=True, by="olga", reason="x")
        await runtime.resolve(released, applied=False, by="olga", reason="x")
        assert await held(runtime) == {"payments/budget:EUR": 1000}
        assert (await runtime.verify()).ok


async def test_only_an_active_operator_who_has_nothing_to_do_with_it(runtime, world):
    call_id = await unknown(runtime, world)
    world.time.pass_(seconds=31)
    await runtime.people.add("kay", roles=["operator"])  # its customer
    await runtime.people.add("oscar", roles=["operator"])
    await runtime.people.disable("oscar")
    for nobody in ("fay", "kay", "oscar", "stranger"):
        with pytest.raises(NotAnOperator):
            await runtime.resolve(call_id, applied=False, by=nobody, reason="x")
    assert (await runtime.get(call_id)).state is State.UNKNOWN
    assert (await runtime.resolve(call_id, applied=False, by="olga", reason="x")).state is State.FAILED, "the control"


async def test_who_asked_for_it_does_not_say_what_became_of_it(runtime, world):
    await runtime.people.add("olga", roles=["operator"])
    world.bank.plan.append(lost)
    call_id = (await runtime.submit(asks(ONCE), session(principal="olga", kind="person"))).call_id
    world.time.pass_(seconds=31)
    with pytest.raises(NotAnOperator):
        await runtime.resolve(call_id, applied=False, by="olga", reason="x")


async def test_not_while_an_attempt_may_still_be_under_way(runtime, world):
    await runtime.people.add("olga", roles=["operator"])
    gate, entered = asyncio.Event(), asyncio.Event()
    world.bank.plan.append(gated(gate, entered, lost))
    caller = asyncio.create_task(runtime.submit(asks(ONCE), session()))
    await entered.wait()
    call_id = (await runtime.calls())[0].id
    with pytest.raises(StillRunning, match="under way"):
        await runtime.resolve(call_id, applied=False, by="olga", reason="x")
    gate.set()
    await caller
    with pytest.raises(StillRunning, match="may still take effect"):
        await runtime.resolve(call_id, applied=False, by="olga", reason="x")
    world.time.pass_(seconds=31)
    assert (await runtime.resolve(call_id, applied=True, by="olga", reason="x")).ok


async def test_not_while_its_handler_lingers(world, monkeypatch):
    from tests.runtime.test_effects import hasty

    monkeypatch.setattr("remit.runtime.lingering.POLL", 0.01)
    gate = asyncio.Event()

    async def stubborn(bank, ctx, about, key):
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue
        return bank.apply(ctx, about, key)

    async with world.running(hasty()) as runtime:
        call_id = await unknown(runtime, world, how=stubborn)
        for _ in range(4):
            world.time.pass_(seconds=29)
            await asyncio.sleep(0.1)
            with pytest.raises(StillRunning):
                await runtime.resolve(call_id, applied=False, by="olga", reason="x")
        assert await runtime.dead() == []
        gate.set()
        assert (await runtime.wait(call_id, 30)).state is State.SUCCEEDED


async def test_what_is_not_unknown_is_not_resolved(runtime, world):
    await runtime.people.add("olga", roles=["operator"])
    waiting = await runtime.submit(asks(ONCE, euros=LARGE), session())
    done = await runtime.submit(asks(ONCE, "pay_2"), session())
    for call_id, refused in ((waiting.call_id, NotUnknown), (done.call_id, AlreadySettled), ("call_none", CallNotFound)):
        with pytest.raises(refused):
            await runtime.resolve(call_id, applied=True, by="olga", reason="x")


async def test_it_is_resolved_once_and_a_replay_that_was_prepared_is_not_sent(runtime, world):
    """Both hold the version that they saw: whoever is later writes nothing."""
    from remit.runtime.advance import restore
    from remit.runtime.phases import start_attempt
    from remit.runtime.work import commit

    call_id = await unknown(runtime, world, KEYED, dropped)
    world.bank.plan.append(raising(AssertionError("sent")))
    call = await runtime.parts.store.get(call_id)
    prepared = start_attempt(runtime.parts, await restore(runtime.parts, call, runtime.catalog[KEYED]))
    stale = resolving.Draft("call.resolved", {"applied": False, "by": "olga", "via": "x"})
    await resolving._not_done(runtime.parts, call, stale)
    for late in (commit(runtime.parts, prepared), resolving._done(runtime.parts, call, stale)):
        with pytest.raises(Conflict):
            await late
    assert (await runtime.get(call_id)).state is State.FAILED and len(world.bank.attempts) == 1
    with pytest.raises(AlreadySettled):
        await runtime.resolve(call_id, applied=True, by="olga", reason="x")


async def test_control_without_the_version_the_later_one_would_win(runtime, world, monkeypatch):
    call_id = await unknown(runtime, world, how=dropped)
    call = await runtime.parts.store.get(call_id)
    said = resolving.Draft("call.resolved", {"applied": False, "by": "olga", "via": "x"})
    await resolving._not_done(runtime.parts, call, said)
    newest = await runtime.parts.store.get(call_id)
    await resolving._done(runtime.parts, call.evolve(version=newest.version), said)
    assert (await runtime.get(call_id)).state is State.SUCCEEDED and not (await runtime.verify()).ok


@pytest.mark.parametrize("name", [ONCE, LOOKUP])
async def test_a_call_of_somebody_who_was_erased_can_be_resolved(world, name):
    async with world.running() as runtime:
        call_id = await unknown(runtime, world, name)
    assert await world.change("DELETE FROM subject")
    async with world.running() as runtime:
        world.time.pass_(seconds=31)
        await dead(runtime, world, call_id)
        assert (await runtime.resolve(call_id, applied=False, by="olga", reason="x")).state is State.FAILED
        assert (await runtime.verify()).ok


async def test_an_attempt_for_somebody_who_was_erased_meanwhile_does_not_stay_executing(world):
    gate, entered = asyncio.Event(), asyncio.Event()
    async with world.running() as sleeper:
        for task in sleeper._background:
            task.cancel()
        world.bank.plan.append(gated(gate, entered))
        zombie = asyncio.create_task(sleeper.submit(asks(ONCE), session()))
        await entered.wait()
        assert await world.change("DELETE FROM subject")
        async with world.running(people=False) as runtime:
            call_id = (await runtime.calls())[0].id
            world.time.pass_(seconds=16)
            await comes_to(runtime, call_id, State.UNKNOWN)
            world.time.pass_(seconds=31)
            await dead(runtime, world, call_id)
        gate.set()
        await zombie


# what is said meanwhile


async def test_it_is_said_who_finds_out_and_when_it_is_looked_up_next(runtime, world):
    world.bank.look_fails = ConnectionError("down")
    looked_up, person = await unknown(runtime, world, LOOKUP), await unknown(runtime, world, ONCE, payment="pay_2")
    outcome = await runtime.get(looked_up)
    body = outcome.to_json()
    assert (body["settled_by"], body["error"]["retry"]) == ("look_up", "never")
    assert body["until"][:19].replace("T", " ") in body["message"] and "being looked up" in body["message"]
    asked = (await runtime.get(person)).to_json()
    assert asked["settled_by"] == "person" and "until" not in asked and "only a person" in asked["message"]
    for told in (body, asked):
        assert "Tell the customer" in told["message"] and "not be charged or served twice" in told["message"]
