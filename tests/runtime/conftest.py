"""Fixtures of the runtime's tests: a world of its own for each, and polls that do not wait."""

import pytest

from remit.runtime.database import PRAGMAS
from tests.runtime.bank import World


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch):
    for place in ("journeys", "wakeups"):
        monkeypatch.setattr(f"remit.runtime.{place}.POLL", 0.01)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """Nobody unplugs the machine of a test; `test_storage` checks what is really in force."""
    monkeypatch.setattr("remit.runtime.database.PRAGMAS", ("synchronous = OFF", *(one for one in PRAGMAS if "synchronous" not in one)))


@pytest.fixture
def world(tmp_path):
    return World.make(tmp_path)


@pytest.fixture
async def runtime(world):
    async with world.running() as running:
        yield running
