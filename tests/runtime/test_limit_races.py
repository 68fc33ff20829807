"""Limits under concurrency: what fits passes, nothing more, whoever asks at once, in one process or in two."""

import asyncio
import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter

import pytest

from remit.audit import State
from remit.errors import DatabaseUnavailable, Refused
from remit.runtime import phases, series
from remit.runtime.clock import Clock
from tests.runtime.bank import NOTES, Payment, World, asks, comes_to, good, raising, session
from tests.runtime.limited import CAP, held, limited, told
from tests.runtime.other_process import shared
from tests.runtime.test_processes import Other
from tests.torture.steered import Steered

BUDGET = "payments/budget:EUR"
CALLS, FEWER, CALLERS = 1_000, 300, 64


@pytest.fixture
def world(tmp_path):
    world = World.make(tmp_path, payments=limited(CAP), notes=NOTES)
    world.bank.payments = {f"pay_{number}": Payment(customer="kay") for number in range(CALLS)}
    return world


async def spend(runtime, amounts):
    """Ask for every amount, with as many callers at once; gives the outcomes in the order of the amounts."""
    outcomes, left = {}, iter(enumerate(amounts))

    async def caller():
        for number, euros in left:
            outcomes[number] = await runtime.submit(asks("refund", f"pay_{number}", euros), session())

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return [outcomes[number] for number in range(len(amounts))]


def paid(world, amounts) -> int:
    """Add up in cents what the provider's own ledger says was paid."""
    return sum(round(100 * float(amounts[int(name.removeprefix("pay_"))])) for name in world.bank.effects)


async def test_of_a_thousand_calls_at_once_exactly_what_fits_passes(runtime, world):
    amounts = ["1.00"] * CALLS
    states = Counter(outcome.state for outcome in await spend(runtime, amounts))
    assert states == {State.SUCCEEDED: 100, State.DENIED: CALLS - 100}
    assert paid(world, amounts) == 10_000 and await held(runtime) == {BUDGET: 10_000}
    assert sorted(one["before"] for one in await told(runtime, "limit.reserved")) == [100 * number for number in range(100)]
    report = await runtime.verify()
    assert report.ok, report.findings


async def test_unequal_amounts_never_pass_the_cap_and_whoever_fits_in_the_end_passes(runtime, world):
    amounts = [f"{random.Random(7 * number).randint(1, 900) / 100:.2f}" for number in range(FEWER)]
    outcomes = await spend(runtime, amounts)
    assert {outcome.state for outcome in outcomes} == {State.SUCCEEDED, State.DENIED}
    assert paid(world, amounts) == (await held(runtime))[BUDGET] <= 10_000
    assert 10_000 - (await held(runtime))[BUDGET] < min(
        round(100 * float(one)) for one, out in zip(amounts, outcomes, strict=True) if not out.ok
    )
    assert (await runtime.verify()).ok


async def test_control_check_then_record_passes_the_cap_and_the_verifier_sees_it(runtime, world, monkeypatch):
    async def never(*_):
        return None

    monkeypatch.setattr(series._Changes, "_too_much", never)
    amounts = ["1.00"] * FEWER
    await spend(runtime, amounts)
    assert paid(world, amounts) > 10_000
    assert "limit_passed" in {finding.code for finding in (await runtime.verify()).findings}


async def test_a_refused_call_is_decided_at_most_twice_and_none_is_told_to_come_back(runtime, monkeypatch):
    decided, honest = Counter(), phases.decide

    def counting(policies, inputs, evaluated):
        decided[inputs.arguments["payment_id"]] += 1
        return honest(policies, inputs, evaluated)

    monkeypatch.setattr(phases, "decide", counting)
    outcomes = await spend(runtime, ["1.00"] * FEWER)
    assert max(decided.values()) == 2, "some met the limit in the transaction, and none more than once"
    assert all(outcome.ok or outcome.error.code == "denied" for outcome in outcomes)


