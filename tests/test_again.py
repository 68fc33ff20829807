"""Only controls are run again."""

from tests.again import controls


def test_a_guarantee_that_failed_stays_failed():
    assert controls(["tests/a.py::test_control_one[x]", "tests/b.py::test_control_two"])
    assert not controls(["tests/a.py::test_control_one", "tests/b.py::test_it_pays_once"])
    assert not controls([]) and not controls(["tests/a.py"]) and not controls(["tests/test_control_x.py::test_it"])
