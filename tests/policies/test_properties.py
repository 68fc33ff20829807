"""Properties of every set of rules, each beside a broken decision that it catches."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.policies import Decision, EvaluationError, Inputs, Policies, Then, decide, load
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

LIMITS = (
    "{id: sum, measure: arguments.amount, currency: EUR, window: 30d, at_most: 5000",
    "{id: fact, measure: facts.profile.orders, per: facts.payment.customer, window: 30d, at_most: 5",
    "{id: calls, window: 1d, at_most: 2",
    "{id: distinct, distinct: facts.payment.customer, window: 1d, at_most: 2",
)
BEYOND = ("}", ", beyond: require_step_up}", ", beyond: require_approval, approval: {by: finance}}")

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


@dataclass(frozen=True)
class Bundle:
    """What a folder says: rules, limits and prerequisites of everybody, and the rules of one tenant's overlay."""

    rules: tuple
    limits: tuple = ()
    requires: tuple = ()
    overlay: tuple = ()

    def files(self) -> dict[str, list[str]]:
        """Give the lines of each file, those of a list as they may be put in any order."""
        limits = [limit + beyond for limit, beyond in self.limits]
        return {
            "refunds.yaml": _file("refunds", "", self.requires, write(self.rules), limits),
            "shop-b.yaml": _file("shop-b", "tenant: shop-b\n", (), write(self.overlay), []),
        }

    def load(self, order: Callable[[list[str]], list[str]] = list, rename: str = "") -> Policies:
        sources = {
            rename + path: head
            + "".join(f"{key}:\n" + "".join(f"  - {line}\n" for line in order(lines)) for key, lines in lists.items() if lines)
            for path, (head, lists) in self.files().items()
            if any(lists.values())
        }
        return load(dict(order(list(sources.items()))), KNOWN)


limits = st.lists(st.tuples(st.sampled_from(LIMITS), st.sampled_from(BEYOND)), max_size=3, unique_by=lambda limit: limit[0])
tightening = st.tuples(st.sampled_from(sorted(set(Then) - {Then.ALLOW})), st.sampled_from(CONDITIONS))
bundles = st.builds(
    Bundle,
    rules.map(lambda written: (("allow", "true"), *written)),
    limits.map(tuple),
    st.lists(st.just("cancel_order"), max_size=1).map(tuple),
    st.lists(tightening, max_size=3).map(tuple),
)
additions = st.one_of(
    st.tuples(st.just("rules"), tightening),
    st.tuples(st.just("limits"), st.tuples(st.just(LIMITS[0].replace("sum", "more")), st.sampled_from(BEYOND))),
    st.tuples(st.just("requires"), st.just("look_up_order")),
    st.tuples(st.just("overlay"), tightening),
)
numbers = st.sampled_from([0, 0, 1, 2, 4, 10_000, -1, None])
usages = st.fixed_dictionaries(
    {
        name: st.builds(lambda used, known: {"used": used, "known": known}, numbers, st.booleans())
        for name in ("sum", "fact", "calls", "distinct", "more")
    }
)
whole_situations = st.builds(
    lambda given, tenant, usage, done: replace(
        given,
        session=given.session | {"tenant": tenant},
        usage={f"refunds/{name}": used for name, used in usage.items()},
        done=tuple(done),
    ),
    situations,
    st.sampled_from(["default", "shop-b"]),
    usages,
    st.lists(st.sampled_from(["cancel_order", "look_up_order"]), unique=True).map(sorted),
)
quick = settings(max_examples=60, deadline=None)


def write(written) -> list[str]:
    return [
        f'{{id: r{place}, when: "{when}", then: {then}{KINDS[then]}}}'.replace('== "EUR"', "== 'EUR'")
        for place, (then, when) in enumerate(written)
    ]


def loaded(lines: list[str]) -> Policies:
    return load({"refunds.yaml": document(*lines)} if lines else {}, SHAPES)


def _file(name: str, more: str, requires, rules: list[str], limits: list[str]):
    return f"policy: {name}\n{more}actions: [refund_payment]\n", {"requires": list(requires), "rules": rules, "limits": limits}


KNOWN = SHAPES | {"look_up_order": replace(SHAPES["cancel_order"], name="look_up_order")}


def adding_anything_never_permits(decide: Decide, bundle: Bundle, addition, situation) -> None:
    kind, more = addition
    before, after = decide(bundle.load(), situation), decide(replace(bundle, **{kind: (*getattr(bundle, kind), more)}).load(), situation)
    assert after.allowed <= before.allowed
    if after.allowed:
        assert set(before.requirements) <= set(after.requirements)


def no_order_matters(decide: Decide, bundle: Bundle, situation) -> None:
    made = [bundle.load(), bundle.load(lambda lines: lines[::-1], "z"), bundle.load(lambda lines: lines[1:] + lines[:1], "0")]
    assert len({replace(decide(each, situation), policy_digest="") for each in made}) == 1


