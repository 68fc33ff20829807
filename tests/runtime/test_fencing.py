"""Whatever settles a call holds the version that it saw: of two that settle it at once, one writes and the other writes nothing."""

import pytest

from remit.audit import State
from remit.runtime import execution, finding_out, resolving, undoing
from remit.runtime.advance import restore
from remit.runtime.journal import Conflict
from remit.runtime.phases import context, start_attempt
from remit.runtime.work import Draft, commit, move, releasing
from tests.runtime.bank import asks, dropped, kinds, lost, session

SAID = Draft("call.resolved", {"applied": True, "by": "olga", "via": "x"})


async def by_its_handler(parts, work):
    told = context(parts, work, provider=None)
    await commit(parts, execution.succeed(execution.referred(work, told), {"id": "re_9", "note": "x", "place": "y"}))


async def by_a_refusal(parts, work):
    await commit(parts, execution.fail(work, execution.problem("refused")))


async def by_a_look_up(parts, work):
    await commit(parts, await finding_out._look_up(parts, work))


async def by_a_late_answer(parts, work):
    told = context(parts, work, provider=None)
    await commit(parts, finding_out.answered(work, told, {"id": "re_9", "note": "x", "place": "y"}))


async def by_another_attempt(parts, work):
    await commit(parts, start_attempt(parts, work))


async def by_a_dead_letter(parts, work):
    await commit(parts, finding_out._buried(parts, work, "look_ups_fail"))


async def by_an_operator_who_found_it(parts, work):
    await resolving._done(parts, work.call, SAID)


async def by_an_operator_who_did_not(parts, work):
    await resolving._not_done(parts, work.call, SAID)


SETTLING = [
    by_its_handler,
    by_a_refusal,
    by_a_look_up,
    by_a_late_answer,
    by_another_attempt,
    by_a_dead_letter,
    by_an_operator_who_found_it,
    by_an_operator_who_did_not,
]


async def seen(runtime, world, name="transfer"):
    """A call of unknown outcome, as somebody saw it who is now going to settle it."""
    world.bank.plan.append(lost)
    call_id = (await runtime.submit(asks(name), session())).call_id
    return await restore(runtime.parts, await runtime.parts.store.get(call_id), runtime.catalog[name])


@pytest.mark.parametrize("settle", SETTLING)
async def test_who_saw_an_older_version_writes_nothing(runtime, world, settle):
    work = await seen(runtime, world)
    await move(runtime.parts, work.call, (Draft("call.cancel_asked", {"by": "fay"}),))
    before = await runtime.view(work.call.id)
    with pytest.raises(Conflict):
        await settle(runtime.parts, work)
    after = await runtime.view(work.call.id)
    assert (after.state, kinds(after)) == (State.UNKNOWN, kinds(before)) and (await runtime.verify()).ok


@pytest.mark.parametrize("settle", SETTLING)
async def test_control_who_saw_the_newest_one_does(runtime, world, settle):
    work = await seen(runtime, world)
    before = kinds(await runtime.view(work.call.id))
    await settle(runtime.parts, work)
    assert len(kinds(await runtime.view(work.call.id))) > len(before)


@pytest.mark.parametrize("name", ["refund", "transfer", "cheque"])
async def test_who_has_slept_from_its_intent_past_its_lease_sends_nothing(runtime, world, name):
    assert await _intends_and_sleeps(runtime, world, name, seconds=16) == 1, "it is sent once, by whoever takes it up again"


@pytest.mark.parametrize("name", ["refund", "transfer", "cheque"])
async def test_control_who_has_slept_a_moment_sends_at_once(runtime, world, name):
    assert await _intends_and_sleeps(runtime, world, name, seconds=4) == 1 and world.bank.attempts[0][1] == 1


async def _intends_and_sleeps(runtime, world, name, *, seconds):
    """Let time pass between the commit of an intent and its sending; gives how often it then came to an effect."""
    commit_, slept = runtime.parts.store.commit, False

    async def commit(writes, **more):
        nonlocal slept
        await commit_(writes, **more)
        if not slept and more.get("call") and more["call"].state is State.EXECUTING:
            slept = True
            world.time.pass_(seconds=seconds)
            assert not world.bank.attempts

    runtime.parts.store.commit = commit
    outcome = await runtime.submit(asks(name), session())
    if seconds > 15:
        assert not world.bank.attempts and outcome.state in {State.READY, State.UNKNOWN}
    for _ in range(3):
        if (await runtime.get(outcome.call_id)).state is State.SUCCEEDED:
            break
        world.time.pass_(seconds=60)
        await runtime._journeys.advance(outcome.call_id)
    return len(world.bank.effects)


@pytest.mark.parametrize(("hours", "sent"), [(20, 2), (1, 3)], ids=["dead", "control_alive"])
async def test_a_key_that_dies_while_its_effect_is_looked_up_is_not_used(runtime, world, hours, sent):
    world.bank.plan += [dropped, dropped]
    call_id = (await runtime.submit(asks("traced_refund"), session())).call_id
    world.time.pass_(seconds=2)
    await runtime._journeys.advance(call_id)
    assert len(world.bank.attempts) == 2

    def looks_long(ctx, key=None):
        world.time.pass_(hours=hours)

    world.bank.find = looks_long
    world.time.pass_(seconds=10)
    await runtime._journeys.advance(call_id)
    assert len(world.bank.attempts) == sent


async def test_a_reversal_holds_the_version_too(runtime, world):
    call_id = (await runtime.submit(asks(), session())).call_id
    call = await runtime.parts.store.get(call_id)
    await runtime.reversed(call_id, by="stripe")
    with pytest.raises(Conflict):
        draft = Draft("effect.reversed", {"code": "x", "by": "y"})
        await move(runtime.parts, call, (draft,), releasing(runtime.parts, call), taken_back=undoing.REVERSED)
    assert kinds(await runtime.view(call_id)).count("effect.reversed") == 1
