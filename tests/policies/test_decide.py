"""Deny wins, requirements add up, no match denies, and an error never allows."""

import copy
import json
from dataclasses import replace
from importlib import import_module

import pytest

from remit.policies import Decision, EvaluationError, Inputs, Match, Requirement, Then, decide, explain, measure
from tests.policies.shop import inputs, policies

ALLOW = "{id: own, when: facts.payment.customer == subject.id, then: allow, reason: It is their own payment.}"
DENY = "{id: disputed, when: facts.payment.disputed, then: deny, reason: It is disputed., say: A colleague will help.}"
LARGE = (
    "{id: large, when: 'arguments.amount.currency != \"EUR\" || arguments.amount.minor > 5000', then: require_approval,"
    " approval: {by: finance, within: 4h}, say: Somebody will look at it.}"
)
ANY = "{id: any, then: require_approval, approval: {by: support-leads}}"


def test_a_matching_allow_allows():
    decision = decide(policies(ALLOW), inputs())
    assert decision.allowed
    assert decision.matched == (Match("refunds/own", Then.ALLOW, "It is their own payment."),)
    assert (decision.requirements, decision.errors, decision.say) == ((), (), None)
    assert decision.reason == "refunds/own: It is their own payment."


def test_no_match_denies():
    decision = decide(policies(ALLOW), inputs(payment={"customer": "cus_lee"}))
    assert not decision.allowed
    assert decision.reason == "no rule allows refund_payment"


def test_an_action_that_no_policy_names_is_denied():
    given = Inputs.from_json(inputs().to_json() | {"action": "cancel_order"})
    assert not decide(policies("{id: all, then: allow}"), given).allowed


def test_deny_wins_and_only_its_text_may_be_said():
    decision = decide(policies(ALLOW, DENY, LARGE), inputs(amount=9900, payment={"disputed": True}))
    assert not decision.allowed
    assert decision.requirements == ()
    assert decision.say == "A colleague will help."
    assert decision.reason == "refunds/disputed: It is disputed."
    assert [match.rule for match in decision.matched] == ["refunds/disputed", "refunds/large", "refunds/own"]


def test_requirements_add_up():
    decision = decide(policies(ALLOW, ANY, LARGE), inputs(amount=5001))
    assert decision.allowed
    assert decision.requirements == (
        Requirement("approval", "refunds/any", "support-leads", 1, 86_400),
        Requirement("approval", "refunds/large", "finance", 1, 14_400),
    )
    assert decision.say == "Somebody will look at it."


def test_a_requirement_alone_allows_nothing():
    assert not decide(policies(ANY), inputs()).allowed


@pytest.mark.parametrize(("amount", "currency", "asked"), [(5000, "EUR", False), (5001, "EUR", True), (100, "JPY", True)])
def test_an_amount_is_compared_in_its_currency(amount, currency, asked):
    assert bool(decide(policies(ALLOW, LARGE), inputs(amount=amount, currency=currency)).requirements) is asked


def test_an_error_in_an_allow_does_not_match():
    decision = decide(policies(ALLOW), inputs(payment={"customer": None}))
    assert not decision.allowed
    assert decision.matched == ()
    assert decision.errors == (EvaluationError("refunds/own", "`customer` is missing: test it with has()"),)
    assert decision.reason == "no rule allows refund_payment; refunds/own can't be evaluated: `customer` is missing: test it with has()"


def test_an_error_in_a_deny_matches():
    decision = decide(policies(ALLOW, DENY), inputs(payment={"disputed": None}))
    assert not decision.allowed
    assert decision.reason.startswith("refunds/disputed counts because it can't be evaluated")


def test_an_error_in_a_requirement_matches():
    rule = "{id: late, when: 'facts.payment.settled < now', then: require_approval, approval: {by: finance}}"
    decision = decide(policies(ALLOW, rule), inputs())
    assert decision.allowed
    assert [requirement.rule for requirement in decision.requirements] == ["refunds/late"]


def test_the_truthy_trap_would_be_caught(monkeypatch):
    # The control: CEL's error is a non-empty text, and a naive evaluation takes it for true.
    monkeypatch.setattr(import_module("remit.policies.decide"), "_counts", lambda _rule, result: bool(result))
    assert decide(policies(ALLOW), inputs(payment={"customer": None})).allowed


@pytest.mark.parametrize(
    "broken",
    [
        {"facts": {}},
        {"facts": {"payment": "text"}},
        {"facts": {"payment": {"created": "yesterday"}}},
        {"facts": {"payment": {"created": 5}}},
        {"facts": {"payment": {"customer": object()}}},
        {"facts": {"payment": {"customer": "\ud800"}}},
        {"facts": {"payment": {"customer": 2**70}}},
        {"facts": {"payment": [[[]]]}},
        {"facts": None},
        {"facts": {"payment": {"customer": None}}},
        {"subject": {}},
        {"now": "soon"},
        {"now": None},
    ],
)
def test_inputs_that_fit_no_schema_deny_and_never_raise(broken):
    given = inputs()
    given = Inputs(**{name: getattr(given, name) for name in given.to_json()} | broken)
    recent = "{id: recent, when: 'facts.payment.customer == subject.id && now > facts.payment.created', then: allow}"
    decision = decide(policies(recent), given)
    assert not decision.allowed
    assert [error.rule for error in decision.errors] == ["refunds/recent"]
    assert decide(policies(recent), inputs()).allowed


