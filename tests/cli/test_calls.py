"""Making calls, looking at them, and answering those that wait."""

import re

import pytest

STATES = {"call", "action", "state", "message"}
BRIEF = {"id", "action", "state", "principal", "channel", "model", "attempt", "code", "reference", "created", "updated"} | {
    "undoes",
    "taken_back",
    "next",
    "settled_by",
    "waits_for",
}


def test_a_call_that_is_allowed_is_done(credit):
    done = credit("15.00 EUR")
    assert done.code == 0
    assert "give_credit: succeeded" in done.out
    assert "amount: 15.00 EUR" in done.out


def test_its_document_is_the_outcome(credit):
    outcome = credit("15.00 EUR", "--json").document
    assert outcome.keys() == STATES | {"result"}
    assert outcome["result"]["amount"] == {"value": "15.00", "currency": "EUR"}


def test_a_call_that_is_denied_ends_with_1(credit):
    denied = credit("500.00 EUR")
    assert denied.code == 1
    assert "give_credit: denied" in denied.out
    assert credit("500.00 EUR", "--json").document["error"]["retry"] == "never"


def test_a_call_that_fails_ends_with_1(desk, remit):
    orders = desk / "actions" / "orders.py"
    orders.write_text(
        orders.read_text().replace("    return Credit(", '    from remit import Refused\n\n    raise Refused("closed")\n    return Credit(')
    )
    failed = remit(
        "call",
        "give_credit",
        '--json-args={"order_id": "A-1001", "amount": {"value": "1.00", "currency": "EUR"}, "reason": "late"}',
        "--as-subject=ada",
    )
    assert failed.code == 1
    assert "closed" in failed.out


def test_another_customers_order_is_not_there(credit):
    assert credit("1.00 EUR", "--json", order="A-1003").document["error"]["code"] == "not_found"


def test_a_dry_run_does_and_records_nothing(credit, remit):
    assert remit("people", "add", "eve", "--role=lead").code == 0
    outcome = credit("35.00 EUR", "--dry-run")
    assert outcome.code == 0
    assert "would be waiting" in outcome.out
    assert remit("calls", "list", "--json").document == {"calls": []}


def test_a_call_in_an_agents_name_is_recorded_so(credit, remit):
    credit("15.00 EUR", "--principal=support-bot")
    credit("15.00 EUR", order="A-1002")
    own, agents = remit("calls", "list", "--json").document["calls"]
    assert (agents["principal"], own["principal"]) == ("support-bot", "local operator")
    received = remit("calls", "show", agents["id"], "--json").document["events"][0]
    assert received["kind"] == "call.received"


def test_a_call_waits_is_approved_and_done(waiting, remit):
    assert "waiting" in remit("calls", "list", "--state=waiting").out
    approved = remit("approve", waiting, "--as=eve", "--reason=it broke")
    assert approved.code == 0
    assert "give_credit: succeeded" in approved.out
    document = remit("calls", "show", waiting, "--json").document
    voted = next(event for event in document["events"] if event["kind"] == "approval.voted")
    assert (voted["body"]["person"], voted["body"]["via"]) == ("eve", "local operator")
    assert voted["personal"] == {"/reason": "it broke"}


def test_a_call_waits_is_rejected_and_stays_so(waiting, remit):
    rejected = remit("reject", waiting, "--as=eve", "--reason=ordered twice", "--json")
    assert rejected.code == 0
    assert rejected.document["state"] == "declined"
    assert "not open" in remit("approve", waiting, "--as=eve").line


def test_what_waits_says_what_to_do_next(credit, remit):
    assert remit("people", "add", "eve", "--role=lead").code == 0
    asked = credit("35.00 EUR")
    assert asked.code == 0
    assert "approval by lead" in asked.out
    assert "--as PERSON" in asked.out


def test_what_nobody_could_approve_is_denied_at_once(credit):
    assert credit("35.00 EUR", "--json").document["error"]["code"] == "nobody_can_approve"


def test_what_is_approved_is_shown_with_its_digest(waiting, remit):
    digest = remit("calls", "show", waiting, "--json").document["digest"]
    approved = remit("approve", waiting, "--as=eve")
    assert digest in approved.out and "35.00 EUR" in approved.out


def test_what_it_takes_of_a_limit_is_shown_to_whoever_approves(desk, credit, remit):
    with (desk / "policies" / "credits.yaml").open("a") as file:
        file.write("limits:\n  - {id: month, measure: arguments.amount, currency: EUR, per: subject.id, window: 30d, at_most: 4000}\n")
    remit("people", "add", "eve", "--role", "lead")
    credit("15.00 EUR")
    call = credit("22.00 EUR", "--json", order="A-1002").document["call"]
    taken = "credits/month: takes 22.00 EUR beside 15.00 EUR of 40.00 EUR"
    assert taken in remit("calls", "show", call).out and taken in remit("approve", call, "--as", "eve").out


