"""At the door: a burst comes in, a queue that stands does not grow, and who is refused is told when to come back."""

import asyncio
import gc
import itertools
import tracemalloc

import pytest

from remit.audit import State
from remit.errors import Overloaded
from remit.runtime import admission, journeys, rejection, vault
from remit.runtime.admission import FEW, STALE, STANDING, WHILE, Admission
from tests.runtime.bank import LARGE, asks, says, session


class Time:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


def see(door: Admission, time: Time, *waits: float, every: float = WHILE / 2) -> None:
    for wait in waits:
        time.now += every
        door.waited(wait)


def test_a_queue_that_stands_lets_nobody_in_until_it_has_drained(time):
    door = Admission(time)
    see(door, time, *[2 * STANDING] * 6)
    with pytest.raises(Overloaded):
        door.admit(10, 0)
    see(door, time, *[STANDING / 4] * 6)
    door.admit(10, 0)


def test_a_slow_disk_alone_is_no_line(time):
    door = Admission(time)
    see(door, time, *[2 * STANDING] * 6)  # one commit takes so long, and nobody else is there
    door.admit(1, 0)
    with pytest.raises(Overloaded):
        door.admit(FEW, 0)


def test_a_burst_is_let_in(time):
    door = Admission(time)
    see(door, time, 0.01, 3.0, 0.01, 3.0, 0.01, 3.0)
    door.admit(10, 0)


def test_what_was_seen_long_ago_says_nothing(time):
    door = Admission(time)
    see(door, time, *[2 * STANDING] * 6)
    time.now += STALE + 0.1
    door.admit(10, 0)


@pytest.mark.parametrize(("line", "queue"), [(admission.LONGEST_LINE, 0), (0, admission.LONGEST_QUEUE)])
def test_a_line_and_a_queue_have_an_end(time, line, queue):
    with pytest.raises(Overloaded):
        Admission(time).admit(line, queue)


@pytest.mark.parametrize(("a_second", "line", "seconds"), [(100, 500, 5), (100, 10, 1), (1, 1_000, 60), (0, 1_000, 1)])
def test_whoever_is_refused_is_told_when_those_before_them_are_done(time, a_second, line, seconds):
    door = Admission(time)
    for _ in range(a_second):
        door.rested()
    time.now += 1.0
    if a_second:
        door.rested()
    assert door.pause(line) == pytest.approx(seconds, abs=1)


def test_a_quiet_hour_does_not_count_as_slowness(time):
    door = Admission(time)
    door.admit(0, 0)
    door.rested()
    time.now += 3_600
    door.admit(0, 0)
    door.rested()
    assert door.pause(500) == 1, "nothing is known yet"
    for _ in range(200):  # a hundred a second
        door.admit(10, 0)
        time.now += 0.01
        door.rested()
    assert door.pause(500) == pytest.approx(5, abs=1)


async def flood(runtime, calls: int) -> list:
    return await asyncio.gather(*(runtime.submit(says(f"note {number}"), session(conversation=f"c{number}")) for number in range(calls)))


async def test_in_a_flood_those_let_in_are_done_and_the_others_know_when_to_come_back(runtime, monkeypatch):
    monkeypatch.setattr(admission, "LONGEST_LINE", 50)
    outcomes = await flood(runtime, 300)
    refused = [one for one in outcomes if one.error is not None]
    assert {one.state for one in outcomes if one.error is None} == {State.SUCCEEDED}
    assert len(refused) == 250 and {one.error.code for one in refused} == {"overloaded"}
    assert all(1 <= one.retry_after <= 60 and f"{one.retry_after} seconds" in one.error.message for one in refused)
    assert all(one.to_json()["retry_after"] == one.retry_after for one in refused)
    assert len(await runtime.calls(most=1_000)) == 50, "whoever is refused leaves no row"


