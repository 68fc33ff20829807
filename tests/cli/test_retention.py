"""`remit retention`: what is declared, what would be pruned, and pruning."""

import re

import pytest


@pytest.fixture
def declared(desk):
    """The desk of `remit init`, with a retention."""
    file = desk / "app.py"
    text = file.read_text().replace("from remit import Runtime", "from remit import Retention, Runtime")
    file.write_text(
        re.sub(r"runtime = Runtime\((.*)\)\n", r'runtime = Runtime(\1, retention=Retention("400d", {"effects": "800d"}))\n', text)
    )
    assert "Retention(" in file.read_text()
    return desk


def test_without_one_it_says_so(desk, remit):
    assert "nothing is ever pruned" in remit("retention", "show").out
    assert remit("retention", "show", "--json").document == {"declared": None, "plan": None}
    assert "No retention is declared" in remit("retention", "prune", "--by", "eve").line


def test_what_is_declared_and_what_keeps_the_rest(declared, remit):
    shown = remit("retention", "show").out
    assert "400 days" in shown and "800 days" in shown and "first to be kept" in shown
    document = remit("retention", "show", "--json").document
    assert document["declared"]["effects"]["days"] == 800
    assert (document["plan"]["events"], document["plan"]["kept_by"]["why"]) == (0, "class")


def test_nothing_to_prune(declared, remit):
    assert remit("retention", "prune", "--by", "eve", "--dry-run", "--json").document["events"] == 0
    assert "nothing to prune" in remit("retention", "prune", "--by", "eve").out
    assert remit("retention", "prune", "--by", "eve", "--json").document["deleted"] == 0


def test_less_than_the_floor_is_refused(declared, remit):
    file = declared / "app.py"
    file.write_text(file.read_text().replace("400d", "30d"))
    assert "the floor is 183" in remit("retention", "show").line
