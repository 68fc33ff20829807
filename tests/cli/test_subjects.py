"""`remit subject` and `remit hold`: give out, hold, let go, erase."""

import json

import pytest


@pytest.fixture
def asked(credit):
    return credit("5.00 EUR", "--json").document["call"]


def test_export_hold_erase(asked, desk, remit):
    assert "A-1001" in remit("subject", "export", "ada").out
    assert remit("subject", "export", "ada", "--json").document["calls"][0]["id"] == asked
    assert remit("subject", "export", "ada", "--out", "ada.json").code == 0
    assert json.loads((desk / "ada.json").read_text())["subject"] == "ada"
    assert (desk / "ada.json").stat().st_mode & 0o077 == 0
    assert "exists" in remit("subject", "export", "ada", "--out", "ada.json").line
    held = remit("hold", "place", "--subject", "ada", "--reason", "case 12", "--json").document["id"]
    why = ("--reason", "asked", "--legal-basis", "GDPR 17", "--by", "eve")
    assert held in remit("subject", "erase", "ada", *why).line
    assert held in remit("hold", "list").out
    assert remit("hold", "lift", held, "--reason", "closed").code == 0
    assert remit("hold", "list").out == "No legal hold stands.\n"
    assert remit("hold", "lift", held, "--reason", "closed").code == 2
    assert "backups open nothing" in remit("subject", "erase", "ada", *why).out
    assert "Nothing is held" in remit("subject", "export", "ada").line
    assert remit("subject", "complete").out == "There is nothing to complete.\n"
    assert "not yet" not in remit("subject", "erased").out
    assert len(remit("subject", "erased", "--json").document["erased"]) == 1
    assert remit("audit", "verify").code == 0


def test_what_cannot_be_tried(desk, remit):
    assert "name one thing" in remit("hold", "place", "--reason", "x").line
    assert "is not a time" in remit("hold", "place", "--reason", "x", "--since", "soon").line
    assert "Nothing is held" in remit("hold", "place", "--reason", "x", "--subject", "nobody").line
