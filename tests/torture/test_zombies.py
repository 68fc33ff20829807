"""A worker is stopped in the middle of an effect, another process takes over, and then the first goes on: as a sleeping machine does."""

import asyncio
import os
import signal
import time

import pytest

from tests.torture import figures
from tests.torture.paying import PATIENT, WRITING
from tests.torture.sizes import FULL

WITHIN = {"after begin", "before commit"}
"""Stopped there it holds the lock of the file, and nobody else can write: that is said, and is no matter of effects."""
FEW = ("after send", "after receive", "before begin")
"""Where a few are stopped last: with the request on its way, with the answer there, and about to settle."""


async def points_of(place, lives, kind):
    """Let a call pass by that nobody stops; gives its points in order, each by its name and the how-manieth of that name it is."""
    place.come_to(lives, 0, kind, "fresh")
    assert await asyncio.to_thread(lives.ended) == 0
    passed = place.passed()
    return [[name, passed[:number].count(name)] for number, name in enumerate(passed, 1)]


def sending(points):
    """Give the points from the intent to the last byte of the refund: it stands, and has not gone out."""
    names = [name for name, _ in points]
    sent = max(number for number, name in enumerate(names) if name == "after send")
    stands = max(number for number, name in enumerate(names[:sent]) if name == "after commit")
    return points[stands:sent]


def after_sending(points):
    """Give the points from the last byte of the refund."""
    return points[points.index(sending(points)[-1]) + 1 :]


def at_a_few(points):
    return [next(point for point in after_sending(points) if point[0] == name) for name in FEW]


async def come_back(place, lives, at, kind, variant="", late=False):
    """Stop a worker at a point, take its call up in another process, let it go on, and give the books before and after; None where it did not come there."""
    pid, desk, payment = place.come_to(lives, at, kind, "fresh", what=signal.SIGSTOP, variant=variant)
    if await asyncio.to_thread(lives.rests) == 0:
        return None  # its answers came in fewer pieces than those of the call whose points were named
    try:
        before = await place.take_up(desk, (kind, payment))
        await asyncio.sleep(PATIENT["deadline"] + 0.1 if late else 0)  # when its handler's time is over, too
    finally:
        os.kill(pid, signal.SIGCONT)
    assert await asyncio.to_thread(lives.ended) == 0, "whoever comes back is told how the call stands; nothing is raised"
    return before, await place.look(desk, payment)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", WRITING)
async def test_whoever_comes_back_writes_nothing_and_does_nothing_twice(place, lives, kind):
    began = time.monotonic()
    points = await points_of(place, lives, kind)
    never = sending(points) if kind == "lookup" else []  # see the last control
    chosen = [one for one in points if one[0] not in WITHIN and one not in never] if FULL else at_a_few(points)
    tried = {str(at): await come_back(place, lives, at, kind, late=number % 2) for number, at in enumerate(chosen)}
    books = {at: pair for at, pair in tried.items() if pair}
    found = {at: one for at, pair in books.items() for one in pair if not one.agree}
    figures.keep(
        "stopped past its lease, then resumed", began, stops=len(books), doubles=sum(len(one.doubles) for _, one in books.values())
    )
    assert not found, found
    assert len(books) >= len(tried) / 2, "it was stopped too seldom"


async def test_control_without_the_fence_whoever_comes_back_overwrites_what_is_known(place, lives):
    at = at_a_few(await points_of(place, lives, "once"))[-1]
    before, after = await come_back(place, lives, at, "once", "unfenced")
    assert before.agree and before.unknown["once"] == 1
    assert not after.agree and after.findings, "the verifier sees two histories of one call"


async def test_control_stopped_between_its_intent_and_its_last_byte_it_sends_after_all(place, lives):
    """What nobody can be kept from at a provider that knows no keys (see docs/limitations.md): the double shows here."""
    before, after = await come_back(place, lives, sending(await points_of(place, lives, "lookup"))[1], "lookup")
    assert before.agree and after.doubles
