"""`remit policy test`, `diff` and `schema`, as their users run them."""

import json
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def cases(desk):
    return desk / "policies" / "credits_test.yaml"


def test_what_init_makes_is_tested_to_its_last_rule(desk, remit):
    ended = remit("policy", "test", "--coverage-required")
    assert ended.code == 0
    assert "4 of 4 cases are as expected. 3 of 3 rules and limits were matched." in ended.out
    assert not (desk / "remit.db").exists()


def test_what_differs_is_told_and_ends_with_1(cases, remit):
    cases.write_text(cases.read_text().replace("requirements: [], rules: [up_to", "requirements: [confirmation], rules: [up_to"))
    ended = remit("policy", "test")
    assert ended.code == 1
    assert "requirements: expected confirmation; got -" in ended.out
    assert "because credits/up_to_the_total says allow" in ended.out
    assert "3 of 4 cases are as expected" in ended.out
    document = remit("policy", "test", "--json").document
    assert document["ok"] is False
    assert [one["ok"] for one in document["results"]] == [False, True, True, True]
    [differs] = document["results"][0]["differences"]
    assert differs == {"key": "requirements", "expected": ["confirmation"], "got": []}


def test_a_rule_that_no_case_matched_ends_with_1_where_that_is_asked_for(cases, remit):
    kept, _, _ = cases.read_text().partition("  - name: anybody")
    cases.write_text(kept)
    ended = remit("policy", "test")
    assert ended.code == 0
    assert "never matched: orders/own_order (orders.yaml:5)" in ended.out
    assert remit("policy", "test", "--coverage-required").code == 1


def test_another_folder_or_one_file_is_tested(desk, cases, remit):
    shutil.copytree("policies", "candidate")
    policy = desk / "candidate" / "credits.yaml"
    policy.write_text(policy.read_text().replace("2000", "3000"))
    assert remit("policy", "test", "candidate").code == 1
    assert remit("policy", "test", "candidate/credits_test.yaml").code == 0  # of the app's own policies
    assert remit("policy", "test").code == 0


def test_a_broken_test_file_is_told_in_full(cases, remit):
    cases.write_text(cases.read_text().replace("reason: late", "reason: latte").replace("[large]", "[larg]"))
    ended = remit("policy", "test")
    assert (ended.code, ended.out) == (2, "")
    assert [line.partition(": ")[0] for line in ended.err.splitlines()[::3]] == ["credits_test.yaml:4:33", "credits_test.yaml:13:73"]


def test_without_tests_there_is_nothing_to_show(cases, remit):
    cases.unlink()
    assert "refunds_test.yaml" in remit("policy", "test").line


def test_two_folders_are_compared_without_an_app(desk, remit):
    shutil.copytree("policies", "candidate")
    (desk / "app.py").unlink()
    assert remit("policy", "diff", "policies", "candidate").code == 0
    policy = desk / "candidate" / "credits.yaml"
    policy.write_text(policy.read_text().replace("within: 4h", "within: 2h"))
    ended = remit("policy", "diff", "policies", "candidate")
    assert ended.code == 1
    assert "~ rule credits/large" in ended.out
    assert "approval.within: 4h -> 2h" in ended.out
    document = remit("policy", "diff", "policies", "candidate", "--json").document
    assert [(change["effect"], change["path"], change["line"]) for change in document["changes"]] == [("tighter", "credits.yaml", 8)]


def test_what_is_in_force_is_compared_by_name_and_by_digest(desk, credit, remit):
    assert "no database" in remit("policy", "diff", "active", "policies").line
    credit("15.00 EUR")
    before = remit("policy", "reload", "--json").document["policy"]
    policy = desk / "policies" / "credits.yaml"
    policy.write_text(policy.read_text().replace("2000", "1000"))
    assert remit("policy", "diff", "active", "policies").code == 1  # while the folder can't be started with
    remit("policy", "reload")
    assert remit("policy", "diff", "active", "policies").code == 0
    assert remit("policy", "diff", before[:12], "active").code == 1
    assert remit("policy", "diff", before, before).code == 0
    assert "no such bundle" in remit("policy", "diff", "x", "active").line
    assert "no such bundle" in remit("policy", "diff", "shadow", "active").line
    assert "2 bundles begin so" in remit("policy", "diff", "", "active").line


def test_roles_that_nobody_has_are_warned_of_where_there_is_a_database(credit, remit):
    assert "role" not in remit("policy", "check").out
    credit("15.00 EUR")
    assert "credits.yaml:11: nobody has the role `lead`" in remit("policy", "check").out
    remit("people", "add", "eve", "--role=lead")
    assert "role" not in remit("policy", "check").out
    remit("people", "disable", "eve")
    assert "nobody has the role" in remit("policy", "check").out


def test_the_schema_is_printed(desk, remit):
    assert json.loads(remit("policy", "schema").out)["title"] == "PolicyFile"
    assert json.loads(remit("policy", "schema", "--tests").out)["title"] == "CaseFile"
    assert "yaml-language-server: $schema=" in remit("policy", "schema", "--help").out


def test_the_example_is_tested_to_its_last_rule(tmp_path, remit, monkeypatch):
    shutil.copytree(EXAMPLES / "support", tmp_path / "support")
    monkeypatch.chdir(tmp_path / "support")
    ended = remit("policy", "test", "--coverage-required", "--json")
    assert ended.code == 0
    assert ended.document["unmatched"] == []
    assert len(ended.document["results"]) >= 29


@pytest.mark.parametrize("named", ["nowhere", "nowhere_test.yaml"])
def test_what_is_not_there_cannot_be_tested(desk, remit, named):
    assert named in remit("policy", "test", named).line
