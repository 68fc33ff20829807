"""The loop that everything is simulated on: time jumps, dice choose, the dead do nothing and sleepers come late."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.simulation.loop import Owner, SimulatedLoop, Stuck


@pytest.fixture
def loop():
    made = SimulatedLoop(random.Random(1))
    yield made
    made.bury()


def run(loop, owners, *, seconds=1.0):
    """Let each owner say its name a few times, a moment apart."""
    said = []

    async def says(owner):
        for number in range(3):
            said.append((owner.name, number, loop.time()))
            await asyncio.sleep(seconds)

    for owner in owners:
        loop.create_task(says(owner), context=owner.context())
    return said


def test_time_passes_only_when_nothing_is_left_to_do(loop):
    said = run(loop, [Owner("a")], seconds=3600)
    loop.run_until_complete(asyncio.sleep(10_000))
    assert [moment for *_, moment in said] == [0, 3600, 7200] and loop.time() == 10_000


def test_dice_choose_between_processes_and_the_same_dice_choose_the_same():
    def order(seed):
        loop = SimulatedLoop(random.Random(seed))
        said = run(loop, [Owner("a"), Owner("b"), Owner("c")])
        loop.run_until_complete(asyncio.sleep(5))
        loop.bury()
        return tuple(name for name, *_ in said)

    assert len({order(seed) for seed in range(20)}) > 5
    assert order(3) == order(3)


def test_the_dead_do_nothing_and_sleepers_come_late(loop):
    dead, sleeper, awake = Owner("dead"), Owner("sleeper"), Owner("awake")
    said = run(loop, [dead, sleeper, awake])
    loop.run_until_complete(asyncio.sleep(0.5))
    dead.dead, sleeper.sleeps_until = True, 100.0
    loop.run_until_complete(asyncio.sleep(200))
    assert [moment for name, _, moment in said if name == "awake"] == [0, 1, 2], "the control"
    assert [moment for name, _, moment in said if name == "dead"] == [0]
    assert [moment for name, _, moment in said if name == "sleeper"] == [0, 100, 101]


def test_whoever_waits_for_nothing_is_told(loop):
    with pytest.raises(Stuck):
        loop.run_until_complete(loop.create_future())
