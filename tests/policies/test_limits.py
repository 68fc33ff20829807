"""Limits: what a call takes of each, what is left, what happens beyond, and that what can't be measured denies."""

from dataclasses import replace
from importlib import import_module

import pytest

from remit.policies import Decision, Escalation, EvaluationError, Headroom, Inputs, Measured, Policies, Requirement, decide, load, measure
from tests.policies.shop import CANCEL, REFUND, SHAPES, inputs

HEAD = "policy: refunds\nactions: [refund_payment]\nrules: [{id: ok, then: allow}]\nlimits:\n"
MONTH = "{id: month, measure: arguments.amount, currency: EUR, per: subject.id, window: 30d, at_most: 20000}"
DAYS = 86_400


def limited(*limits: str) -> Policies:
    return load({"refunds.yaml": HEAD + "".join(f"  - {limit}\n" for limit in limits)}, SHAPES)


def used(given: Inputs, **usage) -> Inputs:
    shown = {f"refunds/{name}": value if isinstance(value, dict) else {"used": value} for name, value in usage.items()}
    return replace(given, usage=shown)


@pytest.mark.parametrize(
    ("limit", "gives"),
    [
        (MONTH, Measured("refunds/month", "EUR", '"cus_kim"', 4990, None, 30 * DAYS, 20_000)),
        ("{id: l, window: 1h, at_most: 3}", Measured("refunds/l", "calls", "", 1, None, 3_600, 3)),
        ("{id: l, measure: subject.assurance * 7, window: 15m, at_most: 3}", Measured("refunds/l", "units", "", 7, None, 900, 3)),
        ("{id: l, distinct: arguments.payment_id, window: 1d, at_most: 3}", Measured("refunds/l", "distinct", "", 1, '"pay_1"', DAYS, 3)),
        ("{id: l, distinct: subject.anonymous, window: 1d, at_most: 3}", Measured("refunds/l", "distinct", "", 1, "false", DAYS, 3)),
        ("{id: l, per: subject.assurance, window: 1d, at_most: 3}", Measured("refunds/l", "calls", "1", 1, None, DAYS, 3)),
        ("{id: l, per: subject.anonymous, window: 1d, at_most: 3}", Measured("refunds/l", "calls", "false", 1, None, DAYS, 3)),
        (
            "{id: l, measure: {refund_payment: facts.payment.amount}, currency: EUR, window: 1d, at_most: 3}",
            Measured("refunds/l", "EUR", "", 9900, None, DAYS, 3),
        ),
        (
            "{id: l, measure: 'has(arguments.parts) ? arguments.parts[0] : arguments.amount', currency: EUR, window: 1d, at_most: 3}",
            Measured("refunds/l", "EUR", "", 4990, None, DAYS, 3),
        ),
    ],
)
def test_what_a_call_takes(limit, gives):
    assert measure(limited(limit), inputs()) == (gives,)


ODD = [1, "1", "true", True, "\u00e9", '"1"', "", 2**63, 2**63 - 1, -1]


def test_values_of_several_types_are_never_taken_for_one_another():
    # `profile` is untyped: what its loader gives may be of any type.
    loaded = limited("{id: l, distinct: facts.profile.it, per: facts.profile.it, window: 1d, at_most: 3}")
    taken = [measure(loaded, inputs(profile={"it": value}))[0] for value in ODD]
    assert len({one.key for one in taken}) == len({one.member for one in taken}) == len(ODD)
    assert "" not in {one.key for one in taken}  # that is everybody's


def test_what_is_measured_does_not_depend_on_what_is_measured_with_it():
    alone = limited("{id: l, per: facts.profile.it, window: 1d, at_most: 3}").limits_for("refund_payment")[0].per
    together = limited("{id: l, per: facts.profile.it, window: 1d, at_most: 3}", "{id: m, per: subject.id, window: 1d, at_most: 3}")
    for value in (*ODD, 1.5, None, [], {}, 2**64):
        given = inputs(profile={"it": value})
        assert isinstance(alone.evaluate(given), EvaluationError) == ("refunds/l" not in {one.limit for one in measure(together, given)})


@pytest.mark.parametrize(("before", "allowed", "left"), [(0, True, 15_010), (15_010, True, 0), (15_011, False, -1)])
def test_a_sum_reaches_its_limit_and_no_further(before, allowed, left):
    decision = decide(limited(MONTH), used(inputs(), month=before))
    assert decision.allowed is allowed
    assert decision.limits == (Headroom("refunds/month", before, 4990, 20_000, "EUR"),)
    assert (decision.limits[0].left, decision.limits[0].exceeded) == (left, not allowed)
    assert Decision.from_json(decision.to_json()) == decision
    if not allowed:
        assert decision.reason == "refunds/month: 15011 used and 4990 more is beyond 20000 minor units of EUR"