def nothing_unknown_allows(decide: Decide, bundle: Bundle, situation) -> None:
    """Count by hand what must hold where a call is allowed, from what each expression gives alone."""
    policies, tenant = bundle.load(), situation.session["tenant"]
    decision = decide(policies, situation)
    if not decision.allowed:
        return
    rules = [(rule.then, rule.when.evaluate(situation)) for rule in policies.rules_for("refund_payment", tenant)]
    assert (Then.ALLOW, True) in rules
    assert not [result for then, result in rules if then is Then.DENY and result is not False]
    assert set(bundle.requires) <= set(situation.done)
    asked = sum(then not in {Then.ALLOW, Then.DENY} and result is not False for then, result in rules)
    for limit in policies.limits_for("refund_payment", tenant):
        results = [each.evaluate(situation) for each in limit.expressions]
        used = situation.usage[limit.name]
        assert not [result for result in results if isinstance(result, EvaluationError)]
        assert used["used"] is not None
        assert used["used"] >= 0
        amount = results[0]["minor"] if limit.unit == "EUR" else results[0] if limit.unit == "units" else 1
        takes = 1 - used["known"] if limit.unit == "distinct" else amount
        assert takes >= 0
        assert limit.unit != "EUR" or results[0]["currency"] == "EUR"
        beyond = used["used"] + takes > limit.at_most
        assert not (beyond and limit.beyond is Then.DENY)
        asked += beyond
    assert len(decision.requirements) == asked


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


@quick
@given(bundles, additions, whole_situations)
def test_adding_a_limit_an_overlay_or_a_prerequisite_never_makes_a_decision_more_permissive(bundle, addition, situation):
    adding_anything_never_permits(decide, bundle, addition, situation)


@settings(max_examples=30, deadline=None)
@given(bundles, whole_situations)
def test_the_order_of_limits_and_overlays_never_matters(bundle, situation):
    no_order_matters(decide, bundle, situation)


@quick
@given(bundles, whole_situations)
def test_a_limit_or_an_overlay_that_can_not_be_evaluated_never_allows(bundle, situation):
    nothing_unknown_allows(decide, bundle, situation)


PLAIN = replace(
    inputs(),
    session=inputs().session | {"tenant": "shop-b"},
    usage={f"refunds/{name}": {"used": 0, "known": False} for name in ("sum", "fact", "calls", "distinct", "more")},
)
ALLOWED = Bundle((("allow", "true"),))


def a_limit_permits(policies: Policies, situation: Inputs) -> Decision:
    decision = decide(policies, situation)
    return replace(decision, allowed=decision.allowed or bool(decision.limits))


def an_overlay_replaces(policies: Policies, situation: Inputs) -> Decision:
    alone = [rule for rule in policies.rules_for("refund_payment", "shop-b") if rule.path == "shop-b.yaml"]
    return replace(decide(policies, situation), allowed=bool(alone))


def done_is_not_looked_at(policies: Policies, situation: Inputs) -> Decision:
    return decide(policies, replace(situation, done=("cancel_order", "look_up_order")))


def the_first_limit_counts(policies: Policies, situation: Inputs) -> Decision:
    decision = decide(policies, situation)
    first = min(policies.limits_for("refund_payment"), key=lambda limit: limit.line)
    return replace(decision, allowed=not any(one.exceeded for one in decision.limits if one.limit == first.name))


def what_can_not_be_measured_is_nothing(policies: Policies, situation: Inputs) -> Decision:
    decision = decide(policies, situation)
    return replace(decision, allowed=not any(one.exceeded for one in decision.limits))


def test_control_a_limit_that_permits_is_caught():
    with pytest.raises(AssertionError):
        adding_anything_never_permits(a_limit_permits, Bundle(()), ("limits", (LIMITS[0], "}")), PLAIN)


def test_control_an_overlay_that_replaces_is_caught():
    with pytest.raises(AssertionError):
        adding_anything_never_permits(an_overlay_replaces, Bundle((("deny", "true"),)), ("overlay", ("deny", "false")), PLAIN)


def test_control_a_prerequisite_that_is_not_looked_at_is_caught():
    with pytest.raises(AssertionError):
        nothing_unknown_allows(done_is_not_looked_at, replace(ALLOWED, requires=("cancel_order",)), PLAIN)


def test_control_an_order_of_limits_that_matters_is_caught():
    two = replace(ALLOWED, limits=((LIMITS[0], "}"), (LIMITS[2], "}")))
    with pytest.raises(AssertionError):
        no_order_matters(the_first_limit_counts, two, replace(PLAIN, usage=PLAIN.usage | {"refunds/calls": {"used": 9}}))


@pytest.mark.parametrize("wrong", [inputs(currency="JPY"), inputs(amount=-1)])
def test_control_a_limit_that_is_passed_over_is_caught(wrong):
    with pytest.raises(AssertionError):
        nothing_unknown_allows(
            what_can_not_be_measured_is_nothing,
            replace(ALLOWED, limits=((LIMITS[0], "}"),)),
            replace(wrong, usage=PLAIN.usage, session=PLAIN.session),
        )


def test_control_the_plain_bundle_is_allowed():
    assert decide(ALLOWED.load(), PLAIN).allowed


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
