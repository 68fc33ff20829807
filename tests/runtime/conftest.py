"""Fixtures of the runtime's tests: a world of its own for each, polls that do not wait, and conditions compiled once."""

import functools

import orjson
import pytest

from remit.policies import load
from remit.runtime import control
from remit.runtime.sqlite import PRAGMAS
from tests.postgres import database
from tests.runtime.bank import World, _postgres_template


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch):
    for place in ("journeys", "wakeups"):
        monkeypatch.setattr(f"remit.runtime.{place}.POLL", 0.01)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """Nobody unplugs the machine of a test; `test_storage` checks what is really in force."""
    monkeypatch.setattr("remit.runtime.sqlite.PRAGMAS", ("synchronous = OFF", *(one for one in PRAGMAS if "synchronous" not in one)))


_loaded = {}


@pytest.fixture(autouse=True)
def _compiled_once(monkeypatch):
    """Policies and guards are frozen and pure, and cost more to compile than a test to run."""

    def remembered(sources, actions):
        texts = {str(at): at.read_text() for at in sorted(sources.rglob("*.yaml"))} if hasattr(sources, "rglob") else dict(sources)
        named = [texts[name] for name in sorted(texts)], [name.rpartition("/")[2] for name in sorted(texts)]
        shapes = {name: (shape.arguments, shape.facts) for name, shape in actions.items()}
        key = orjson.dumps([named, shapes], option=orjson.OPT_SORT_KEYS)
        if key not in _loaded:
            _loaded[key] = load(sources, actions)
        return _loaded[key]

    monkeypatch.setattr(control, "load", remembered)
    monkeypatch.setattr("remit.runtime.runtime.guard", _guard)


@functools.cache
def _guarded(action):
    return control.guard(action, control.shape(action))


def _guard(action, _described):
    return _guarded(action)


def pytest_generate_tests(metafunc):
    """Run what does not look into the file of a database on both: marked `sqlite` is what does, or what makes no difference there."""
    if "world" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("sqlite") is not None
        metafunc.parametrize("world", ["sqlite"] if only else ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def world(request, tmp_path, monkeypatch):
    if request.param == "sqlite":
        yield World.make(tmp_path)
        return
    monkeypatch.setattr("remit.runtime.wakeups.LEFT_LYING", 0)
    with database(template=_postgres_template()) as url:
        yield World.make(tmp_path, url=url)


@pytest.fixture
async def runtime(world):
    async with world.running() as running:
        yield running
