"""What is known of an effect after each way in which an attempt can end, for each kind of effect, and what follows."""

import asyncio
import dataclasses
import time
from datetime import timedelta

import pytest

from remit import Context, Injected, Refused, Retryable, Unsure, action, keyed
from remit.actions import once, per_call
from remit.audit import State
from tests.runtime.bank import (
    ACTIONS,
    NOTES,
    Bank,
    Receipt,
    answering,
    asks,
    comes_to,
    dropped,
    gated,
    hangs,
    kinds,
    lost,
    raising,
    says,
    session,
)

KEYED, TRACED, LOOKUP, ONCE = "refund", "traced_refund", "transfer", "cheque"
ALL = (KEYED, TRACED, LOOKUP, ONCE)


def hasty(seconds: float = 0.05):
    """The same actions with a deadline that a test can wait for."""
    return [dataclasses.replace(one, deadline=timedelta(seconds=seconds)) for one in ACTIONS]


async def test_control_all_goes_well(runtime, world):
    for number, name in enumerate(ALL, 1):
        assert (await runtime.submit(asks(name, f"pay_{number}"), session())).state is State.SUCCEEDED
    assert len(world.bank.effects) == 4 and (await runtime.verify()).ok


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "how",
    [
        lost,
        dropped,
        raising(Unsure("who knows")),
        raising(ValueError("a bug")),
        raising(TimeoutError()),
        raising(asyncio.CancelledError()),
        raising(asyncio.CancelledError(), applied=True),
    ],
)
async def test_whatever_is_not_known_to_be_harmless_is_unknown(runtime, world, name, how):
    world.bank.plan.append(how)
    outcome = await runtime.submit(asks(name), session())

    assert outcome.state is State.UNKNOWN
    body = outcome.to_json()
    assert body["error"]["retry"] == "never" and "Tell the customer" in body["message"]
    assert kinds(await runtime.view(outcome.call_id))[-2:] == ["call.intended", "call.became_unknown"]


async def test_a_bug_in_a_handler_is_logged_with_its_place_and_without_its_words(runtime, world, caplog):
    world.bank.plan.append(raising(TypeError("Ada Lovelace is no number")))
    outcome = await runtime.submit(asks(ONCE), session())
    (told,) = [one.getMessage() for one in caplog.records if one.name == "remit.execution"]
    assert outcome.call_id in told and "TypeError" in told and "bank.py:" in told and "Ada" not in caplog.text


@pytest.mark.parametrize("name", ALL)
async def test_a_handler_that_hangs_is_unknown_at_its_deadline(world, name):
    async with world.running(hasty()) as runtime:
        world.bank.plan.append(hangs)
        outcome = await runtime.submit(asks(name), session())
        assert outcome.state is State.UNKNOWN
        assert (await runtime.verify()).ok


@pytest.mark.parametrize("name", ALL)
async def test_a_definite_refusal_fails_and_its_reason_reaches_the_model(runtime, world, name):
    world.bank.plan.append(raising(Refused("The card has expired.", definite=True, code="expired_card")))
    outcome = await runtime.submit(asks(name), session())
    assert (outcome.state, outcome.error.code, outcome.error.message) == (State.FAILED, "expired_card", "The card has expired.")
    assert world.bank.effects == []


@pytest.mark.parametrize(("name", "state"), [(KEYED, State.UNKNOWN), (TRACED, State.UNKNOWN), (LOOKUP, State.FAILED), (ONCE, State.FAILED)])
async def test_a_refusal_that_is_not_definite_counts_only_before_the_key_is_used(runtime, world, name, state):
    world.bank.plan.append(raising(Refused("no")))
    assert (await runtime.submit(asks(name), session())).state is state


@pytest.mark.parametrize("name", ALL)
async def test_what_is_retryable_is_tried_again_after_a_pause(runtime, world, name):
    world.bank.plan.append(raising(Retryable("429")))
    outcome = await runtime.submit(asks(name), session())
    assert outcome.state is State.READY and len(world.bank.attempts) == 1
    await asyncio.sleep(0.05)
    assert len(world.bank.attempts) == 1, "not before its time"
    world.time.pass_(seconds=1)
    assert (await runtime.wait(outcome.call_id, 30)).state is State.SUCCEEDED
    assert len(world.bank.effects) == 1 and [attempt for _, attempt in world.bank.attempts] == [1, 2]
    assert (await runtime.verify()).ok


