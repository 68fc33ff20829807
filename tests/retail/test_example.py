"""The example works as its README says, and its policies pass their own tests, with every rule matched by one."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from examples.retail.shop import changes, lookups
from examples.retail.shop.database import Database
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


def test_what_is_changed_is_kept_beside_the_file_and_the_file_is_only_read(tmp_path):
    source, kept = tmp_path / "db.json", tmp_path / "changes.db"
    source.write_text('{"products": {}, "users": {}, "orders": {"#W1": {"status": "pending"}, "#W2": {"status": "pending"}}}')
    before = source.read_bytes()
    Database.read(source, kept).put(("orders", "#W1", {"status": "cancelled"}))
    Database.read(source, kept).open_conversation("chat-1", "ada")
    again = Database.read(source, kept)
    again.open_conversation("chat-1", "bo")
    assert again.tables["orders"] == {"#W1": {"status": "cancelled"}, "#W2": {"status": "pending"}}
    assert again.tables["conversations"] == {"chat-1": {"customer": "ada"}}
    assert source.read_bytes() == before
    assert Database.read(source).tables["orders"]["#W1"] == {"status": "pending"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if not FOLDER.exists():
        pytest.skip(MISSING)
    copy = tmp_path_factory.mktemp("example") / "retail"
    return shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("*.db*", "*.keys", "__pycache__"))


COMMANDS = [shlex.split(line[2:]) for line in (EXAMPLE / "README.md").read_text().splitlines() if line.startswith("$ remit ")]
EXPECTED = {1: (0, "Water Bottle"), 2: (1, "not pending any more"), 3: (1, "no such thing for this customer")}


@pytest.mark.parametrize("number", EXPECTED)
def test_the_commands_of_the_readme_are_answered_as_it_says(number, folder):
    command, (code, said) = COMMANDS[number], EXPECTED[number]
    environment = {**os.environ, "RETAIL_DB": str(FOLDER / "db.json")}
    done = subprocess.run(
        [sys.executable, "-m", "remit", *command[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert said in " ".join((done.stdout + done.stderr).split())
    assert len(COMMANDS) == 1 + len(EXPECTED), "the first, `remit policy test`, is what the test above does"
