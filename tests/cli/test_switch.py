"""`remit switch`: stop, look, and let go on."""

import pytest


@pytest.fixture
def eve(desk, remit):
    assert remit("people", "add", "eve", "--role", "lead").code == 0


def test_throw_list_lift(eve, credit, remit):
    thrown = remit("switch", "throw", "--action", "give_credit", "--reason", "paid twice", "--as", "eve")
    assert thrown.code == 0 and "SWITCHED OFF: action give_credit" in thrown.out and "paid twice" in thrown.out
    assert "Nothing of it was under way" in thrown.out
    refused = credit("5.00 EUR", "--json")
    assert refused.code == 1 and refused.document["error"]["code"] == "switched_off"
    assert "SWITCHED OFF" in remit("calls", "list").out, "said loudly where one looks first"
    assert remit("switch", "list", "--json").document["switches"][0]["by"] == "eve"
    again = remit("switch", "throw", "--action", "give_credit", "--json")
    assert not again.document["new"]
    assert remit("switch", "lift", "--action", "give_credit", "--as", "eve").out == "It goes on.\n"
    assert credit("5.00 EUR").code == 0
    assert remit("switch", "list").out == "Nothing is switched off.\n"
    assert remit("switch", "lift", "--action", "give_credit", "--as", "eve").code == 1
    assert "SWITCHED" not in remit("calls", "list").out


@pytest.mark.parametrize("named", [["--agent", "bot"], ["--tenant"], ["--all"]])
def test_agent_tenant_and_all(eve, remit, named):
    assert remit("switch", "throw", *named).code == 0
    assert len(remit("switch", "list", "--json").document["switches"]) == 1
    assert remit("switch", "lift", *named, "--as", "eve").code == 0


def test_what_cannot_be_tried(eve, remit):
    assert "did you mean 'give_credit'" in remit("switch", "throw", "--action", "give_credti").line
    assert "name one thing" in remit("switch", "throw").line
    assert "name one thing" in remit("switch", "throw", "--all", "--tenant").line
    assert "no active person" in remit("switch", "lift", "--all", "--as", "bot").line