async def test_a_slow_disk_is_met_at_the_door_and_what_was_let_in_ends(runtime, monkeypatch):
    monkeypatch.setattr(admission, "STANDING", 0.02)
    monkeypatch.setattr(admission, "WHILE", 0.02)
    writer = runtime.parts.store.journal._writer
    honest = writer.commit

    async def slow():
        await asyncio.sleep(0.03)
        await honest()

    monkeypatch.setattr(writer, "commit", slow)
    outcomes = []
    async with asyncio.timeout(30):
        while all(one.error is None for one in outcomes):
            outcomes = await asyncio.gather(*(runtime.submit(says(f"note {number}"), session()) for number in range(20)))
    assert {one.error.code for one in outcomes if one.error} == {"overloaded"}
    let_in = [one.state for one in outcomes if not one.error]
    assert set(let_in) == {State.SUCCEEDED} and len(let_in) >= FEW
    assert (await runtime.submit(says("alone"), session())).state is State.SUCCEEDED, "however slow the disk is"


async def notes(runtime, number: int) -> None:
    await runtime.submit(says(f"note {number}"), session(conversation=f"c{number}"))


async def all_sorts(runtime, number: int) -> None:
    """Let a call end in each of several ways, every customer and conversation a new one; some wait for longer than their caller does."""
    own = {"subject": f"cus{number}", "conversation": f"c{number}"}
    await runtime.submit(says(f"note {number}"), session(**own), idempotency_key=f"key{number}")
    await runtime.submit({"name": f"unknown{number}", "arguments": {}}, session(**own))
    await runtime.submit(asks("refund", "pay_1"), session(**own))  # another's
    waiting = await runtime.submit(asks("transfer", f"pay_{10 + number % 40}", LARGE), session(conversation=f"c{number}"))
    assert (await runtime.wait(waiting.call_id, 0.001)).state is State.WAITING
    await runtime.cancel(waiting.call_id, by="kay")


async def growth(runtime, bank, calls: int, each=notes, at_once: int = 50) -> float:
    """Give how many bytes a call leaves behind in memory, after as many again to warm up.

    It is the least of three parts: what every call leaves is left in each of them, and what is loaded once, or is just on its way
    when it is counted, in one of them.
    """

    async def some(first: int, calls: int) -> None:
        for start in range(first, first + calls, at_once):
            await asyncio.gather(*(each(runtime, number) for number in range(start, start + at_once)))
            for ledger in (bank.effects, bank.attempts, bank.by_key):
                ledger.clear()  # what the bank keeps is the test's
        await runtime._sequencer.catch_up()
        gc.collect()

    await some(0, calls)
    part = calls // 3
    tracemalloc.start()
    try:
        gc.collect()
        sizes = [tracemalloc.get_traced_memory()[0]]
        for first in range(calls, 2 * calls, part):
            await some(first, part)
            sizes.append(tracemalloc.get_traced_memory()[0])
        return min(after - before for before, after in itertools.pairwise(sizes)) / part
    finally:
        tracemalloc.stop()


ON_FILES = pytest.mark.on_files("what a call leaves behind is the same on both, and a server is slower")


@ON_FILES
async def test_calls_leave_nothing_behind_in_memory(runtime, world):
    assert await growth(runtime, world.bank, 1_500) < 300


@ON_FILES
async def test_nor_do_calls_of_all_sorts(runtime, world, monkeypatch):
    for module in (vault, rejection):
        monkeypatch.setattr(module, "REMEMBERED", 20)  # bounded caches that are full
    assert await growth(runtime, world.bank, 300, all_sorts, at_once=10) < 1_000


@ON_FILES
async def test_control_a_call_that_is_kept_is_noticed(runtime, world, monkeypatch):
    kept, honest = [], journeys.receive

    async def keeping(*given):
        kept.append(work := await honest(*given))
        return work

    monkeypatch.setattr(journeys, "receive", keeping)
    assert await growth(runtime, world.bank, 600) > 1_000


async def test_whoever_waits_for_less_long_than_a_call_does_leaves_nothing_behind(runtime):
    waiting = await runtime.submit(asks("transfer", "pay_2", LARGE), session())
    assert waiting.state is State.WAITING
    await asyncio.gather(*(runtime.wait(waiting.call_id, 0.01) for _ in range(5)))
    assert runtime.parts.changed == {}, "its event would stay for ever where another process moves the call"
