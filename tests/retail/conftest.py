"""Fixtures: the test bed, read once; and what makes the runtime's own tests quick."""

import pytest

from tests.retail import bed as test_bed
from tests.runtime.conftest import _compiled_once, _no_waiting_for_the_disk, _quick_polls  # noqa: F401 - they are fixtures


@pytest.fixture(scope="session")
def bed():
    if not test_bed.FOLDER.exists():
        pytest.skip(test_bed.MISSING)
    return test_bed.Bed()
