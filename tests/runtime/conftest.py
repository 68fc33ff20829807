"""Fixtures of the runtime's tests: a world of its own for each, and polls that do not wait."""

import pytest

from tests.runtime.bank import World


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch):
    for place in ("journeys", "wakeups"):
        monkeypatch.setattr(f"remit.runtime.{place}.POLL", 0.01)


@pytest.fixture
def world(tmp_path):
    return World.make(tmp_path)


@pytest.fixture
async def runtime(world):
    async with world.running() as running:
        yield running