def test_a_distinct_value_that_is_known_takes_nothing():
    loaded = limited("{id: l, distinct: arguments.payment_id, window: 1d, at_most: 3}")
    assert decide(loaded, used(inputs(), l={"used": 3, "known": True})).allowed
    assert decide(loaded, used(inputs(), l={"used": 2, "known": False})).allowed
    denied = decide(loaded, used(inputs(), l={"used": 3, "known": False}))
    assert denied.reason == "refunds/l: 3 used and 1 more is beyond 3 distinct values"


def test_beyond_a_limit_an_approval_covers_the_sum_that_was_shown():
    asking = MONTH.replace(
        "}", ", beyond: require_approval, approval: {by: finance, votes: 2, within: 4h, escalate: {after: 1h, to: leads}}}"
    )
    loaded = limited(asking)
    decision = decide(loaded, used(inputs(), month=19_000))
    assert decision.requirements == (
        Requirement("approval", "refunds/month", "finance", 2, 14_400, None, Escalation(3_600, "leads"), covers=23_990),
    )
    assert Decision.from_json(decision.to_json()) == decision
    assert decide(loaded, used(inputs(), month=100)).requirements == ()
    assert loaded.roles == {"finance": ("refunds.yaml", 5), "leads": ("refunds.yaml", 5)}


def test_beyond_a_limit_a_step_up_covers_the_sum_that_was_shown():
    asking = (
        "{id: l, window: 1d, at_most: 0, beyond: require_step_up, step_up: {to: 3}, reason: More than usual., say: Please prove it is you.}"
    )
    decision = decide(limited(asking), used(inputs(), l=4))
    assert decision.requirements == (Requirement("step_up", "refunds/l", within=3_600, reason="More than usual.", assurance=3, covers=5),)
    assert (decision.reason, decision.say) == ("refunds/l: More than usual.", "Please prove it is you.")


def test_limits_stand_beside_each_other_and_a_denial_wins():
    asking = "{id: day, window: 1d, at_most: 0, beyond: require_approval, approval: {by: finance}}"
    decision = decide(limited(asking, MONTH), used(inputs(), day=0, month=20_000))
    assert (decision.allowed, decision.requirements) == (False, ())
    assert [(one.limit, one.exceeded) for one in decision.limits] == [("refunds/day", True), ("refunds/month", True)]


def test_a_limit_allows_nothing():
    loaded = load({"a.yaml": "policy: refunds\nactions: [refund_payment]\nlimits: [{id: l, window: 1d, at_most: 5}]\n"}, SHAPES)
    assert decide(loaded, used(inputs(), l=0)).reason == "no rule allows refund_payment"


PRICED = MONTH.replace("arguments.amount", "facts.profile.price")
FREE = "{id: free, measure: facts.profile.number, per: facts.profile.who, window: 1d, at_most: 100}"
UNKNOWN = [
    (MONTH, inputs(currency="JPY"), {"month": 0}, "the amount is not in EUR"),
    (MONTH, inputs(amount=-1), {"month": 0}, "the amount is negative"),
    (MONTH, inputs(), {}, "what was used of it is not known"),
    (MONTH, inputs(), {"month": -1}, "what was used of it is not known"),
    (MONTH, inputs(), {"month": True}, "what was used of it is not known"),
    (MONTH, inputs(), {"month": {"known": True}}, "what was used of it is not known"),
    (MONTH, inputs(arguments={"amount": {"minor": 5}}), {"month": 0}, "the amount is not in EUR"),
    (MONTH, inputs(arguments={"amount": {"currency": "EUR"}}), {"month": 0}, "the amount is not a whole number"),
    (MONTH, inputs(arguments={"amount": None}), {"month": 0}, "`amount` is missing: test it with has()"),
    (PRICED, inputs(profile={"price": 5}), {"month": 0}, "gave int"),
    (PRICED, inputs(profile={"price": {"currency": "EUR", "minor": 1.5}}), {"month": 0}, "the amount is not a whole number"),
    (PRICED, inputs(profile={"price": {"currency": "EUR", "minor": True}}), {"month": 0}, "the amount is not a whole number"),
    (FREE, inputs(profile={"number": -1, "who": "kim"}), {"free": 0}, "the amount is negative"),
    (MONTH, inputs(amount=2**53 - 1), {"month": 1}, "what would be used of it is too large to count"),
    (FREE, inputs(profile={"number": 2**53, "who": "kim"}), {"free": 0}, "the amount is too large to count"),
    (FREE, inputs(profile={"number": "1", "who": "kim"}), {"free": 0}, "gave string"),
    (FREE, inputs(profile={"number": 1.0, "who": "kim"}), {"free": 0}, "gave double"),
    (FREE, inputs(profile={"number": 1, "who": [1]}), {"free": 0}, "gave list<dyn>"),
    (FREE, inputs(profile={"number": 1}), {"free": 0}, "`who` is missing: test it with has()"),
    (FREE, inputs(profile={"number": 1, "who": None}), {"free": 0}, "`who` is missing: test it with has()"),
    (FREE.replace("measure", "distinct"), inputs(profile={"number": 1, "who": 5}), {"free": 3}, "what was used of it is not known"),
    (
        FREE.replace("measure", "distinct"),
        inputs(profile={"number": [], "who": 5}),
        {"free": {"used": 0, "known": False}},
        "gave list<dyn>",
    ),
]