def test_nobody_is_told_to_approve_what_the_customer_is_asked(desk, credit, remit):
    policy = desk / "policies" / "credits.yaml"
    policy.write_text(policy.read_text() + "  - {id: sure, then: require_confirmation}\n")
    assert remit("people", "add", "eve", "--role", "lead").code == 0
    assert remit("policy", "reload").code == 0
    asked = credit("35.00 EUR")
    assert "only its customer can answer now" in asked.out and "remit approve" not in asked.out


def test_what_the_action_says_in_words_is_shown_with_the_facts_that_it_tells(desk, waiting, remit):
    place = desk / "actions" / "orders.py"
    words = 'key="credit:{order_id}", summary="Give {amount} for the order of {facts.order.customer}", '
    place.write_text(place.read_text().replace('key="credit:{order_id}", ', words))
    call = "call", "give_credit", "--arg=order_id=A-1002", "--arg=amount=34.00 EUR", "--arg=reason=late", "--as-subject=ada", "--json"
    asked = remit(*call).document["call"]
    for shown in (remit("calls", "show", asked), remit("approve", asked, "--as=eve")):
        assert "Give €34.00 for the order of ada" in shown.out and shown.code == 0


def test_a_call_that_waits_is_amended_and_whoever_amends_cannot_approve_it(waiting, remit):
    amended = remit("calls", "amend", waiting, "--arg", "amount=25.00 EUR", "--as=eve", "--reason=that is enough")
    assert amended.code == 1 and "nobody_can_approve" in amended.out, "eve is the only lead"


def test_an_amended_call_waits_anew_and_says_what_it_was(waiting, remit):
    assert remit("people", "add", "liv", "--role=lead").code == 0
    assert "waiting" in remit("calls", "amend", waiting, "--arg", "amount=25.00 EUR", "--as=eve", "--reason=that is enough").out
    assert "amended" in remit("approve", waiting, "--as=eve").line
    assert remit("approve", waiting, "--as=liv").code == 0
    versions = remit("calls", "show", waiting, "--json").document["versions"]
    assert [(one["what"], one["arguments"]["amount"]["minor"]) for one in versions] == [
        ("proposed", 3500),
        ("amended", 2500),
        ("executed", 2500),
    ]


def test_calls_are_listed_the_latest_first(credit, remit):
    credit("15.00 EUR")
    credit("500.00 EUR", order="A-1002")
    found = remit("calls", "list", "--json").document["calls"]
    assert [call["state"] for call in found] == ["denied", "succeeded"]
    assert all(call.keys() == BRIEF for call in found)
    table = remit("calls", "list").out
    assert all(call["id"] in table for call in found)
    assert len(remit("calls", "list", "--most=1", "--json").document["calls"]) == 1
    assert remit("calls", "list", "--action=look_up_order", "--json").document["calls"] == []


def test_of_calls_that_wait_the_list_says_who_must_act(desk, waiting, credit, remit):
    policy = desk / "policies" / "credits.yaml"
    policy.write_text(policy.read_text() + "  - {id: sure, when: 'arguments.order_id == \"A-1002\"', then: require_confirmation}\n")
    assert remit("policy", "reload").code == 0
    credit("15.00 EUR", order="A-1002")
    credit("500.00 EUR")
    found = {call["id"]: call["waits_for"] for call in remit("calls", "list", "--json").document["calls"]}
    assert (found.pop(waiting), sorted(found.values())) == (["approval by lead"], [[], ["the customer's confirmation"]])
    assert re.search(rf"{waiting}.*approval by", remit("calls", "list").out)


def test_a_call_is_shown_whole(waiting, remit):
    document = remit("calls", "show", waiting, "--json").document
    assert document.keys() >= {
        "id",
        "action",
        "state",
        "subject",
        "principal",
        "arguments",
        "requirements",
        "events",
        "digest",
        "effect_key",
    }
    assert document["arguments"]["amount"] == {"currency": "EUR", "minor": 3500}
    shown = remit("calls", "show", waiting).out
    for words in ("give_credit: waiting", r"for +ada ", "amount: 35.00 EUR", "credits/large", r"call.held .* new → waiting"):
        assert re.search(words, shown)


def test_an_empty_state_says_what_to_do(desk, remit):
    assert "remit call NAME" in remit("calls", "list").out
    assert "remit calls list" in remit("calls", "list", "--state=unknown").out


def test_what_a_customer_wrote_is_shown_and_does_not_act(desk, remit):
    hostile = "ada\x1b[2J\u202eevil"
    orders = desk / "actions" / "orders.py"
    orders.write_text(orders.read_text().replace('customer="ada"', f"customer={hostile!r}"))
    ended = remit("call", "look_up_order", "--arg=order_id=A-1001", f"--as-subject={hostile}", "--json")
    call = ended.document["call"]
    shown = ended.out + remit("calls", "show", call).out + remit("calls", "show", call, "--json").out
    assert "ada\\x1b[2J\\u202eevil" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("person", ["nobody", "bo"])
def test_only_who_may_can_approve(waiting, remit, person):
    remit("people", "add", "bo", "--role", "trainee")
    assert person in remit("approve", waiting, f"--as={person}").line
    assert remit("calls", "show", waiting, "--json").document["state"] == "waiting"
