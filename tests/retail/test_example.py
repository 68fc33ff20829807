"""The example works as its README says, and its policies pass their own tests, with every rule matched by one."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from examples.retail.shop import changes, lookups
from remit.actions import Catalog
from remit.policies import load
from remit.policies.cases import read_tests
from remit.policies.testing import run_cases
from remit.runtime.control import shapes
from tests.retail.bed import FOLDER, MISSING
from tests.retail.desk import POLICIES

EXAMPLE = POLICIES.parent


def test_the_policies_pass_their_tests_and_no_rule_is_untested():
    known = shapes(Catalog([lookups, changes]))
    came = run_cases(load(POLICIES, known), read_tests(POLICIES), known)
    assert [(one.name, one.differences) for one in came.failed] == []
    assert came.unmatched == ()
    assert len(came.results) >= came.total


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if not FOLDER.exists():
        pytest.skip(MISSING)
    copy = tmp_path_factory.mktemp("example") / "retail"
    return shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("*.db*", "*.keys", "__pycache__"))


COMMANDS = [shlex.split(line[2:]) for line in (EXAMPLE / "README.md").read_text().splitlines() if line.startswith("$ remit ")]
EXPECTED = {0: (0, ""), 1: (0, "Water Bottle"), 2: (1, "not pending any more"), 3: (1, "no such thing for this customer")}


@pytest.mark.parametrize("number", EXPECTED)
def test_the_commands_of_the_readme_are_answered_as_it_says(number, folder):
    command, (code, said) = COMMANDS[number], EXPECTED[number]
    environment = {**os.environ, "RETAIL_DB": str(FOLDER / "db.json")}
    done = subprocess.run(
        [sys.executable, "-m", "remit", *command[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert said in " ".join((done.stdout + done.stderr).split())
    assert len(COMMANDS) == len(EXPECTED)
