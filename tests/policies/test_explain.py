"""Every decision can be explained: what each rule saw, which part of it was false, and where everything is written."""

import json
from dataclasses import replace

from hypothesis import given as hypothesis_given
from hypothesis import settings

from remit.policies import EvaluationError, Explained, Headroom, Then, decide, explain, load
from tests.policies.shop import SHAPES, inputs, policies
from tests.policies.test_properties import loaded, rules, situations, write

TEXT = """policy: refunds
actions: [refund_payment]
requires: [cancel_order]
define: {in_euro: arguments.amount.currency == "EUR"}
rules:
  - {id: ok, when: "in_euro && arguments.amount.minor > 5000 && !has(arguments.note)", then: allow}
  - {id: late, when: facts.payment.settled < now && facts.payment.disputed, then: deny}
  - {id: own, when: facts.payment.customer == subject.id, then: require_confirmation}
limits:
  - {id: month, measure: arguments.amount, currency: EUR, window: 30d, at_most: 20000}
  - {id: odd, measure: facts.profile.number, window: 30d, at_most: 20000}
"""
POLICIES = load({"refunds.yaml": TEXT}, SHAPES)
GIVEN = replace(inputs(), usage={"refunds/month": {"used": 100}})


def test_each_rule_says_what_it_saw_and_which_part_of_it_was_false():
    missing = EvaluationError("refunds/late", "`settled` is missing: test it with has()")
    assert explain(POLICIES, GIVEN).rules == (
        Explained(
            rule="refunds/late",
            then=Then.DENY,
            path="refunds.yaml",
            line=7,
            condition="facts.payment.settled < now && facts.payment.disputed",
            result=False,
            values={"facts.payment.settled": None, "now": GIVEN.now, "facts.payment.disputed": False},
            parts=(("facts.payment.settled < now", missing), ("facts.payment.disputed", False)),
        ),
        Explained(
            rule="refunds/ok",
            then=Then.ALLOW,
            path="refunds.yaml",
            line=6,
            condition="in_euro && arguments.amount.minor > 5000 && !has(arguments.note)",
            result=False,
            values={"arguments.amount.currency": "EUR", "arguments.amount.minor": 4990, "arguments.note": None},
            parts=(("in_euro", True), ("arguments.amount.minor > 5000", False), ("!has(arguments.note)", True)),
        ),
        Explained(
            rule="refunds/own",
            then=Then.REQUIRE_CONFIRMATION,
            path="refunds.yaml",
            line=8,
            condition="facts.payment.customer == subject.id",
            result=True,
            values={"facts.payment.customer": "cus_kim", "subject.id": "cus_kim"},
        ),
    )


def test_limits_and_prerequisites_say_where_they_stand():
    explanation = explain(POLICIES, GIVEN)
    [(month, headroom), (odd, error)] = explanation.limits
    assert (month.name, month.path, month.line, headroom) == (
        "refunds/month",
        "refunds.yaml",
        10,
        Headroom("refunds/month", 100, 4990, 20_000, "EUR"),
    )
    assert (odd.line, error) == (11, EvaluationError("refunds/odd", "`profile` is missing: test it with has()"))
    [(required, met)] = explanation.requires
    assert (required.action, required.path, required.line, met) == ("cancel_order", "refunds.yaml", 3, False)
    assert explain(POLICIES, replace(GIVEN, done=("cancel_order",))).requires[0][1]


def test_an_explanation_is_json():
    explanation = explain(POLICIES, GIVEN)
    shown = json.loads(json.dumps(explanation.to_json()))
    assert shown["decision"] == decide(POLICIES, GIVEN).to_json()
    assert shown["rules"][0]["parts"][0] == {
        "condition": "facts.payment.settled < now",
        "result": {"error": "`settled` is missing: test it with has()"},
    }
    assert "parts" not in shown["rules"][2]
    assert shown["limits"] == [
        {"limit": "refunds/month", "path": "refunds.yaml", "line": 10, "used": 100, "takes": 4990, "at_most": 20_000, "currency": "EUR"},
        {"limit": "refunds/odd", "path": "refunds.yaml", "line": 11, "error": "`profile` is missing: test it with has()"},
    ]
    assert shown["requires"] == [{"action": "cancel_order", "path": "refunds.yaml", "line": 3, "met": False}]


def test_only_a_chain_of_and_has_parts():
    for condition in ("false || false && false", "true ? false && true : true", "!(true && true)", "[1].exists(x, x > 1 && true)"):
        [rule] = explain(policies(f"{{id: a, when: '{condition}', then: deny}}"), inputs()).rules
        assert (rule.result, rule.parts) == (False, ())
    [rule] = explain(policies('{id: a, when: \'"&&" == "x" && (true || false) // && no\', then: deny}'), inputs()).rules
    assert rule.parts == (('"&&" == "x"', False), ("(true || false) // && no", True))


def test_an_action_that_no_policy_names_is_explained_as_well():
    explanation = explain(POLICIES, replace(GIVEN, action="cancel_order"))
    assert (explanation.rules, explanation.decision.reason) == ((), "no rule allows cancel_order")


@settings(max_examples=40, deadline=None)
@hypothesis_given(rules, situations)
def test_an_explanation_agrees_with_the_decision(written, situation):
    made = loaded(write(written))
    explanation = explain(made, situation)
    assert explanation.decision == decide(made, situation)
    counted = {each.rule for each in explanation.rules if each.result is True or (each.result is not False and each.then is not Then.ALLOW)}
    assert counted == {match.rule for match in explanation.decision.matched}
