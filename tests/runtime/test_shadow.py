"""A second bundle is decided beside the one in force and recorded. Whatever it says, or however it fails, nothing else happens."""

import pytest

from remit import action, once, per_call
from remit.audit import State
from remit.policies import Inputs, decide
from remit.runtime import shadow
from remit.runtime.bundles import UnknownBundle
from tests.runtime.bank import ACTIONS, ALLOW, LARGE, NOTES, asks, kinds, load_payment, says, session
from tests.runtime.test_replay import LIMIT, PEEK

BEFORE = {"payments.yaml": ALLOW, "notes.yaml": NOTES}
TIGHT = {**BEFORE, "payments.yaml": ALLOW.replace("minor <= 100000", "minor <= 2000")}


async def shadows(runtime, sources) -> str:
    return await runtime.bundles.shadow(await runtime.bundles.propose(sources, author="fay"), by="sam")


async def beside(runtime, outcome):
    return [event for event in (await runtime.view(outcome.call_id)).events if event["kind"] == "policy.shadowed"]


async def test_it_is_recorded_and_changes_nothing(runtime, world):
    digest = await shadows(runtime, TIGHT)
    for payment, euros in (("pay_1", "10.00"), ("pay_2", "30.00")):
        assert (await runtime.submit(asks("transfer", payment, euros), session())).ok
    held = await runtime.submit(asks("transfer", "pay_3", LARGE), session())
    assert held.state is State.WAITING and world.bank.effects == ["pay_1", "pay_2"]
    assert (await runtime.vote(held.call_id, person="fay", answer="approve")).ok
    [first, again] = await beside(runtime, held)
    assert first["body"]["policy"] == digest and first["body"]["differs"] and not first["body"]["decision"]["allowed"]
    assert again["change"] is None
    found = await runtime.shadowed()
    assert (found.decided, found.ways, found.rules) == (4, {"allowed -> denied": 3}, {"payments/small": 3})
    assert (await runtime.verify()).ok


async def test_without_one_nothing_is_recorded_and_it_ends(runtime):
    await shadows(runtime, TIGHT)
    assert await runtime.bundles.shadow(None, by="sam") is None
    done = await runtime.submit(asks(), session())
    assert "policy.shadowed" not in kinds(await runtime.view(done.call_id))
    with pytest.raises(UnknownBundle):
        await runtime.shadowed()
    told = [row[0] for row in await runtime.parts.store.rows("SELECT kind FROM event WHERE kind = 'policy.shadowed'")]
    assert len(told) == 2, "it began, and ended"


async def test_its_own_limits_are_measured_by_what_is_recorded_under_their_names(runtime):
    await shadows(runtime, {**BEFORE, "payments.yaml": ALLOW + LIMIT})
    done = await runtime.submit(asks(), session())
    [event] = await beside(runtime, done)
    assert event["body"]["usage"] == {"payments/hour": {"used": 0}} and not event["body"]["differs"]


@action(effect=once, key=per_call, deadline="5s", facts={"payment": load_payment}, owns=None, owns_reason="anybody may")
async def peek(payment_id: str) -> str:
    """Look at a payment; its rules need not."""
    return payment_id


async def peeking(world, *, breaks):
    world.policies(peek=PEEK)
    async with world.running([*ACTIONS, peek]) as runtime:
        await shadows(runtime, {**BEFORE, "peek.yaml": PEEK.replace("anybody", "anybody, when: facts.payment.memo == 'x'")})
        world.bank.facts_fail = ConnectionError("down") if breaks else None
        done = await runtime.submit({"name": "peek", "arguments": {"payment_id": "pay_1"}}, session())
        assert done.ok and (await runtime.verify()).ok
        return await runtime.bundles.get("shadow"), (await runtime.view(done.call_id)).events


async def test_a_fact_that_only_it_looks_at_is_recorded_so_that_it_can_be_decided_again(world):
    policies, events = await peeking(world, breaks=False)
    shadowed, decided = (next(one for one in events if one["kind"] == kind) for kind in ("policy.shadowed", "call.decided"))
    facts = {"payment": shadowed["personal"]["/facts/payment"]}
    inputs = decided["body"]["inputs"] | {"arguments": {"payment_id": "pay_1"}, "facts": facts}
    inputs["subject"] = inputs["subject"] | {"id": "kay"}
    assert decide(policies, Inputs.from_json(inputs)).to_json() == shadowed["body"]["decision"]
    assert shadowed["body"]["differs"], "the memo is empty"


async def test_a_fact_that_only_it_looks_at_and_that_fails_is_missing(world):
    _, events = await peeking(world, breaks=True)
    shadowed = next(one for one in events if one["kind"] == "policy.shadowed")
    assert shadowed["personal"] == {} and shadowed["body"]["decision"]["errors"]


async def test_a_shadow_that_raises_harms_nothing_and_its_words_reach_no_log(runtime, world, monkeypatch, caplog):
    await shadows(runtime, TIGHT)

    def broken(*_):
        raise RuntimeError("Ada Lovelace")

    monkeypatch.setattr(shadow, "decide", broken)
    done = await runtime.submit(says("x"), session())
    assert done.ok and await beside(runtime, done) == []
    assert "RuntimeError" in caplog.text and "Ada" not in caplog.text


async def test_control_were_it_decided_without_the_fence_it_would(runtime, monkeypatch):
    await shadows(runtime, TIGHT)

    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(shadow, "decide", broken)
    monkeypatch.setattr("remit.runtime.phases.beside", lambda parts, work, *rest: shadow._noted(parts, work, parts.control.shadow, *rest))
    with pytest.raises(RuntimeError):
        await runtime.submit(says("x"), session())