async def test_the_providers_word_on_when_to_come_back_is_kept(runtime, world):
    world.bank.plan.append(raising(Retryable("429", after=120)))
    outcome = await runtime.submit(asks(), session())
    world.time.pass_(seconds=110)
    await asyncio.sleep(0.05)
    assert len(world.bank.attempts) == 1
    world.time.pass_(seconds=11)
    assert (await runtime.wait(outcome.call_id, 30)).state is State.SUCCEEDED


async def test_tries_are_counted_and_end(world):
    async with world.running(attempts=3) as runtime:
        world.bank.plan.extend([raising(Retryable("down"))] * 9)
        outcome = await runtime.submit(asks(), session())
        for attempt in (1, 2):
            async with asyncio.timeout(10):
                while (call := await runtime.parts.store.get(outcome.call_id)).attempt != attempt or call.state is not State.READY:
                    await asyncio.sleep(0.005)
            world.time.pass_(seconds=30)
        final = await runtime.wait(outcome.call_id, 30)
        assert (final.state, final.error.code) == (State.FAILED, "not_applied")
        assert len(world.bank.attempts) == 3
        assert (await runtime.submit(asks(euros="11.00"), session())).state is State.READY, "its key is free again"


async def test_a_further_attempt_begins_within_a_day_or_never(world):
    async with world.running() as runtime:
        world.bank.plan.append(raising(Retryable("down")))
        outcome = await runtime.submit(asks(), session())
        world.bank.facts_fail = ConnectionError("down")
        world.time.pass_(hours=25)
        assert (await runtime.wait(outcome.call_id, 30)).state is State.EXPIRED


# keyed: the same key again


@pytest.mark.parametrize("how", [lost, dropped])
async def test_a_lost_answer_is_asked_for_again_under_the_same_key(runtime, world, how):
    world.bank.plan.append(how)
    outcome = await runtime.submit(asks(), session())
    world.time.pass_(seconds=2)
    done = await runtime.wait(outcome.call_id, 30)

    assert (done.state, done.result["id"]) == (State.SUCCEEDED, "re_1")
    assert world.bank.effects == ["pay_1"]
    assert len({key for key, _ in world.bank.attempts}) == 1 and len(world.bank.attempts) == 2
    assert kinds(await runtime.view(outcome.call_id)).count("call.intended") == 2, "every dispatch is an intent"
    assert (await runtime.verify()).ok


async def test_control_a_provider_that_forgets_keys_would_pay_twice(runtime, world):
    world.bank.plan.append(lost)
    outcome = await runtime.submit(asks(), session())
    world.bank.by_key.clear()
    world.time.pass_(seconds=2)
    await runtime.wait(outcome.call_id, 30)
    assert world.bank.effects == ["pay_1", "pay_1"]


async def test_a_key_is_used_again_only_within_four_fifths_of_its_life(runtime, world):
    world.bank.plan.append(lost)
    world.bank.look_fails = ConnectionError()
    outcome = await runtime.submit(asks(TRACED), session())
    world.bank.by_key.clear()  # the provider forgets after its ttl
    world.time.pass_(hours=19.3)
    async with asyncio.timeout(10):
        while not world.bank.looks:
            await asyncio.sleep(0.005)
    assert len(world.bank.attempts) == 1 and (await runtime.get(outcome.call_id)).state is State.UNKNOWN
    assert world.bank.effects == ["pay_1"]


async def test_after_the_keys_life_the_effect_is_looked_up(runtime, world):
    world.bank.plan.append(lost)
    outcome = await runtime.submit(asks(TRACED), session())
    world.time.pass_(hours=20)
    done = await runtime.wait(outcome.call_id, 30)
    assert (done.state, done.result["id"]) == (State.SUCCEEDED, "re_1")
    assert len(world.bank.attempts) == 1 and world.bank.looks == 1


async def test_without_a_look_up_it_stays_unknown_after_the_keys_life(runtime, world):
    world.bank.plan.append(lost)
    outcome = await runtime.submit(asks(), session())
    world.time.pass_(hours=20)
    await asyncio.sleep(0.1)
    assert (await runtime.get(outcome.call_id)).state is State.UNKNOWN and len(world.bank.attempts) == 1


