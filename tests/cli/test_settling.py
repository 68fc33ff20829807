"""What is done from the command line about calls that were sent, or that must not be: cancelled, resolved, undone, reversed."""

import pytest

LOST = '    raise ConnectionResetError("the answer was lost")\n    return Credit('
AT_ONCE = "from dataclasses import replace\nfrom datetime import timedelta\n\nfrom remit import Context, Money, action, once, read\n\nonce = replace(once, settle=timedelta(milliseconds=1))\n"


@pytest.fixture
def lost(desk, credit, remit):
    """The id of a call whose answer was lost, and olga, who may resolve it."""
    orders = desk / "actions" / "orders.py"
    text = orders.read_text().replace("from remit import Context, Money, action, once, read\n", AT_ONCE)
    orders.write_text(text.replace("    return Credit(", LOST))
    assert remit("people", "add", "olga", "--role=operator").code == 0
    ended = credit("15.00 EUR", "--json")
    assert ended.code == 1 and ended.document["state"] == "unknown"
    orders.write_text(text)
    return ended.document["call"]


@pytest.mark.parametrize(("flag", "state"), [("--applied", "succeeded"), ("--not-applied", "failed")])
def test_a_call_of_unknown_outcome_is_resolved(lost, remit, flag, state):
    ended = remit("calls", "resolve", lost, flag, "--as=olga", "--reason=it is in the list", "--json")
    assert (ended.code, ended.document["state"]) == (0, state)
    document = remit("calls", "show", lost, "--json").document
    resolved = next(event for event in document["events"] if event["kind"] == "call.resolved")
    assert resolved["body"] == {"applied": flag == "--applied", "by": "olga", "via": "local operator"}
    assert resolved["personal"] == {"/reason": "it is in the list"}


def test_it_must_be_said_which(lost, remit):
    assert "--applied or --not-applied" in remit("calls", "resolve", lost, "--as=olga", "--reason=x").line
    assert "operator" in remit("calls", "resolve", lost, "--applied", "--as=nobody", "--reason=x").line


def test_the_list_says_who_must_act(lost, remit):
    listed = remit("calls", "list", "--state=unknown")
    assert "an operator" in listed.out and "remit calls resolve" in listed.out
    (one,) = remit("calls", "list", "--state=unknown", "--json").document["calls"]
    assert one["settled_by"] == "person"
    assert "an operator: remit calls resolve" in remit("calls", "show", lost).out


def test_the_dead_are_listed_apart(credit, remit):
    credit("15.00 EUR")
    assert remit("calls", "list", "--dead", "--json").document == {"calls": []}
    assert "No call waits" in remit("calls", "list", "--dead").out
    assert "leave --state" in remit("calls", "list", "--dead", "--state=unknown").line


def test_a_call_that_waits_is_cancelled(waiting, remit):
    ended = remit("calls", "cancel", waiting, "--reason=ordered twice", "--json")
    assert (ended.code, ended.document["state"]) == (0, "cancelled")
    assert "already ended" in remit("calls", "cancel", waiting).line


def test_a_call_that_cools_off_is_shown_so_and_cancelled(desk, credit, remit):
    policy = desk / "policies" / "credits.yaml"
    policy.write_text(policy.read_text().replace("    then: allow\n", "    then: allow\n    delay: 10m\n"))
    assert remit("policy", "reload").code == 0
    ended = credit("15.00 EUR")
    assert ended.code == 0 and "It will be done after" in ended.out
    call = remit("calls", "list", "--state=ready", "--json").document["calls"][0]["id"]
    assert "cools off until" in remit("calls", "show", call).out
    assert remit("calls", "cancel", call).code == 0


UNDO = '''

@action(effect=once, key="taking:{order_id}", facts={"order": load_order}, owns="facts.order.customer == subject.id")
async def take_credit(ctx: Context, order_id: str) -> str:
    """Take a credit back."""
    return "taken"
'''


def test_a_call_is_undone_by_another_that_is_linked_to_it(desk, credit, remit):
    orders = desk / "actions" / "orders.py"
    orders.write_text(orders.read_text().replace('key="credit:{order_id}", ', 'key="credit:{order_id}", undo="take_credit", ') + UNDO)
    policy = desk / "policies" / "takings.yaml"
    policy.write_text("policy: takings\nactions: [take_credit]\nrules:\n  - {id: staff, when: principal.kind == 'person', then: allow}\n")
    assert remit("policy", "reload").code == 0
    first = credit("15.00 EUR", "--json").document["call"]
    ended = remit("calls", "undo", first, "--reason=booked twice", "--json")
    assert (ended.code, ended.document["action"]) == (0, "take_credit")
    shown = remit("calls", "show", first)
    assert ended.document["call"] in shown.out and "undone" in shown.out
    assert remit("calls", "show", ended.document["call"], "--json").document["undoes"] == first


def test_a_call_without_one_says_what_to_do(credit, remit):
    first = credit("15.00 EUR", "--json").document["call"]
    assert f"remit calls reversed {first}" in remit("calls", "undo", first).line


def test_what_a_provider_has_reversed_is_taken_down(credit, remit):
    first = credit("15.00 EUR", "--json").document["call"]
    for _ in range(2):
        ended = remit("calls", "reversed", first, "--code=card_closed", "--reference=re_1", "--json")
        assert (ended.code, ended.document["taken_back"]) == (0, "reversed")
    events = [one for one in remit("calls", "show", first, "--json").document["events"] if one["kind"] == "effect.reversed"]
    assert [one["body"] for one in events] == [{"code": "card_closed", "by": "local operator", "reference": "re_1"}]
    again = credit("15.00 EUR", "--json").document
    assert again["state"] == "succeeded" and again["call"] != first
