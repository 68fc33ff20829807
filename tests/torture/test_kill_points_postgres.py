"""Over PostgreSQL, too, the runtime is killed at every point. It takes minutes, as its time can't be steered: `make torture` alone does it."""

import time

import pytest

from tests.torture import figures
from tests.torture.paying import WRITING
from tests.torture.place import wrong
from tests.torture.points import NAMES
from tests.torture.test_kill_points import tortured


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", WRITING)
async def test_killed_at_any_point_it_is_done_once_or_said_to_be_unknown(postgres_place, lives, kind):
    began = time.monotonic()
    books, passed = await tortured(postgres_place, lives, kind, "fresh")
    found = wrong(books, passed)
    counted = {"doubles": sum(len(one.doubles) for one in books), "wrong": len(found)}
    figures.keep("killed at every point, postgres", began, kills=len(books) - 1, **counted)
    assert not found, found
    assert set(passed) >= set(NAMES), "every kind of point was passed"