@pytest.mark.parametrize(("definite", "state"), [(True, State.FAILED), (False, State.UNKNOWN)])
async def test_after_an_unknown_attempt_only_a_definite_refusal_under_the_key_proves_anything(runtime, world, definite, state):
    world.bank.plan.extend([dropped, raising(Refused("no", definite=definite)), hangs])
    outcome = await runtime.submit(asks(), session())
    world.time.pass_(seconds=1)
    async with asyncio.timeout(10):
        while len(world.bank.attempts) < 2:
            await asyncio.sleep(0.005)
    assert (await comes_to(runtime, outcome.call_id, State.FAILED, State.UNKNOWN)).state is state


async def test_after_an_unknown_attempt_a_refusal_before_the_key_is_used_proves_nothing(world):
    """The second attempt did nothing, and yet the first may have."""
    attempts = []

    @action(effect=keyed("24h"), key="x:{text}", owns=None, owns_reason="x", name="jot")
    async def careful(ctx: Context, text: str, bank: Injected[Bank]) -> Receipt:
        """Look before sending."""
        attempts.append(ctx.attempt)
        if ctx.attempt == 2:
            raise Refused("the account is closed")
        return await bank.pay(ctx, text, ctx.idempotency_key)

    (world.folder / "policies" / "payments.yaml").unlink()
    world.policies(notes=NOTES.replace("jot, look_up", "jot"))
    async with world.running([careful]) as runtime:
        world.bank.plan.append(lost)
        outcome = await runtime.submit(says("x"), session())
        world.time.pass_(seconds=1)
        async with asyncio.timeout(10):
            while kinds(await runtime.view(outcome.call_id)).count("call.became_unknown") < 2:
                await asyncio.sleep(0.005)
        world.time.pass_(seconds=3)
        assert (await runtime.wait(outcome.call_id, 30)).state is State.SUCCEEDED
        assert world.bank.effects == ["x"] and attempts == [1, 2, 3]


async def test_after_an_unknown_attempt_a_retryable_one_is_unknown_too(runtime, world):
    world.bank.plan.extend([lost, raising(Retryable("429"))])
    outcome = await runtime.submit(asks(), session())
    world.time.pass_(seconds=1)
    async with asyncio.timeout(10):
        while kinds(await runtime.view(outcome.call_id)).count("call.became_unknown") < 2:
            await asyncio.sleep(0.005)
    world.time.pass_(seconds=2)
    assert (await runtime.wait(outcome.call_id, 30)).state is State.SUCCEEDED
    assert world.bank.effects == ["pay_1"]


# lookup: not before the settle time


async def test_an_effect_is_looked_up_and_not_sent_again(runtime, world):
    world.bank.plan.append(lost)
    outcome = await runtime.submit(asks(LOOKUP), session())
    world.time.pass_(seconds=29)
    await asyncio.sleep(0.05)
    assert world.bank.looks == 0 and (await runtime.get(outcome.call_id)).state is State.UNKNOWN
    world.time.pass_(seconds=2)
    done = await runtime.wait(outcome.call_id, 30)
    assert (done.state, done.result["id"], world.bank.looks) == (State.SUCCEEDED, "re_1", 1)
    assert world.bank.effects == ["pay_1"] and len(world.bank.attempts) == 1
    assert (await runtime.verify()).ok


async def test_the_settle_time_survives_a_restart(world):
    async with world.running() as runtime:
        world.bank.plan.append(lost)
        outcome = await runtime.submit(asks(LOOKUP), session())
        world.time.pass_(seconds=20)
    async with world.running() as runtime:
        await asyncio.sleep(0.05)
        assert world.bank.looks == 0
        world.time.pass_(seconds=11)
        assert (await runtime.wait(outcome.call_id, 30)).state is State.SUCCEEDED


async def test_what_is_not_found_after_the_settle_time_is_sent_again(runtime, world):
    world.bank.plan.append(dropped)
    outcome = await runtime.submit(asks(LOOKUP), session())
    world.time.pass_(seconds=31)
    assert (await runtime.wait(outcome.call_id, 30)).state is State.SUCCEEDED
    assert world.bank.looks == 1 and len(world.bank.attempts) == 2 and world.bank.effects == ["pay_1"]
    assert (await runtime.verify()).ok


