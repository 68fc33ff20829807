"""Before a bundle is in force: what it would have decided of the recorded calls. Only what was recorded is used, and nothing is guessed."""

from datetime import timedelta

import pytest

from remit import action, once, per_call
from remit.runtime import flips
from tests.runtime.bank import ACTIONS, ALLOW, LARGE, NOTES, asks, load_payment, says, session

MONTH = timedelta(days=30)
BEFORE = {"payments.yaml": ALLOW, "notes.yaml": NOTES}


def changed(old, new):
    assert old in ALLOW
    return {**BEFORE, "payments.yaml": ALLOW.replace(old, new)}


@pytest.fixture
async def history(runtime, world):
    for number in range(1, 11):
        world.time.pass_(minutes=5)
        await runtime.submit(asks("transfer", f"pay_{number}", f"{number * 10}.00"), session())
        await runtime.submit(says(str(number)), session())
    return runtime


async def test_what_is_in_force_flips_nothing(history):
    found = await history.replay("active", since=MONTH)
    assert (found.decided, found.flips, found.sealed, dict(found.undecided)) == (20, [], 0, {})
    assert found.approvals == (5, 5)


async def test_control_a_changed_rule_flips_and_says_which_way_in_money_and_approvals(history):
    tighter = await history.replay(changed("minor <= 100000", "minor <= 2000"), since=MONTH)
    assert tighter.ways == {"allowed -> denied": 8} and tighter.rules["payments/small"] == 8
    assert tighter.money == {"allowed -> denied": {"EUR": 52_000}} and tighter.approvals == (5, 0)
    more = await history.replay(changed("minor > 5000", "minor > 3000"), since=MONTH)
    assert more.ways == {"asks more": 2} and more.approvals == (5, 7) and more.approvals_a_day == (5 / 30, 7 / 30)
    less = await history.replay(changed("minor > 5000", "minor > 9000"), since=MONTH)
    assert less.ways == {"asks less": 4} and less.money == {"asks less": {"EUR": 30_000}}


async def test_a_looser_bundle_allows_what_was_denied(runtime):
    await runtime.submit(asks("transfer", euros="2000.00"), session())
    assert (await runtime.replay(changed("minor <= 100000", "minor <= 900000"), since=MONTH)).ways == {"denied -> allowed": 1}


async def test_it_is_the_same_twice_and_in_however_many_processes(history, monkeypatch):
    candidate = changed("minor > 5000", "minor > 3000")

    async def told():
        return (await history.replay(candidate, since=MONTH)).to_json() | {"since": "now"}

    here = await told()
    assert await told() == here and here["flipped"] == 2
    monkeypatch.setattr(flips, "FEW", 8)
    monkeypatch.setattr(flips, "CHUNK", 2)
    assert await told() == here


async def test_only_what_was_decided_since_then_counts_and_progress_is_told(history, world):
    world.time.pass_(days=40)
    await history.submit(asks("transfer", "pay_20"), session())
    told = []
    assert (await history.replay("active", since=MONTH, progress=lambda *done: told.append(done))).decided == 1
    assert told == [(1, 1)]


async def test_a_call_that_was_decided_again_counts_once_by_its_last_decision(runtime, world):
    call_id = (await runtime.submit(asks("transfer", euros=LARGE), session())).call_id
    await runtime.vote(call_id, person="fay", answer="approve")
    assert (await runtime.replay("active", since=MONTH)).decided == 1


@action(effect=once, key=per_call, deadline="5s", facts={"payment": load_payment}, owns=None, owns_reason="anybody may")
async def peek(payment_id: str) -> str:
    """Look at a payment; its rules need not."""
    return payment_id


PEEK = """
policy: peek
actions: [peek]
rules:
  - {id: anybody, then: allow}
"""


async def test_a_fact_that_was_not_loaded_then_is_counted_and_not_guessed(world):
    world.policies(peek=PEEK)
    async with world.running([*ACTIONS, peek]) as runtime:
        await runtime.submit({"name": "peek", "arguments": {"payment_id": "pay_1"}}, session())
        await runtime.submit(says("x"), session())
        candidate = {**BEFORE, "peek.yaml": PEEK.replace("anybody", "anybody, when: facts.payment.disputed")}
        found = await runtime.replay(candidate, since=MONTH)
        assert (found.decided, dict(found.undecided)) == (1, {"the fact payment of peek was not loaded then": 1})
        candidate = {**BEFORE, "peek.yaml": PEEK.replace("rules:", "requires: [jot]\nrules:")}
        assert list((await runtime.replay(candidate, since=MONTH)).undecided.values()) == [1]


async def test_what_was_erased_is_counted(history, world):
    assert await world.change("DELETE FROM opening WHERE event IN (SELECT id FROM event WHERE kind = 'call.decided' LIMIT 3)") == 3
    found = await history.replay("active", since=MONTH)
    assert (found.decided, found.sealed, found.flips) == (17, 3, [])


LIMIT = """limits:
  - id: hour
    measure: arguments.amount
    currency: EUR
    window: 1h
    at_most: 6000
    beyond: deny
"""


async def test_a_new_limit_is_measured_by_what_was_done_then(history):
    """10, 20, 30 were done; 40 is the first that does not fit, and 60 to 100 waited, so that they took nothing."""
    limited = {**BEFORE, "payments.yaml": ALLOW + LIMIT}
    found = await history.replay(limited, since=MONTH)
    assert found.rules == {"payments/hour": 7} and {one.money[0][1] for one in found.flips} == {4000, 5000, 6000, 7000, 8000, 9000, 10000}
    short = {**BEFORE, "payments.yaml": ALLOW + LIMIT.replace("1h", "1m")}
    assert {one.money[0][1] for one in (await history.replay(short, since=MONTH)).flips} == {7000, 8000, 9000, 10000}


async def test_of_a_limit_that_was_in_force_the_recorded_usage_counts(world):
    world.policies(payments=ALLOW + LIMIT, notes=NOTES)
    async with world.running() as runtime:
        for number in range(1, 5):
            await runtime.submit(asks("transfer", f"pay_{number}", f"{number * 10}.00"), session())
        same = {"payments.yaml": ALLOW + LIMIT, "notes.yaml": NOTES}
        assert (await runtime.replay(same, since=MONTH)).flips == []
        wider = {**same, "payments.yaml": ALLOW + LIMIT.replace("6000", "10000")}
        assert (await runtime.replay(wider, since=MONTH)).ways == {"denied -> allowed": 1}
