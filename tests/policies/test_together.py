"""Many conditions are evaluated as one expression, and it must never show."""

from remit.policies import decide
from tests.policies.shop import inputs, policies


def many(*more: str) -> list[str]:
    return [f"{{id: r{place}, when: 'facts.payment.disputed // a comment', then: deny}}" for place in range(60)] + list(more)


def test_conditions_are_folded_and_a_comment_does_not_swallow_the_next():
    rules = policies(*many("{id: ok, then: allow}"))
    assert all(folded for _, _, folded in rules.rulesets["refund_payment"].conditions._chunks)
    assert decide(rules, inputs()).allowed
    assert len(decide(rules, inputs(payment={"disputed": True})).matched) == 61


def test_one_error_spoils_no_other_condition():
    rules = policies(*many("{id: ok, then: allow}", "{id: bad, when: facts.profile.trusted, then: deny}"))
    decision = decide(rules, inputs())
    assert [error.rule for error in decision.errors] == ["refunds/bad"]
    assert [match.rule for match in decision.matched] == ["refunds/bad", "refunds/ok"]


def test_a_fact_that_fits_no_schema_spoils_only_what_reads_it():
    rules = policies(
        "{id: ok, then: allow}", "{id: late, when: facts.payment.created < now, then: require_approval, approval: {by: finance}}"
    )
    decision = decide(rules, inputs(payment={"created": "never"}))
    assert decision.allowed
    assert [error.rule for error in decision.errors] == ["refunds/late"]


def test_a_condition_at_the_depth_limit_that_can_not_be_folded_is_evaluated_alone():
    deepest = "1" + " + 1" * 30 + " == 31"
    rules = policies(f"{{id: deep, when: '{deepest}', then: allow}}", "{id: own, when: facts.payment.customer == subject.id, then: deny}")
    assert rules.rulesets["refund_payment"].conditions._chunks[0][-1] is None
    assert [match.rule for match in decide(rules, inputs()).matched] == ["refunds/deep", "refunds/own"]