@pytest.mark.parametrize("how", [ConnectionError("down"), Refused("no access"), Unsure("?")])
async def test_a_look_up_that_fails_proves_nothing(runtime, world, how):
    world.bank.plan.append(lost)
    world.bank.look_fails = how
    outcome = await runtime.submit(asks(LOOKUP), session())
    world.time.pass_(seconds=31)
    async with asyncio.timeout(10):
        while "call.reconciled" not in kinds(await runtime.view(outcome.call_id)):
            await asyncio.sleep(0.005)
    assert (await runtime.get(outcome.call_id)).state is State.UNKNOWN
    world.bank.look_fails = None
    world.time.pass_(minutes=20)
    assert (await runtime.wait(outcome.call_id, 30)).state is State.SUCCEEDED
    assert world.bank.effects == ["pay_1"]


async def test_a_look_up_that_says_it_came_to_nothing_settles_it(runtime, world):
    world.bank.plan.append(lost)
    world.bank.look_fails = Refused("reversed by the bank", definite=True)
    outcome = await runtime.submit(asks(LOOKUP), session())
    world.time.pass_(seconds=31)
    assert (await runtime.wait(outcome.call_id, 30)).state is State.FAILED


async def test_a_look_up_that_hangs_is_given_up_and_tried_again(world):
    async def stuck(**_: object) -> None:
        await asyncio.sleep(3600)

    async with world.running(hasty()) as runtime:
        world.bank.plan.append(lost)
        outcome = await runtime.submit(asks(LOOKUP), session())
        action_ = runtime.catalog[LOOKUP]
        finder = action_._finder
        object.__setattr__(action_, "_finder", dataclasses.replace(finder, fn=stuck))
        world.time.pass_(seconds=31)
        async with asyncio.timeout(10):
            while "call.reconciled" not in kinds(await runtime.view(outcome.call_id)):
                await asyncio.sleep(0.005)
        object.__setattr__(action_, "_finder", finder)
        world.time.pass_(minutes=20)
        assert (await runtime.wait(outcome.call_id, 30)).state is State.SUCCEEDED


# once: nobody can find out


@pytest.mark.parametrize("how", [lost, dropped])
async def test_once_stays_unknown_whatever_passes(world, how):
    async with world.running() as runtime:
        world.bank.plan.append(how)
        outcome = await runtime.submit(asks(ONCE), session())
        world.time.pass_(days=400)
        await asyncio.sleep(0.05)
    async with world.running() as runtime:
        await asyncio.sleep(0.05)
        assert (await runtime.get(outcome.call_id)).state is State.UNKNOWN
        assert len(world.bank.attempts) == 1 and (await runtime.verify()).ok


# the lease


@pytest.mark.parametrize(("name", "state"), [(KEYED, State.SUCCEEDED), (LOOKUP, State.SUCCEEDED), (ONCE, State.UNKNOWN)])
async def test_who_comes_back_after_its_lease_is_fenced_and_nothing_happens_twice(world, name, state):
    """One process sleeps through its lease, another settles the call, and then the first wakes up."""
    gate, entered = asyncio.Event(), asyncio.Event()
    async with world.running() as sleeper:
        for task in sleeper._background:
            task.cancel()  # it sleeps
        world.bank.plan.append(gated(gate, entered))
        zombie = asyncio.create_task(sleeper.submit(asks(name), session()))
        await entered.wait()
        call_id = (await sleeper.calls())[0].id
        async with world.running(people=False) as other:
            world.time.pass_(seconds=14)
            await asyncio.sleep(0.05)
            assert (await other.get(call_id)).state is State.EXECUTING, "not before the lease has ended"
            world.time.pass_(seconds=2)
            if name == KEYED:
                await comes_to(other, call_id, State.UNKNOWN)
                world.time.pass_(seconds=2)
                await comes_to(other, call_id, State.SUCCEEDED)
            else:
                await comes_to(other, call_id, State.UNKNOWN)
            gate.set()
            assert (await zombie).state in {state, State.UNKNOWN}
            world.time.pass_(seconds=60)
            final = await comes_to(other, call_id, state)
            assert final.state is state and len(world.bank.effects) == 1
            assert (await other.verify()).ok


async def test_a_call_whose_process_died_is_unknown_at_the_end_of_its_lease(world):
    gate, entered = asyncio.Event(), asyncio.Event()
    dead = await world.runtime().start()
    world.bank.plan.append(gated(gate, entered))
    caller = asyncio.create_task(dead.submit(asks(ONCE), session()))
    await entered.wait()
    call_id = (await dead.calls())[0].id
    for task in (caller, *dead._background, *dead._journeys._tasks.values()):
        task.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await dead.parts.store.close()
    async with world.running() as runtime:
        world.time.pass_(seconds=16)
        outcome = await comes_to(runtime, call_id, State.UNKNOWN)
        assert "not known" in outcome.message() and world.bank.effects == []


