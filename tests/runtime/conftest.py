"""Fixtures of the runtime's tests: a world of its own for each, polls that do not wait, and conditions compiled once."""

import functools

import orjson
import pytest

from remit.policies import load
from remit.runtime import control
from remit.runtime.sqlite import PRAGMAS
from tests.runtime.bank import Store, World

ON_FILES = {
    "test_backoff": "arithmetic",
    "test_breaker": "arithmetic",
    "test_callers": "what callers are told: the same phases",
    "test_erasure_page": "reads a page, and what the tables are called",
    "test_hostile": "what models send is read before anything is stored",
    "test_kill": "`tests/torture` kills on both",
    "test_old_database": "databases of before there was a server",
    "test_processes": "`test_postgres_processes` has the same on a server",
    "test_series": "a model of the sums, against the smallest database there is",
    "test_storage": "the file itself; `test_postgres_commits` looks at the server",
    "test_stored": "has both itself",
    "test_tables": "has both itself",
}
"""Modules that run on SQLite alone, and why. All others are the contract: they run on both databases."""


def pytest_generate_tests(metafunc):
    module = metafunc.module.__name__.rpartition(".")[2]
    if "store" in metafunc.fixturenames and module not in ON_FILES and not module.startswith("test_postgres"):
        left = {
            kind for kind, mark in (("postgresql", "on_files"), ("sqlite", "on_servers")) if metafunc.definition.get_closest_marker(mark)
        }
        metafunc.parametrize("store", [kind for kind in ("sqlite", "postgresql") if kind not in left], indirect=True)


@pytest.fixture(autouse=True)
def store(request, monkeypatch):
    """Keep calls in files, or on a server: each world in a database of its own, which is dropped when the test ends."""
    kind = getattr(request, "param", "sqlite")
    monkeypatch.setattr(Store, "server", kind == "postgresql")
    # The queue goes by the server's clock, and these tests by their own, far ahead of it: the sweep wakes calls, promptly.
    monkeypatch.setattr("remit.runtime.wakeups.LEFT_LYING", 0)
    yield kind
    Store.made.close()


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


@pytest.fixture
def world(tmp_path):
    return World.make(tmp_path)


@pytest.fixture
async def runtime(world):
    async with world.running() as running:
        yield running
