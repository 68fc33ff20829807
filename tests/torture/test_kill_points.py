"""The runtime is killed at every point between transactions and socket operations, one after the other, from every state."""

import asyncio
import itertools
import signal
import time

import pytest

from tests.torture import figures
from tests.torture.place import wrong
from tests.torture.points import NAMES
from tests.torture.starts import STARTS

CASES = [(kind, name) for name, start in STARTS.items() for kind in start.kinds]
AT_ONCE = 8


def die_everywhere(place, lives, kind, start, variant):
    """Let one child after the other die at the next point, until one ends without dying."""
    for at in itertools.count(1):
        _, desk, payment = place.come_to(lives, at, kind, start, variant=variant)
        status = lives.ended()
        yield desk, payment
        if status != -signal.SIGKILL:
            assert status == 0
            return


async def tortured(place, lives, kind, start, variant=""):
    """Kill at each point, then take up what was left; gives the books by the point, and the names of the points."""
    left = await asyncio.to_thread(list, die_everywhere(place, lives, kind, start, variant))
    few = asyncio.Semaphore(AT_ONCE)

    async def taken_up(desk, payment):
        async with few:
            return await place.take_up(desk, (kind, payment), variant=variant)

    return await asyncio.gather(*(taken_up(*one) for one in left)), place.passed()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "start"), CASES)
async def test_killed_at_any_point_it_is_done_once_or_said_to_be_unknown(place, lives, kind, start):
    began = time.monotonic()
    books, passed = await tortured(place, lives, kind, start)
    found = wrong(books, passed)
    figures.keep(
        "killed at every point, sqlite", began, kills=len(books) - 1, doubles=sum(len(one.doubles) for one in books), wrong=len(found)
    )
    assert not found, found
    assert len(books) > 1, "it was killed nowhere"
    if (kind, start) == ("lookup", "fresh"):
        assert set(passed) == set(NAMES), "every kind of point was passed"


@pytest.mark.timeout(300)
async def test_control_sent_again_at_a_provider_that_knows_no_keys_it_is_paid_twice(place, lives):
    books, _ = await tortured(place, lives, "lookup", "fresh", "careless")
    twice = [number for number, one in enumerate(books) if one.doubles]
    # Which point has which number depends on when the sequencer comes between; before the first one nothing has been sent.
    assert len(twice) > 1, "killed between its effect and its record: after the answer, and before the commit"
    assert 0 not in twice and len(books) - 1 not in twice, "killed before all of it, or not at all"