@pytest.mark.parametrize(("limit", "given", "usage", "says"), UNKNOWN)
def test_a_limit_that_can_not_be_evaluated_denies(limit, given, usage, says):
    # What would be asked beyond it makes no difference: nobody can approve what nobody can measure.
    asking = limit[:-1] + ", beyond: require_approval, approval: {by: finance}, say: Nothing more today.}"
    for written in (limit, asking):
        decision = decide(limited(written), used(given, **usage))
        assert (decision.allowed, decision.requirements, decision.limits) == (False, (), ())
        [error] = decision.errors
        assert error.message == says
        assert decision.reason == f"{error.rule} denies because it can't be evaluated: {says}"
        assert decision.say is None  # its words are for whoever has used it up


def test_control_the_same_limits_allow_what_can_be_evaluated():
    assert decide(limited(PRICED), used(inputs(profile={"price": {"currency": "EUR", "minor": 15}}), month=0)).allowed
    assert decide(limited(FREE), used(inputs(profile={"number": 1, "who": 5}), free=0)).allowed


def test_control_passing_over_what_can_not_be_evaluated_would_be_caught(monkeypatch):
    monkeypatch.setattr(
        import_module("remit.policies.decide"),
        "standings",
        lambda ruleset, measured, given: [
            (limit, Headroom(limit.name, 0, 0, limit.at_most)) for limit, takes in zip(ruleset.limits, measured, strict=True)
        ],
    )
    with pytest.raises(AssertionError):
        test_a_limit_that_can_not_be_evaluated_denies(*UNKNOWN[0])


@pytest.mark.parametrize("usage", [None, 5, [], {"refunds/month": None}, {"refunds/month": 5}, {"refunds/month": {"used": "5"}}])
def test_usage_of_any_shape_denies_and_never_raises(usage):
    decision = decide(limited(MONTH), replace(inputs(), usage=usage))
    assert decision.errors == (EvaluationError("refunds/month", "what was used of it is not known"),)


def test_one_limit_that_can_not_be_measured_spoils_no_other():
    loaded = limited(MONTH, FREE, "{id: l, window: 1d, at_most: 3}")
    assert [one.limit for one in measure(loaded, inputs())] == ["refunds/l", "refunds/month"]
    decision = decide(loaded, used(inputs(), month=1, free=1, l=1))
    assert ([one.limit for one in decision.limits], [one.rule for one in decision.errors]) == (
        ["refunds/l", "refunds/month"],
        ["refunds/free"],
    )


def test_one_budget_over_several_actions():
    credit = replace(REFUND, name="credit_customer")
    text = (
        "policy: money\nactions: [refund_payment, credit_customer, cancel_order]\nlimits:\n"
        "  - {id: all, measure: {refund_payment: arguments.amount, credit_customer: facts.payment.amount, cancel_order: facts.fee},"
        " currency: EUR, window: 1d, at_most: 100}\n"
    )
    fee = {"type": "object", "properties": {"currency": {"const": "EUR"}, "minor": {"type": "integer"}}, "x-remit": "money"}
    shapes = {"refund_payment": REFUND, "credit_customer": credit, "cancel_order": replace(CANCEL, facts={"fee": fee})}
    loaded = load({"money.yaml": text}, shapes)
    assert loaded.facts_for("cancel_order") == {"fee"}
    assert loaded.facts_for("refund_payment") == frozenset()
    taken = [measure(loaded, replace(inputs(), action=action)) for action in ("refund_payment", "credit_customer")]
    assert [(one.limit, one.takes) for [one] in taken] == [("money/all", 4990), ("money/all", 9900)]


def test_a_shared_limit_is_one_budget_for_whoever_includes_it():
    shared = "policy: common\nlimits: [{id: calls, window: 1d, at_most: 3}]\n"
    file = "policy: {0}\nactions: [{0}]\ninclude: [common]\nrules: [{{id: ok, then: allow}}]\n"
    loaded = load({"c.yaml": shared, "a.yaml": file.format("refund_payment"), "b.yaml": file.format("cancel_order")}, SHAPES)
    for action in SHAPES:
        assert [one.limit for one in measure(loaded, replace(inputs(), action=action))] == ["common/calls"]


def test_a_recorded_decision_with_limits_can_be_made_again():
    loaded = limited(MONTH, "{id: l, distinct: arguments.payment_id, window: 1d, at_most: 3}")
    given = replace(used(inputs(), month=5, l={"used": 1, "known": True}), done=("cancel_order",))
    again = Inputs.from_json(given.to_json())
    assert again == given
    assert decide(loaded, again) == decide(loaded, given)


def test_limits_say_where_they_are_written():
    [limit] = limited(MONTH).limits_for("refund_payment")
    assert (limit.name, limit.path, limit.line, limit.unit) == ("refunds/month", "refunds.yaml", 5, "EUR")
