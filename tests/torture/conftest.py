"""What the tests of this folder share: a worker and a place, made once for a module."""

import pytest

from remit.sandbox.payments import PaymentSandbox
from tests.torture.killing import worker
from tests.torture.place import Place


@pytest.fixture(scope="module")
def lives():
    with worker() as lives:
        yield lives


@pytest.fixture
async def place(tmp_path, monkeypatch):
    monkeypatch.setattr("remit.runtime.wakeups.POLL", 0.02)
    with PaymentSandbox() as sandbox:
        place = Place(tmp_path, sandbox)
        await place.make()
        yield place