async def test_a_group_that_meets_the_limit_is_not_taken_apart(runtime, monkeypatch):
    begun, honest = Counter(), type(runtime.parts.store.journal._writer).begin

    async def counting(self, group):
        begun["transactions"] += 1
        await honest(self, group)

    monkeypatch.setattr(type(runtime.parts.store.journal._writer), "begin", counting)
    await asyncio.gather(*(runtime.submit(asks("refund", f"pay_{number}", "1.00"), session()) for number in range(400)))
    assert begun["transactions"] < 100


@pytest.mark.on_files("the same, by what sqlite raises")
async def test_a_group_whose_limits_can_not_be_read_is_not_taken_apart(runtime, world, monkeypatch):
    writer, begun = runtime.parts.store.journal._writer, Counter()

    class Failing:
        def __init__(self, connection):
            self.connection = connection

        def __getattr__(self, name):
            return getattr(self.connection, name)

        def execute(self, sql, *values):
            begun[sql] += 1
            if "FROM series" in sql:
                raise sqlite3.OperationalError("disk I/O error")
            return self.connection.execute(sql, *values)

    monkeypatch.setattr(writer, "_connection", Failing(writer._connection))
    calls = (runtime.submit(asks("refund", f"pay_{number}", "1.00"), session()) for number in range(FEWER))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {DatabaseUnavailable} and world.bank.attempts == []
    assert begun["BEGIN IMMEDIATE"] < FEWER


async def test_failures_that_give_back_while_others_take_keep_the_sum_exact(runtime, world):
    refused = raising(Refused("no", definite=True))
    world.bank.plan += [refused if random.Random(number).random() < 0.5 else good for number in range(FEWER)]
    outcomes = await spend(runtime, ["3.00"] * FEWER)
    assert {outcome.state for outcome in outcomes} == {State.SUCCEEDED, State.FAILED, State.DENIED}
    assert await held(runtime) == {BUDGET: 300 * len(world.bank.effects)}
    assert 0 < len(world.bank.effects) <= 33, "what is given back too late is denied to whoever asked meanwhile"
    report = await runtime.verify()
    assert report.ok, report.findings


@contextlib.asynccontextmanager
async def two(tmp_path):
    World.make(tmp_path, payments=limited(CAP), notes=NOTES)
    world = shared(tmp_path)
    async with world.running(clock=Clock) as runtime:
        command = [sys.executable, "-m", "tests.runtime.other_process", str(tmp_path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            other = Other(process)
            assert await other.says() == "ready"
            yield runtime, other
            process.stdin.close()
            await asyncio.to_thread(process.wait)


async def test_two_processes_share_one_limit(tmp_path):
    async with two(tmp_path) as (runtime, other):
        other.told("spend 1 15")
        mine = await asyncio.gather(*(runtime.submit(asks("transfer", f"pay_{number}", "9.00"), session()) for number in range(16, 31)))
        theirs = (await other.says()).split()
        states = Counter([*(outcome.state for outcome in mine), *theirs])
        assert states == {"succeeded": 11, "denied": 19}
        assert len((tmp_path / "effects").read_text().splitlines()) == 11 and await held(runtime) == {BUDGET: 9_900}
        report = await runtime.verify()
        assert report.ok, report.findings


async def test_a_process_killed_between_intent_and_outcome_leaves_its_reservation(tmp_path):
    async with two(tmp_path) as (runtime, other):
        other.told("hang pay_1")
        call_id = await other.says()
        other.process.send_signal(signal.SIGKILL)
        assert await held(runtime) == {BUDGET: 9_900}
        assert (await runtime.submit(asks("transfer", "pay_2", "9.00"), session())).state is State.DENIED
    later = shared(tmp_path)
    async with later.running(clock=Steered(later=60).clock) as again:
        assert await comes_to(again, call_id, State.UNKNOWN)
        assert await held(again) == {BUDGET: 9_900}, "nobody knows yet, so it counts"
        assert (await again.submit(asks("transfer", "pay_3", "9.00"), session())).state is State.DENIED
        assert (await again.verify()).ok