# handlers as they are


async def test_a_handler_that_will_not_be_cancelled_is_left_behind_and_its_late_answer_is_taken(world, monkeypatch):
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
        world.bank.plan.append(stubborn)
        outcome = await runtime.submit(asks(ONCE), session())
        assert outcome.state is State.UNKNOWN
        gate.set()
        done = await runtime.wait(outcome.call_id, 30)
        assert (done.state, done.result["id"], done.reference) == (State.SUCCEEDED, "re_1", "re_1")
        assert (await runtime.verify()).ok


async def test_a_thread_past_its_deadline_keeps_its_look_up_away(world, monkeypatch):
    """Nobody can stop a thread: until it has ended, not finding its effect proves nothing."""
    import threading

    from remit import Context, Money, lookup
    from tests.runtime.bank import OWN, Receipt, find

    monkeypatch.setattr("remit.runtime.lingering.POLL", 0.01)
    release = threading.Event()

    @action(effect=lookup(find, settle="30s"), key="transfer:{payment_id}", deadline=timedelta(seconds=0.05), **OWN)
    def transfer(ctx: Context, payment_id: str, amount: Money, bank: Injected[Bank]) -> Receipt:
        """Move money with a library that blocks."""
        world.bank.attempts.append((ctx.call_id, ctx.attempt))
        release.wait(20)
        return bank.apply(ctx, payment_id, None)

    try:
        async with world.running([transfer, *(one for one in ACTIONS if one.name != "transfer")]) as runtime:
            outcome = await runtime.submit(asks("transfer"), session())
            assert outcome.state is State.UNKNOWN
            for _ in range(6):  # three times the settle time
                world.time.pass_(seconds=14)
                async with asyncio.timeout(10):
                    while (await runtime.parts.store.get(outcome.call_id)).settle_at < runtime.parts.clock.now() + 15_000_000:
                        await asyncio.sleep(0.005)
            assert world.bank.looks == 0 and len(world.bank.attempts) == 1
            release.set()
            assert (await runtime.wait(outcome.call_id, 30)).state is State.SUCCEEDED
            assert world.bank.effects == ["pay_1"] and len(world.bank.attempts) == 1
            assert (await runtime.verify()).ok
    finally:
        release.set()


async def test_a_synchronous_handler_runs_beside_the_loop(world):
    @action(effect=once, key=per_call, owns=None, owns_reason="x")
    def slow(text: str) -> str:
        """Take a while."""
        time.sleep(0.1)
        return text.upper()

    (world.folder / "policies" / "payments.yaml").write_text("policy: p\nactions: [slow]\nrules:\n  - {id: a, then: allow}\n")
    (world.folder / "policies" / "notes.yaml").unlink()
    async with world.running([slow]) as runtime:
        began = time.perf_counter()
        both = await asyncio.gather(*(runtime.submit({"name": "slow", "arguments": {"text": text}}, session()) for text in ("a", "b")))
        assert [one.result for one in both] == ["A", "B"]
        assert time.perf_counter() - began < 10


async def test_a_handler_that_blocks_the_loop_still_settles(world):
    def blocking(bank, ctx, about, key):
        time.sleep(0.1)

        async def answer():
            return bank.apply(ctx, about, key)

        return answer()

    async with world.running(hasty()) as runtime:
        world.bank.plan.append(blocking)
        outcome = await runtime.submit(asks(ONCE), session())
        assert outcome.state in {State.SUCCEEDED, State.UNKNOWN}
        assert (await runtime.verify()).ok


# results


class Evil(dict):
    def __iter__(self):
        raise RuntimeError("no")

    items = keys = __len__ = __getitem__ = __iter__


