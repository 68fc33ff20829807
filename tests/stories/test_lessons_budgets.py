"""What users of other systems complained about, of budgets: each complaint as a story that ends otherwise here."""

import asyncio
from collections import Counter

import pytest

from remit.audit import State
from remit.errors import PolicyError, Refused
from tests.runtime.bank import NOTES, World, asks, comes_to, gated, lost, raising, session
from tests.runtime.limited import CAP, held, limited

BUDGET = "payments/budget:EUR"


@pytest.fixture
def world(tmp_path):
    return World.make(tmp_path, payments=limited(CAP), notes=NOTES)


async def at_once(runtime, euros: list[str]) -> Counter[State]:
    asked = (runtime.submit(asks("refund", f"pay_{number}", each), session()) for number, each in enumerate(euros, 1))
    return Counter(outcome.state for outcome in await asyncio.gather(*asked))


async def test_parallel_calls_do_not_pass_a_budget_together(world):
    async with world.running() as runtime:
        assert await at_once(runtime, ["60.00"] * 50) == {State.SUCCEEDED: 1, State.DENIED: 49}
        assert await held(runtime) == {BUDGET: 6_000} and len(world.bank.effects) == 1


async def test_parallel_calls_are_not_denied_together_because_each_saw_the_others(world):
    async with world.running() as runtime:
        assert await at_once(runtime, ["60.00", "60.00"]) == {State.SUCCEEDED: 1, State.DENIED: 1}
        assert await at_once(runtime, ["90.00"] * 3) == {State.DENIED: 3}
        left = await asyncio.gather(*(runtime.submit(asks("cheque", f"pay_{number}", "10.00"), session()) for number in range(11, 31)))
        assert Counter(outcome.state for outcome in left) == {State.SUCCEEDED: 4, State.DENIED: 16}, "what is left goes to whoever fits"


MISTAKES = {
    "an unknown key": "{id: budget, measure: arguments.amount, currency: EUR, window: 1h, at_mots: 10000}",
    "no bound": "{id: budget, measure: arguments.amount, currency: EUR, window: 1h}",
    "a window of zero": "{id: budget, measure: arguments.amount, currency: EUR, window: 0h, at_most: 1}",
    "no window": "{id: budget, measure: arguments.amount, currency: EUR, at_most: 1}",
    "an amount that is not there": "{id: budget, measure: arguments.total, currency: EUR, window: 1h, at_most: 1}",
    "money without a currency": "{id: budget, measure: arguments.amount, window: 1h, at_most: 1}",
    "a text as an amount": "{id: budget, measure: arguments.payment_id, window: 1h, at_most: 1}",
    "a key that is no expression": "{id: budget, per: subject.idd, window: 1h, at_most: 1}",
    "nothing that says what happens beyond": "{id: budget, window: 1h, at_most: 1, beyond: ignore}",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_misconfigured_limit_is_an_error_at_load_and_never_satisfied(tmp_path, mistake):
    world = World.make(tmp_path, payments=limited(MISTAKES[mistake]), notes=NOTES)
    with pytest.raises(PolicyError, match=r"payments\.yaml:\d+"):
        world.runtime()


def test_control_the_limit_without_a_mistake_loads(world):
    world.runtime()


async def test_a_limit_that_can_not_be_measured_for_a_call_denies_it(tmp_path):
    world = World.make(tmp_path, payments=limited("{id: weights, measure: facts.payment.weight, window: 1h, at_most: 9}"), notes=NOTES)
    with pytest.raises(PolicyError):  # a typo is found at load; what only a call can show, denies that call
        world.runtime()
    world.policies(payments=limited("{id: seconds, measure: 10 / (size(facts.payment.memo) - 3), window: 1h, at_most: 99}"))
    async with world.running() as runtime:
        world.bank.payments["pay_1"].memo, world.bank.payments["pay_2"].memo = "abc", "abcde"
        denied, done = [await runtime.submit(asks("refund", f"pay_{number}", "1.00"), session()) for number in (1, 2)]
        assert denied.state is State.DENIED and done.ok and await held(runtime) == {"payments/seconds:units": 5}


async def test_a_lost_answer_holds_the_budget_until_it_is_known(world):
    async with world.running() as runtime:
        world.bank.plan.append(lost)
        begun = await runtime.submit(asks("transfer", "pay_1", "90.00"), session())
        assert begun.state is State.UNKNOWN, "the money has gone, but nobody here knows"
        assert (await runtime.submit(asks("refund", "pay_2", "20.00"), session())).state is State.DENIED
        world.time.pass_(seconds=31)
        assert (await comes_to(runtime, begun.call_id, State.SUCCEEDED)).ok
        assert await held(runtime) == {BUDGET: 9_000}, "looked up and found: counted once"


async def test_what_certainly_did_not_happen_gives_the_budget_back(world):
    async with world.running() as runtime:
        world.bank.plan.append(raising(Refused("closed", definite=True)))
        assert (await runtime.submit(asks("transfer", "pay_1", "90.00"), session())).state is State.FAILED
        assert (await runtime.submit(asks("refund", "pay_2", "20.00"), session())).ok


async def test_the_budget_is_taken_before_the_money_moves(world):
    async with world.running() as runtime:
        gate, entered = asyncio.Event(), asyncio.Event()
        world.bank.plan.append(gated(gate, entered))
        slow = asyncio.create_task(runtime.submit(asks("transfer", "pay_1", "90.00"), session()))
        await entered.wait()
        assert await held(runtime) == {BUDGET: 9_000}
        assert (await runtime.submit(asks("refund", "pay_2", "20.00"), session())).state is State.DENIED
        gate.set()
        assert (await slow).ok
