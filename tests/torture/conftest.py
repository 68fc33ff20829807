"""What the tests of this folder share: a worker and a provider for a module, and a place for each test."""

import asyncio
import contextlib
import functools
import ssl

import pytest
from psycopg.conninfo import conninfo_to_dict

from remit.sandbox.payments import PaymentSandbox
from tests.postgres import hasten
from tests.torture.killing import worker
from tests.torture.place import TEMPLATE, Place, PostgresPlace, make_template
from tests.torture.sizes import FULL, POSTGRES


@pytest.fixture(scope="module")
def lives():
    with worker() as lives:
        yield lives


@pytest.fixture(scope="session", autouse=True)
def _certificates_read_once():
    """Nobody here needs them, and to read them is a third of opening a runtime."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    asyncio.run(make_template(folder, str(folder / TEMPLATE)))
    return folder


@pytest.fixture(scope="session")
def postgres_template(tmp_path_factory):
    hasten()  # a process that is killed takes no disk with it
    folder = tmp_path_factory.mktemp("postgres-template")
    with POSTGRES.made(folder) as url:
        asyncio.run(make_template(folder, url))
        yield conninfo_to_dict(url)["dbname"], folder / "remit.keys"


@pytest.fixture(scope="module")
def sandbox():
    with PaymentSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def place(tmp_path, monkeypatch, sandbox, template):
    monkeypatch.setattr("remit.runtime.wakeups.POLL", 0.02)
    return Place(tmp_path, sandbox, template)


@pytest.fixture
def postgres_place(tmp_path, sandbox, postgres_template):
    with contextlib.ExitStack() as made:
        yield PostgresPlace(tmp_path, sandbox, *postgres_template, made)


collect_ignore = [] if FULL else ["test_machine.py", "test_kill_points_postgres.py"]
"""Left out, and not skipped: a test that could not run must not look as if it had passed."""
