"""Properties of every set of rules, each beside a broken decision that it catches."""

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.policies import Decision, Inputs, Policies, Then, decide, load
from tests.policies.shop import SHAPES, document, inputs

Decide = Callable[[Policies, Inputs], Decision]

# Each is true, false, or an error, depending on the inputs below.
CONDITIONS = (
    "true",
    "false",
    "facts.payment.disputed",
    "!facts.payment.disputed",
    "has(facts.payment.disputed) && facts.payment.disputed",
    "facts.payment.customer == subject.id",
    'arguments.amount.currency == "EUR" && arguments.amount.minor > 5000',
    "facts.profile.trusted",
    "facts.profile.orders > 3 || facts.payment.disputed",
    "facts.payment.settled < now",
    "now - facts.payment.created < duration('48h')",
    "1 / (arguments.amount.minor - 1 + (arguments.amount.currency == 'EUR' ? 0 : 1)) >= 0",
)
KINDS = {then: ", approval: {by: finance}" if then is Then.REQUIRE_APPROVAL else "" for then in Then}

rules = st.lists(st.tuples(st.sampled_from(sorted(Then)), st.sampled_from(CONDITIONS)), max_size=5)
situations = st.builds(
    inputs,
    amount=st.sampled_from([1, 100, 9900]),
    currency=st.sampled_from(["EUR", "JPY"]),
    payment=st.fixed_dictionaries(
        {
            "disputed": st.sampled_from([True, False, None, "no"]),
            "customer": st.sampled_from(["cus_kim", "cus_lee", None]),
            "settled": st.sampled_from(["2026-03-01T00:00:00Z", None]),
            "created": st.sampled_from(["2026-03-01T10:00:00Z", "2020-01-01T00:00:00+01:00", None, "never"]),
        }
    ),
    profile=st.sampled_from([None, {}, {"trusted": True}, {"trusted": "yes"}, {"orders": 5}, {"orders": "many"}]),
)
quick = settings(max_examples=60, deadline=None)


def write(written) -> list[str]:
    return [
        f'{{id: r{place}, when: "{when}", then: {then}{KINDS[then]}}}'.replace('== "EUR"', "== 'EUR'")
        for place, (then, when) in enumerate(written)
    ]


def loaded(lines: list[str]) -> Policies:
    return load({"refunds.yaml": document(*lines)} if lines else {}, SHAPES)


def adding_never_permits(decide: Decide, written, more, situation) -> None:
    lines = write([*written, more])
    before, after = decide(loaded(lines[:-1]), situation), decide(loaded(lines), situation)
    assert after.allowed <= before.allowed
    if after.allowed:
        assert set(before.requirements) <= set(after.requirements)


def order_never_matters(decide: Decide, written, situation) -> None:
    lines = write(written)
    decisions = [decide(loaded(list(each)), situation) for each in list(permutations(lines))[:: max(1, len(lines) * 2)]]
    split = load(
        {f"{at}.yaml": document(line).replace("policy: refunds", f"policy: p{at}") for at, line in enumerate(reversed(lines))}, SHAPES
    )
    assert len({replace(each, policy_digest="") for each in decisions}) == 1
    assert decide(split, situation).allowed == decisions[0].allowed
    assert len(decide(split, situation).requirements) == len(decisions[0].requirements)


def an_error_never_allows(decide: Decide, written, situation) -> None:
    policies = loaded(write(written))
    results = [(rule.then, rule.when.evaluate(situation)) for rule in policies.rules_for("refund_payment")]
    if decide(policies, situation).allowed:
        assert (Then.ALLOW, True) in results
        assert not [result for then, result in results if then is Then.DENY and result is not False]
        must = [result for then, result in results if then not in {Then.ALLOW, Then.DENY} and result is not False]
        assert len(decide(policies, situation).requirements) == len(must)


@quick
@given(rules, st.tuples(st.sampled_from(sorted(set(Then) - {Then.ALLOW})), st.sampled_from(CONDITIONS)), situations)
def test_adding_a_rule_other_than_allow_never_makes_a_decision_more_permissive(written, more, situation):
    adding_never_permits(decide, written, more, situation)


@settings(max_examples=25, deadline=None)
@given(rules, situations)
def test_the_order_of_rules_and_files_never_matters(written, situation):
    order_never_matters(decide, written or [("allow", "true")], situation)


@quick
@given(rules, situations)
def test_an_error_never_allows(written, situation):
    an_error_never_allows(decide, written, situation)


@quick
@given(rules, situations)
def test_evaluating_together_gives_what_one_by_one_gives(written, situation):
    policies = loaded(write(written))
    if written:
        ruleset = policies.rulesets["refund_payment"]
        assert ruleset.evaluate(situation)[0] == [rule.when.evaluate(situation) for rule in ruleset.rules]


def any_match_permits(policies: Policies, situation: Inputs) -> Decision:
    decision = decide(policies, situation)
    return replace(decision, allowed=any(match.then is not Then.DENY for match in decision.matched))


def the_last_rule_wins(policies: Policies, situation: Inputs) -> Decision:
    decision = decide(policies, situation)
    matched = {match.rule for match in decision.matched}
    last = [rule for rule in sorted(policies.rules_for("refund_payment"), key=lambda rule: rule.line) if rule.name in matched][-1:]
    return replace(decision, allowed=bool(last) and last[0].then is Then.ALLOW)


def an_error_is_true(policies: Policies, situation: Inputs) -> Decision:
    decision = decide(policies, situation)
    rules = policies.rules_for("refund_payment")
    errors = {error.rule for error in decision.errors}
    return replace(decision, allowed=decision.allowed or any(rule.then is Then.ALLOW and rule.name in errors for rule in rules))


def test_a_requirement_that_permits_is_caught():
    with pytest.raises(AssertionError):
        adding_never_permits(any_match_permits, [], ("require_approval", "true"), inputs())


def test_an_order_that_matters_is_caught():
    with pytest.raises(AssertionError):
        order_never_matters(the_last_rule_wins, [("allow", "true"), ("deny", "true")], inputs())


def test_an_error_that_allows_is_caught():
    with pytest.raises(AssertionError):
        an_error_never_allows(an_error_is_true, [("allow", "facts.profile.trusted")], inputs())
