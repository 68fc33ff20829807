"""`remit policy` explain, replay, shadow, propose, activate and bundles, in a desk as `remit init` makes it."""

import re
from pathlib import Path

import pytest

CHANGES = """
policy: changes
actions: [activate_policies]
rules:
  - {id: staff, then: allow}
  - id: another
    then: require_approval
    approval: {by: lead, votes: 1, within: 4h}
"""


@pytest.fixture
def people(desk, remit):
    for person in ("eve", "sam", "kim"):
        assert remit("people", "add", person, "--role", "lead").code == 0


@pytest.fixture
def candidate(desk):
    """The policies of the desk, but for a limit that is tighter."""
    folder = Path("candidate")
    folder.mkdir()
    for file in Path("policies").glob("*.yaml"):
        if not file.name.endswith("_test.yaml"):
            (folder / file.name).write_text(re.sub(r"minor > \d+", "minor > 100", file.read_text()))
    return folder


def test_explain_shows_rules_places_and_values_in_80_columns(credit, remit, monkeypatch):
    monkeypatch.setattr("remit.cli.output._PIPED", 80)
    call = credit("5.00 EUR", "--json").document["call"]
    shown = remit("policy", "explain", call).out
    assert "allowed" in shown and "the same again" in shown and ".yaml:" in shown
    assert max(map(len, shown.splitlines())) <= 80
    every = remit("policy", "explain", call, "--all").out
    assert "What did not" in every and "arguments.amount" in every
    document = remit("policy", "explain", call, "--json").document
    assert document["reproduced"] and document["rules"]
    assert remit("policy", "explain", "call_0").code == 2


def test_replay_says_what_another_folder_would_have_done(credit, candidate, remit):
    call = credit("5.00 EUR", "--json").document["call"]
    same = remit("policy", "replay", "policies").out
    assert "1 calls, the last 30d" in same
    found = remit("policy", "replay", "candidate", "--since", "7d", "--json").document
    assert found["flipped"] == 1 and found["flips"][0]["call"] == call and found["money"]
    shown = remit("policy", "replay", "candidate").out
    assert call in shown and "5.00 EUR" in shown and "approvals a day" in shown
    assert "--all lists them" in remit("policy", "replay", "candidate", "--most", "0").out
    assert "--since" in remit("policy", "replay", "candidate", "--since", "soon").line
    assert "no such bundle" in remit("policy", "replay", "0000").line


def test_shadow_begins_reports_and_ends(people, credit, candidate, remit):
    assert "Decided beside" in remit("policy", "shadow", "candidate", "--as", "eve").out
    assert credit("5.00 EUR").code == 0
    assert remit("policy", "shadow", "--report", "--json").document["flipped"] == 1
    assert "decided beside" in remit("policy", "bundles").out
    assert remit("policy", "shadow", "--off", "--as", "eve").out == "Nothing is decided beside the one in force.\n"
    assert "say one of these" in remit("policy", "shadow").line
    assert "no active person" in remit("policy", "shadow", "candidate", "--as", "nobody").line


@pytest.fixture
def managed(people):
    Path("policies/changes.yaml").write_text(CHANGES)
    app = Path("app.py").read_text()
    changed = re.sub(r"policies=[^,)]+", 'policies="managed"', app).replace("remit.db", "managed.db")
    assert changed != app
    Path("app.py").write_text(
        changed if "database=" in changed else changed.replace('policies="managed"', 'policies="managed", database="managed.db"')
    )


def test_managed_from_the_first_bundle_to_the_next(managed, credit, remit):
    for person in ("eve", "sam", "kim"):
        remit("people", "add", person, "--role", "lead")
    assert credit("5.00 EUR").code == 1
    first = remit("policy", "propose", "policies", "--as", "eve", "--json").document["policy"]
    assert remit("policy", "activate", first[:10], "--as", "eve").code == 1
    assert "In force" in remit("policy", "activate", first[:10], "--as", "eve", "--first").out
    assert credit("5.00 EUR").code == 0

    notes = Path("policies/changes.yaml")
    notes.write_text(CHANGES + "    reason: Two look at it.\n")
    second = remit("policy", "propose", "policies", "--as", "eve", "--json").document["policy"]
    asked = remit("policy", "activate", second, "--as", "sam", "--json").document
    assert asked["state"] == "waiting"
    assert remit("approve", asked["call"], "--as", "eve").code == 2, "whoever wrote it does not approve it"
    assert remit("approve", asked["call"], "--as", "kim").code == 0
    kept = {one["digest"]: one for one in remit("policy", "bundles", "--json").document["bundles"]}
    assert kept[second]["active"] and kept[second]["author"] == "eve"
    assert "managed" in remit("policy", "reload").line


def test_a_folder_is_not_activated_by_a_call(people, remit):
    digest = remit("policy", "bundles", "--json").document["bundles"][0]["digest"]
    assert "reload" in remit("policy", "activate", digest, "--as", "eve").line
