"""The disk is full, in each of the ways in which it can be: there is no effect without an intent, and when there is room all goes on."""

import asyncio
import json
import time

import pytest

from tests.torture import figures
from tests.torture.paying import WRITING
from tests.torture.sizes import size

ROUNDS = 4
PAGES = range(0, 42, size(6, 2))
BYTES = range(0, 1_400_000, size(200_000, 70_000))


async def short(place, lives, limit, *, variant="", folder=None):
    """Let a child run out of room, then take up what it left; gives how many calls were refused, and the books."""
    desk, said = place.desk(folder=folder), place.folder / "said"
    asked = [(kind, place.payment()) for _ in range(ROUNDS) for kind in WRITING]
    await asyncio.to_thread(
        lives.live, desk, "short_of_space", customer=place.customer, asked=asked, limit=limit, said=str(said), variant=variant
    )
    return json.loads(said.read_text()), await place.take_up(desk, *asked)


async def always(place, lives, what, limits, **more):
    """Go through limits of one sort; some calls must have been refused, and some not."""
    began = time.monotonic()
    tried = [(limit, *await short(place, lives, limit, **more)) for limit in limits]
    wrong = [(limit, books) for limit, _, books in tried if not books.agree]
    figures.keep(f"no room: {what}", began, runs=len(tried), refused=sum(refused for _, refused, _ in tried), doubles=len(wrong))
    assert not wrong, wrong
    return [refused for _, refused, _ in tried]


@pytest.mark.timeout(600)
async def test_when_the_database_may_not_grow_nothing_is_done_that_is_not_written(place, lives):
    refused = await always(place, lives, "max_page_count", [{"pages": pages} for pages in PAGES])
    assert refused[0] and len(set(refused)) > 2, f"the room ended at one place only: {refused}"


@pytest.mark.timeout(600)
async def test_when_a_file_may_not_grow_nothing_is_done_that_is_not_written(place, lives):
    refused = await always(place, lives, "RLIMIT_FSIZE", [{"bytes": some} for some in BYTES])
    assert refused[0] and len(set(refused)) > 2, f"the room ended at one place only: {refused}"


async def test_when_nothing_may_be_written_any_more_nothing_is_done(place, lives):
    (refused,) = await always(place, lives, "read-only", [{"read_only": True}])
    assert refused == ROUNDS * len(WRITING)


async def test_control_a_journal_that_hears_of_no_error_has_effects_without_an_intent(place, lives):
    _, books = await short(place, lives, {"pages": 0}, variant="deaf")
    assert books.unsaid, "this test would not notice an effect without an intent"
