"""A connector that answers nobody is left alone for a while; look-ups go on, one at a time, and one call tries it again."""

import asyncio
from dataclasses import replace

import pytest

from remit import Refused, Retryable
from remit.audit import State
from remit.runtime.breaker import Breakers, Breaking, Standing, connectors_of
from remit.runtime.clock import SECOND
from tests.runtime.asking import approve, asking, waits
from tests.runtime.bank import FakeTime, asks, comes_to, dropped, kinds, lost, raising, session

QUICK = Breaking(failures=3, window=60, rest=10, longest=100, alone=5)
UNREACHABLE = raising(Retryable("connection refused"))
FINANCE = approve("large", "finance", when='arguments.amount.currency == "EUR" && arguments.amount.minor > 2000')


@pytest.fixture
def time():
    return FakeTime()


@pytest.fixture
def breakers(time):
    return Breakers(QUICK, time.clock(last_recorded=0))


def fail(breakers, times=3, connector="Bank"):
    for _ in range(times):
        breakers.failed([connector])


# by itself


def test_it_opens_after_so_many_failures_in_a_row(breakers):
    fail(breakers, 2)
    assert breakers.standing("Bank") is Standing.CLOSED and breakers.admit(["Bank"]) is None
    breakers.answered(["Bank"])
    fail(breakers, 2)
    assert breakers.standing("Bank") is Standing.CLOSED, "an answer between them begins the row anew"
    fail(breakers, 1)
    assert breakers.standing("Bank") is Standing.OPEN and breakers.admit(["Bank"]) is not None
    assert breakers.admit(["Mail"]) is None, "of this connector alone"
    assert breakers.admit(["Mail", "Bank"]) is not None


def test_failures_that_are_far_apart_do_not_open_it(breakers, time):
    for _ in range(6):
        fail(breakers, 1)
        time.pass_(seconds=31)
    assert breakers.standing("Bank") is Standing.CLOSED


def test_half_open_it_lets_one_through(breakers, time):
    fail(breakers)
    until = breakers.admit(["Bank"])
    time.pass_(seconds=20)
    assert until <= breakers._clock.now() and breakers.admit(["Bank"]) is None and breakers.standing("Bank") is Standing.HALF_OPEN
    later = [breakers.admit(["Bank"]) for _ in range(5)]
    assert all(one is not None and one <= breakers._clock.now() + 5 * SECOND for one in later)
    breakers.answered(["Bank"])
    assert [breakers.admit(["Bank"]) for _ in range(3)] == [None] * 3


def test_a_trial_that_fails_opens_it_for_longer_up_to_a_bound(breakers, time):
    fail(breakers)
    rests = []
    for _ in range(8):
        until = breakers.closed_until(["Bank"])
        rests.append((until - breakers._clock.now()) / SECOND)
        time.nanos = until * 1000
        assert breakers.admit(["Bank"]) is None
        fail(breakers, 1)
        assert breakers.standing("Bank") is Standing.OPEN
    assert 10 <= rests[0] <= 20 <= rests[1] <= 40 <= rests[2] <= 80 <= rests[3] and rests[-1] == pytest.approx(100)


def test_a_trial_of_which_nothing_is_heard_does_not_keep_the_others_out(breakers, time):
    fail(breakers)
    time.pass_(seconds=20)
    assert breakers.admit(["Bank"]) is None
    time.pass_(seconds=6)
    assert breakers.admit(["Bank"]) is None


def test_look_ups_go_one_at_a_time_and_their_answer_closes_it(breakers, time):
    assert [breakers.pace(["Bank"]) for _ in range(3)] == [None] * 3
    fail(breakers)
    assert breakers.pace(["Bank"]) is None and breakers.pace(["Bank"]) is not None
    time.pass_(seconds=6)
    assert breakers.pace(["Bank"]) is None
    breakers.answered(["Bank"])
    assert breakers.standing("Bank") is Standing.CLOSED


def test_who_listens_is_told_of_every_change(breakers, time):
    told = []
    breakers.listeners.append(lambda name, standing: told.append((name, standing.value)))
    fail(breakers, 5)
    time.pass_(seconds=21)
    breakers.admit(["Bank"])
    breakers.answered(["Bank"])
    breakers.answered(["Bank"])
    assert told == [("Bank", "open"), ("Bank", "half_open"), ("Bank", "closed")]


# in the way of a call


async def trip(runtime, world, *, times=3, how=UNREACHABLE):
    """Let calls fail until the bank's breaker is open."""
    for number in range(times):
        world.bank.plan.append(how)
        await runtime.submit(asks("transfer", f"pay_{50 + number}"), session())
    assert runtime.breakers.standing("Bank") is Standing.OPEN