@pytest.mark.parametrize(
    "value",
    [
        None,
        42,
        {"id": 1, "note": "x"},
        {"id": "1"},
        object(),
        lambda: Evil(),
        float("nan"),
        {"id": "1", "note": "x" * 1_000_000},
        {"id": "1", "note": "\ud800"},
        [[]] * 10_000,
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_result_that_cannot_be_used_is_succeeded_and_said_to_be_invalid(runtime, world, value):
    world.bank.plan.append(answering(value))
    outcome = await runtime.submit(asks(), session())

    assert (outcome.state, outcome.error.code, outcome.result) == (State.SUCCEEDED, "result_invalid", None)
    assert (outcome.reference, outcome.error.retry) == ("re_1", "never")
    assert world.bank.effects == ["pay_1"]
    again = await runtime.submit(asks(), session())
    assert again.repeated and again.error.code == "result_invalid"
    assert (await runtime.verify()).ok


@pytest.mark.parametrize("size", [1_000, 40_000, 65_000])
async def test_a_public_value_may_be_as_large_as_a_result(runtime, world, size):
    world.bank.plan.append(answering({"id": "1", "note": "x", "place": "p" * size}))
    outcome = await runtime.submit(asks(), session())
    assert (outcome.state, outcome.error) == (State.SUCCEEDED, None)
    assert outcome.result["place"] == "p" * size
    assert (await runtime.verify()).ok


@pytest.mark.parametrize("size", [1_000, 40_000, 200_000])
async def test_a_public_argument_may_be_as_large_as_arguments(runtime, world, size):
    outcome = await runtime.submit(says("x", place="p" * size), session())
    assert outcome.state is State.SUCCEEDED
    assert (await runtime.verify()).ok


# reads


async def test_a_read_is_answered_at_once_and_recorded_in_one_piece(runtime, world):
    outcome = await runtime.submit({"name": "look_up", "arguments": {"payment_id": "pay_1"}}, session())
    assert outcome.state is State.SUCCEEDED
    assert kinds(await runtime.view(outcome.call_id)) == ["call.received", "call.decided", "call.succeeded"]


@pytest.mark.parametrize(
    "how", [dropped, raising(ValueError("x")), raising(Retryable("429")), raising(Unsure("?")), raising(asyncio.CancelledError())]
)
async def test_a_read_that_fails_may_be_tried_again(runtime, world, how):
    world.bank.plan.append(how)
    failed = await runtime.submit({"name": "look_up", "arguments": {"payment_id": "pay_1"}}, session())
    assert (failed.state, failed.error.code, failed.error.retry) == (State.FAILED, "read_failed", "later")
    assert (await runtime.submit({"name": "look_up", "arguments": {"payment_id": "pay_1"}}, session())).state is State.SUCCEEDED


async def test_a_read_that_is_refused_says_why(runtime, world):
    world.bank.plan.append(raising(Refused("This payment is archived.")))
    refused = await runtime.submit({"name": "look_up", "arguments": {"payment_id": "pay_1"}}, session())
    assert (refused.state, refused.error.message, refused.error.retry) == (State.FAILED, "This payment is archived.", "never")


# facts


@pytest.mark.parametrize("how", [ConnectionError("down"), ValueError("x"), asyncio.CancelledError()])
async def test_facts_that_cannot_be_loaded_deny_with_later(runtime, world, how):
    world.bank.facts_fail = how
    outcome = await runtime.submit(asks(), session())
    assert (outcome.state, outcome.error.code, outcome.error.retry) == (State.DENIED, "facts_unavailable", "later")
    world.bank.facts_fail = None
    assert (await runtime.submit(asks(), session())).state is State.SUCCEEDED


async def test_facts_that_never_come_are_given_up(world):
    async with world.running(hasty()) as runtime:
        gate = asyncio.Event()
        action_ = runtime.catalog[KEYED]
        wiring, output = action_._loaders["payment"]

        async def stuck(**_: object) -> None:
            await gate.wait()

        object.__setattr__(action_, "_loaders", {"payment": (dataclasses.replace(wiring, fn=stuck), output)})
        outcome = await runtime.submit(asks(), session())
        assert outcome.error.code == "facts_unavailable"


@pytest.mark.parametrize("payment", ["pay_none", "pay_2"])
async def test_a_foreign_object_and_a_missing_one_get_the_same_answer(runtime, world, payment):
    world.bank.payments["pay_2"].customer = "zoe"
    world.bank.payments["pay_2"].memo = "ZOES-SECRET-MEMO"
    outcome = await runtime.submit(asks(payment=payment), session())
    assert (outcome.state, outcome.error.code) == (State.DENIED, "not_found")
    assert outcome.error.message == "There is no such thing for this customer. Do not repeat it."
    assert "ZOES-SECRET-MEMO" not in str((await runtime.view(outcome.call_id)).events)
    assert world.bank.attempts == []