@pytest.mark.parametrize("action", [None, [], {}, {"refund_payment": 1}, ("refund_payment",), 5])
def test_an_action_of_any_shape_denies_and_never_raises(action):
    odd, written = replace(inputs(), action=action), policies("{id: a, then: allow}")
    assert not decide(written, odd).allowed
    assert measure(written, odd) == ()
    assert explain(written, odd).rules == ()


def test_what_is_null_is_missing_however_deep():
    # `profile` is untyped, so what its loader gives comes as it is.
    cleared = policies("{id: a, when: 'has(facts.profile.checks.cleared)', then: allow}")
    assert decide(cleared, inputs(profile={"checks": {"cleared": True}})).allowed
    assert not decide(cleared, inputs(profile={"checks": {"cleared": None}})).allowed
    listed = policies("{id: a, when: 'facts.profile.checks.exists(one, has(one.cleared))', then: allow}")
    assert decide(listed, inputs(profile={"checks": [{"cleared": True}]})).allowed
    assert not decide(listed, inputs(profile={"checks": [{"cleared": None}]})).allowed


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_an_error_and_never_merely_not_more(number):
    written = policies("{id: ok, then: allow}", "{id: large, when: facts.profile.spent > 5, then: deny}")
    assert decide(written, inputs(profile={"spent": 4.5})).allowed
    for profile in ({"spent": number}, {"spent": 4, "others": [number]}):
        decision = decide(written, inputs(profile=profile))
        assert [error.rule for error in decision.errors] == ["refunds/large"]
        assert not decision.allowed


def test_a_value_nested_too_deep_for_cel_is_an_error_and_no_crash():
    nested: dict = {}
    for _ in range(100_000):
        nested = {"in": nested}
    rule = "{id: same, when: facts.profile == facts.profile, then: allow}"
    assert decide(policies(rule), inputs(profile={"in": {}})).allowed
    assert not decide(policies(rule), inputs(profile=nested)).allowed


def test_an_exhausted_budget_denies():
    rule = "{id: costly, when: 'facts.profile.all(a, facts.profile.all(b, true))', then: allow}"
    assert decide(policies(rule), inputs(profile=list(range(10)))).allowed
    assert not decide(policies(rule), inputs(profile=list(range(1000)))).allowed


def test_an_untyped_fact_that_is_no_boolean_does_not_allow():
    rule = "{id: flag, when: facts.profile.trusted, then: allow}"
    assert decide(policies(rule), inputs(profile={"trusted": True})).allowed
    for value in ("true", "yes", 1, [True], {"a": True}):
        decision = decide(policies(rule), inputs(profile={"trusted": value}))
        assert not decision.allowed
        assert decision.errors[0].message.startswith("gave ")


def test_an_error_message_holds_no_value_of_the_inputs():
    rules = [
        "{id: a, when: 'facts.profile[arguments.payment_id] == 1', then: allow}",
        "{id: b, when: 'int(arguments.payment_id) > 1', then: allow}",
        "{id: c, when: '\"x\".matches(arguments.payment_id)', then: allow}",
        "{id: d, when: 'timestamp(arguments.payment_id) < now', then: allow}",
        "{id: e, when: 'facts.profile.list[arguments.payment_id]', then: allow}",
    ]
    decision = decide(policies(*rules), inputs(arguments={"payment_id": "(kim@example.org"}, profile={"list": ["x"]}))
    assert len(decision.errors) == len(rules)
    assert "kim" not in json.dumps(decision.to_json())


def test_deciding_changes_nothing_and_is_repeatable():
    rules, given = policies(ALLOW, DENY, LARGE), inputs(amount=7000)
    before = copy.deepcopy(given)
    assert decide(rules, given) == decide(rules, given)
    assert given == before


def test_a_recorded_decision_can_be_made_again():
    rules = policies(ALLOW, DENY, LARGE, ANY)
    for given in (inputs(), inputs(amount=9900), inputs(payment={"disputed": True}), inputs(payment={"disputed": None})):
        decision = decide(rules, given)
        record = json.dumps({"inputs": given.to_json(), "decision": decision.to_json()})
        read = json.loads(record)
        assert Inputs.from_json(read["inputs"]) == given
        assert Decision.from_json(read["decision"]) == decision
        assert decide(rules, Inputs.from_json(read["inputs"])).to_json() == read["decision"]


def test_the_policies_say_which_facts_to_load():
    rules = policies(ALLOW, "{id: trusted, when: has(facts.profile), then: deny}")
    assert rules.facts_for("refund_payment") == {"payment", "profile"}
    assert policies(ALLOW).facts_for("refund_payment") == {"payment"}
    assert policies(LARGE).facts_for("refund_payment") == frozenset()
    assert policies("{id: all, when: size(dyn(facts)) > 1, then: allow}").facts_for("refund_payment") == {"payment", "profile"}
    assert policies(ALLOW).facts_for("cancel_order") == frozenset()
