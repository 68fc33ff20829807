"""A delay: the longest of the rules that count, said in the decision, and never a way to more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import PolicyError
from remit.policies import Decision, EvaluationError, Inputs, Policies, Then, check, decide, explain, load, run_cases
from remit.policies.again import LESS, MORE, OTHERWISE, decide_again, way
from remit.policies.clauses import in_units, seconds
from remit.policies.difference import difference
from tests.policies.shop import SHAPES, document, inputs, policies
from tests.policies.test_overlays import OTHER, at
from tests.policies.test_properties import CONDITIONS, KINDS, Decide, quick, rules, situations

CONFIRM = "then: require_confirmation"


def delayed(*written: str, **given) -> Decision:
    return decide(policies(*written), inputs(**given))


# What is decided


@pytest.mark.parametrize(
    ("written", "delay"),
    [
        (["{id: a, then: allow}"], 0),
        (["{id: a, then: allow, delay: 10m}"], 600),
        (["{id: a, then: allow, delay: 10m}", "{id: b, then: allow}"], 600),
        (["{id: a, then: allow, delay: 10m}", "{id: b, then: allow, delay: 1h, when: false}"], 600),
        (["{id: a, then: allow, delay: 10m}", f"{{id: b, {CONFIRM}, delay: 1h}}", f"{{id: c, {CONFIRM}, delay: 30s}}"], 3600),
        (["{id: a, then: allow}", f"{{id: b, {CONFIRM}, delay: 1h, when: facts.profile.trusted}}"], 3600),  # an error counts
        (["{id: a, then: allow}", "{id: b, then: allow, delay: 1h, when: facts.profile.trusted}"], 0),  # and here it doesn't
        (["{id: a, then: allow, delay: 1h}", "{id: b, then: deny}"], 0),
        ([f"{{id: a, {CONFIRM}, delay: 1h}}"], 0),  # nothing allows
    ],
)
def test_the_longest_delay_of_the_rules_that_count(written, delay):
    assert delayed(*written).delay == delay


def test_the_trace_says_which_rules_delay():
    decision = delayed("{id: a, then: allow, delay: 10m}", f"{{id: b, {CONFIRM}, delay: 10m}}", "{id: c, then: allow, delay: 1m}")
    assert {match.rule: match.delay for match in decision.matched} == {"refunds/a": 600, "refunds/b": 600, "refunds/c": 60}
    assert decision.reason == (
        "refunds/b says require_confirmation; refunds/a lets it cool off for 10m; refunds/b lets it cool off for 10m"
    )


def test_a_decision_comes_back_from_its_json_and_one_without_delay_is_written_as_ever():
    slow, quick_ = delayed("{id: a, then: allow, delay: 10m}"), delayed("{id: a, then: allow}")
    assert Decision.from_json(slow.to_json()) == slow
    assert (slow.to_json()["delay"], slow.to_json()["matched"]) == (
        600,
        [{"rule": "refunds/a", "then": "allow", "reason": None, "delay": 600}],
    )
    assert quick_.to_json() == {
        "allowed": True,
        "requirements": [],
        "matched": [{"rule": "refunds/a", "then": "allow", "reason": None}],
        "errors": [],
        "policy_digest": quick_.policy_digest,
        "say": None,
        "reason": "refunds/a says allow",
    }
    with pytest.raises(ValueError, match="other keys"):
        Decision.from_json(quick_.to_json() | {"delay": 0})


def test_an_overlay_lengthens_for_its_tenant_alone():
    base = document("{id: ok, then: allow, delay: 10m}")
    overlay = OTHER.replace("then: deny", f"{CONFIRM}, delay: 1h")
    longer = load({"base.yaml": base, "c.yaml": overlay}, SHAPES)
    shorter = load({"base.yaml": base, "c.yaml": overlay.replace("1h", "1m")}, SHAPES)
    assert [decide(longer, at(tenant)).delay for tenant in ("default", "shop-c")] == [600, 3600]
    assert decide(shorter, at("shop-c")).delay == 600


def test_what_only_reads_is_not_delayed_and_check_says_so():
    shapes = SHAPES | {"cancel_order": replace(SHAPES["cancel_order"], writes=False)}
    text = "policy: both\nactions: [refund_payment, cancel_order]\nrules:\n  - {id: a, then: allow,\n     delay: 10m}\n"
    both, alone = load({"both.yaml": text}, shapes), text.replace("refund_payment, ", "")
    assert [rule.match.delay for name in ("refund_payment", "cancel_order") for rule in both.rules_for(name)] == [600, 0]
    assert [str(one) for one in check({"both.yaml": text}, shapes).warnings] == []
    assert "both.yaml:5: both/a delays nothing: what only reads does not cool off" in map(str, check({"both.yaml": alone}, shapes).warnings)


# How it is written


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("{id: a, then: deny, delay: 10m}", r"^refunds\.yaml:4:\d+: `delay` lets an allowed call cool off: .* never with `deny`"),
        ("{id: a, then: allow, delay: 10 minutes}", r"^refunds\.yaml:4:\d+: .*write a number and a unit"),
        ("{id: a, then: allow, delay: 91d}", r"^refunds\.yaml:4:\d+: .*at most 90d"),
        ("{id: a, then: allow, delay: 600}", r"^refunds\.yaml:4:\d+: "),
        ("{id: a, then: allow, dealy: 10m}", r"^refunds\.yaml:4:\d+: .*did you mean `delay`"),
        ("{id: a, then: allow, delay: }", "nothing stands here"),
    ],
)
def test_a_delay_that_can_not_be_used_is_refused_at_its_place(rule, words):
    with pytest.raises(PolicyError, match=words):
        policies(rule)


@pytest.mark.parametrize("text", ["30s", "90s", "10m", "1h", "36h", "2d"])
def test_a_time_is_written_as_it_was_read(text):
    assert in_units(seconds(text)) == text
    assert (in_units(0), in_units(3600), in_units(61)) == ("0s", "1h", "61s")


@pytest.mark.parametrize(
    ("written", "idle"),
    [
        (["{id: a, then: allow}", "{id: b, when: facts.payment.disputed, then: allow, delay: 1h}"], []),
        (["{id: a, then: allow, delay: 1h}", "{id: b, when: facts.payment.disputed, then: allow, delay: 1h}"], ["refunds/b"]),
        (["{id: a, then: allow}", "{id: b, then: allow, delay: 1h}"], ["refunds/a"]),
    ],
)
def test_check_knows_that_an_allow_with_a_longer_delay_matters(written, idle):
    found = check({"refunds.yaml": document(*written)}, SHAPES).warnings
    assert [notice.message.split()[0] for notice in found if "never matters" in notice.message] == idle


# diff, replay, explain and test


@pytest.mark.parametrize(
    ("old", "new", "effect"),
    [
        ("then: allow", "then: allow, delay: 10m", "tighter"),
        ("then: allow, delay: 1h", "then: allow, delay: 61m", "tighter"),
        ("then: allow, delay: 10m", "then: deny", "tighter"),
        ("then: allow, delay: 10m", f"{CONFIRM}, delay: 10m", "tighter"),
        ("then: allow, delay: 10m", CONFIRM, "other"),
        ("then: allow, when: 1 > 0, delay: 10m", "then: allow, delay: 10m", "other"),
        (f"{CONFIRM}, when: 1 > 0, delay: 10m", f"{CONFIRM}, delay: 10m", "tighter"),
    ],
)
def test_a_changed_delay_is_marked_where_that_is_sure(old, new, effect):
    before, after = ({"refunds.yaml": document(f"{{id: x, {one}}}")} for one in (old, new))
    [there], [back] = difference(before, after), difference(after, before)
    assert (str(there.effect), back.effect) == (effect, there.effect.opposite)


def test_a_rule_that_came_with_a_delay_beside_allow_is_neither_looser_nor_tighter():
    some = {"refunds.yaml": document("{id: x, then: allow}")}
    for more, effect in (("{id: y, then: allow, delay: 1m}", "other"), (f"{{id: y, {CONFIRM}, delay: 1m}}", "tighter")):
        [came] = difference(some, {"refunds.yaml": document("{id: x, then: allow}", more)})
        assert str(came.effect) == effect


def test_another_delay_flips_a_decision():
    none, short, long = (delayed(f"{{id: a, then: allow{one}}}") for one in ("", ", delay: 10m", ", delay: 1h"))
    asked = delayed("{id: a, then: allow}", f"{{id: b, {CONFIRM}}}")
    flips = [way(none, short), way(long, short), way(short, short), way(short, asked), way(none, asked)]
    assert flips == [MORE, LESS, None, OTHERWISE, MORE]
    again = decide_again(policies("{id: a, then: allow, delay: 1h}"), inputs().to_json(), short.to_json())
    assert again.way == MORE
    assert not decide_again(policies("{id: a, then: allow, delay: 10m}"), inputs().to_json(), short.to_json()).way


def test_explain_says_the_delay_of_each_rule():
    told = explain(policies("{id: a, then: allow, delay: 10m}", f"{{id: b, {CONFIRM}}}"), inputs()).to_json()
    assert [rule.get("delay") for rule in told["rules"]] == [600, None]
    assert told["decision"]["delay"] == 600


def test_a_test_may_expect_a_delay():
    held = policies("{id: a, then: allow}", f"{{id: b, when: facts.payment.disputed, {CONFIRM}, delay: 10m}}")
    case = "  - {name: n, action: refund_payment, given: {facts: {payment: {disputed: %s}}}, expect: {delay: %s}}\n"
    text = "tests: t\ncases:\n" + "".join(
        case % one for one in (("true", "10m"), ("true", "600s"), ("false", "0s"), ("true", "11m"), ("false", "1s"), ("true", "0s"))
    )
    found = run_cases(held, {"t_test.yaml": text}, SHAPES).results
    assert [[(one.key, one.expected, one.got) for one in each.differences] for each in found] == [
        [],
        [],
        [],
        [("delay", "11m", "10m")],
        [("delay", "1s", "0s")],
        [("delay", "0s", "10m")],
    ]
    with pytest.raises(PolicyError, match=r"t_test\.yaml:3:\d+: .*or 0s where it does not cool off"):
        run_cases(held, {"t_test.yaml": "tests: t\ncases:\n" + case % ("true", "soon")}, SHAPES)


# Adding a delay never permits more

DELAYS = ("", ", delay: 1m", ", delay: 10m", ", delay: 2h")
choices = st.lists(st.sampled_from(DELAYS), min_size=6, max_size=6)


def write(written, delays) -> Policies:
    lines = [
        f'{{id: r{place}, when: "{when}", then: {then}{KINDS[then]}{"" if then is Then.DENY else delay}}}'.replace('== "EUR"', "== 'EUR'")
        for place, ((then, when), delay) in enumerate(zip(written, delays, strict=False))
    ]
    return load({"refunds.yaml": document(*lines)} if lines else {}, SHAPES)


def a_delay_only_delays(decide: Decide, written, delays, situation: Inputs) -> None:
    """Compare with the same rules without any delay, and count by hand what each rule alone says."""
    held = write(written, delays)
    before, after = decide(write(written, [""] * 6), situation), decide(held, situation)
    assert (after.allowed, after.requirements, after.say) == (before.allowed, before.requirements, before.say)
    said = [rule.match.delay for rule in held.rules_for("refund_payment") if counts(rule.then, rule.when.evaluate(situation))]
    assert after.delay == (max(said) if after.allowed else 0)


def counts(then: Then, result: bool | EvaluationError) -> bool:
    return result is True or (isinstance(result, EvaluationError) and then is not Then.ALLOW)


def one_more_never_shortens(decide: Decide, written, delays, more, situation: Inputs) -> None:
    before, after = (decide(write(these, delays), situation) for these in (written, [*written, more]))
    assert after.allowed <= before.allowed
    if after.allowed:
        assert after.delay >= before.delay


tightening = st.tuples(st.sampled_from(sorted(set(Then) - {Then.ALLOW})), st.sampled_from(CONDITIONS))


@quick
@given(rules, choices, situations)
def test_adding_delays_never_makes_a_decision_more_permissive(written, delays, situation):
    a_delay_only_delays(decide, written, delays, situation)


@quick
@given(rules, choices, tightening, situations)
def test_adding_a_rule_never_shortens_a_delay(written, delays, more, situation):
    one_more_never_shortens(decide, written, delays, more, situation)


def the_last_delay_wins(held: Policies, situation: Inputs) -> Decision:
    decision = decide(held, situation)
    return replace(decision, delay=decision.matched[-1].delay if decision.matched else 0)


def an_error_does_not_delay(held: Policies, situation: Inputs) -> Decision:
    decision = decide(held, situation)
    failed = {error.rule for error in decision.errors}
    return replace(decision, delay=max([match.delay for match in decision.matched if match.rule not in failed], default=0))


def a_delay_permits(held: Policies, situation: Inputs) -> Decision:
    decision = decide(held, situation)
    return replace(decision, allowed=decision.allowed or any(match.delay for match in decision.matched))


WRITTEN = [(Then.ALLOW, "true"), (Then.REQUIRE_CONFIRMATION, "true"), (Then.REQUIRE_STEP_UP, "facts.profile.trusted")]


@pytest.mark.parametrize(
    ("broken", "written", "delays"),
    [
        (the_last_delay_wins, WRITTEN, [DELAYS[3], DELAYS[1], "", "", "", ""]),
        (an_error_does_not_delay, WRITTEN, ["", "", DELAYS[2], "", "", ""]),
        (a_delay_permits, [*WRITTEN, (Then.DENY, "true")], [DELAYS[1], "", "", "", "", ""]),
    ],
)
def test_control_a_broken_delay_is_noticed(broken, written, delays):
    a_delay_only_delays(decide, written, delays, inputs())
    with pytest.raises(AssertionError):
        a_delay_only_delays(broken, written, delays, inputs())


def test_control_a_delay_that_is_shortened_is_noticed():
    given_ = ([(Then.ALLOW, "true")], [DELAYS[2], DELAYS[1], "", "", "", ""], (Then.REQUIRE_STEP_UP, "true"), inputs())
    one_more_never_shortens(decide, *given_)
    with pytest.raises(AssertionError):
        one_more_never_shortens(the_last_delay_wins, *given_)