async def test_a_new_call_is_told_when_to_come_back_and_nothing_is_sent(world):
    async with world.running(breaking=QUICK) as runtime:
        await trip(runtime, world)
        sent = len(world.bank.attempts)
        denied = await runtime.submit(asks("cheque"), session())
        assert (denied.state, denied.error.code, denied.error.retry) == (State.DENIED, "unavailable", "later")
        assert "again in" in denied.message() and len(world.bank.attempts) == sent
        assert (await runtime.submit({"name": "look_up", "arguments": {"payment_id": "pay_1"}}, session())).ok, "a read goes through"
        assert runtime.breakers.standing("Bank") is Standing.CLOSED, "and says that it is there again"
        assert (await runtime.submit(asks("cheque"), session())).ok and (await runtime.verify()).ok


async def test_control_with_a_patient_breaker_it_is_sent(world):
    async with world.running(breaking=replace(QUICK, failures=4)) as runtime:
        for number in range(3):
            world.bank.plan.append(UNREACHABLE)
            await runtime.submit(asks("transfer", f"pay_{50 + number}"), session())
        assert (await runtime.submit(asks("cheque"), session())).ok


async def test_what_was_agreed_to_waits_for_it_and_is_done_when_it_is_back(world):
    async with asking(world, FINANCE).running(breaking=QUICK) as runtime:
        call_id = await waits(runtime, "cheque", euros="30.00")
        await trip(runtime, world)
        sent = len(world.bank.attempts)
        voted = await runtime.vote(call_id, person="fay", answer="approve")
        assert voted.state is State.READY and len(world.bank.attempts) == sent
        decided = kinds(await runtime.view(call_id)).count("call.decided")
        assert (await runtime.submit(asks("cheque", euros="30.00"), session())).call_id == call_id, "its effect key is held"
        for _ in range(9):  # another may be the one that tries it
            world.time.pass_(seconds=6)
            await asyncio.sleep(0.05)
        assert (await runtime.wait(call_id, 30)).ok and "pay_1" in world.bank.effects
        assert kinds(await runtime.view(call_id)).count("call.decided") <= decided + 2, "while it waits it is not decided again and again"
        assert (await runtime.verify()).ok


async def test_it_can_be_cancelled_meanwhile(world):
    async with asking(world, FINANCE).running(breaking=QUICK) as runtime:
        call_id = await waits(runtime, "cheque", euros="30.00")
        await trip(runtime, world)
        await runtime.vote(call_id, person="fay", answer="approve")
        assert (await runtime.cancel(call_id, by="kay")).state is State.CANCELLED


@pytest.mark.parametrize("how", [lost, dropped, raising(TimeoutError())])
async def test_unknown_outcomes_count_and_their_look_ups_find_out_that_it_is_back(world, how):
    async with world.running(breaking=QUICK) as runtime:
        await trip(runtime, world, how=how)
        denied = await runtime.submit(asks("cheque"), session())
        assert denied.error.code == "unavailable"
        world.time.pass_(seconds=31)
        async with asyncio.timeout(10):
            while runtime.breakers.standing("Bank") is not Standing.CLOSED:
                await asyncio.sleep(0.005)
        assert world.bank.looks >= 1
        assert (await runtime.submit(asks("cheque"), session())).ok


async def test_look_ups_are_paced_while_it_is_down(world):
    async with world.running(breaking=replace(QUICK, failures=5)) as runtime:
        world.bank.look_fails = ConnectionError("down")
        ids = []
        for number in range(5):
            world.bank.plan.append(lost)
            ids.append((await runtime.submit(asks("transfer", f"pay_{number + 1}"), session())).call_id)
        world.time.pass_(seconds=31)
        await asyncio.sleep(0.2)
        assert world.bank.looks == 1, "of five that are due, one looks"
        world.bank.look_fails = None
        for _ in range(40):
            world.time.pass_(seconds=30)
            await asyncio.sleep(0.02)
        for call_id in ids:
            await comes_to(runtime, call_id, State.SUCCEEDED)
        assert len(world.bank.effects) == 5


@pytest.mark.parametrize("how", [raising(Refused("no", definite=True)), raising(Refused("no")), raising(Retryable("429", after=60))])
async def test_what_a_provider_answers_does_not_count_as_a_failure(world, how):
    async with world.running(breaking=QUICK) as runtime:
        for number in range(6):
            world.bank.plan.append(how)
            await runtime.submit(asks("transfer", f"pay_{50 + number}"), session())
        assert runtime.breakers.standing("Bank") is Standing.CLOSED


async def test_a_trial_that_fails_keeps_the_others_out(world):
    async with world.running(breaking=QUICK) as runtime:
        await trip(runtime, world, how=lost)
        world.bank.look_fails = ConnectionError("down")
        world.time.pass_(seconds=20)
        world.bank.plan.append(UNREACHABLE)
        tried = await runtime.submit(asks("cheque", "pay_1"), session())
        assert tried.state is State.READY
        assert (await runtime.submit(asks("cheque", "pay_2"), session())).error.code == "unavailable"
        world.bank.look_fails = None


def test_an_action_without_a_connector_is_one_by_itself():
    from tests.server.desk import issue_credit, look_up_order

    assert connectors_of(issue_credit) == ("Desk",) and connectors_of(look_up_order) == ("look_up_order",)
