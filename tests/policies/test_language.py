"""The whole rule language: tags, shared files, definitions, prerequisites, and requirements of three kinds."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import PolicyError
from remit.policies import Decision, Escalation, Inputs, Policies, Requirement, Then, decide, load
from remit.policies.definitions import expand
from remit.policies.expression import Language
from remit.policies.source import Passage
from tests.policies.shop import CANCEL, REFUND, SHAPES, document, inputs, policies

ALLOW = "{id: ok, then: allow}"
CREDIT = replace(REFUND, name="credit_customer", tags=frozenset({"money", "new"}))
TAGGED = {"refund_payment": replace(REFUND, tags=frozenset({"money"})), "credit_customer": CREDIT, "cancel_order": CANCEL}
COMMON = """policy: common
define:
  in_euro: arguments.amount.currency == "EUR"
rules:
  - {id: euro, when: "!in_euro", then: deny, reason: We pay in euro only.}
"""
REFUNDS = "policy: refunds\nactions: [refund_payment]\ninclude: [common]\nrules: [{id: ok, then: allow}]\n"


def names(loaded: Policies, action: str) -> list[str]:
    return [rule.name for rule in loaded.rules_for(action)]


# Requirements


def test_requirements_are_asked_stage_by_stage_each_in_the_name_of_its_rule():
    loaded = policies(
        ALLOW,
        "{id: a, then: require_approval, approval: {by: finance, votes: 2, within: 4h, escalate: {after: 1h, to: finance-leads}}}",
        "{id: b, then: require_confirmation, confirmation: {within: 2h}, reason: It can't be undone.}",
        "{id: c, then: require_step_up, step_up: {to: 3, within: 15m}}",
        "{id: d, then: require_step_up}",
        "{id: e, then: require_confirmation}",
    )
    decision = decide(loaded, inputs())
    assert decision.requirements == (
        Requirement("step_up", "refunds/c", within=900, assurance=3),
        Requirement("step_up", "refunds/d", within=3_600, assurance=2),
        Requirement("confirmation", "refunds/b", within=7_200, reason="It can't be undone."),
        Requirement("confirmation", "refunds/e", within=86_400),
        Requirement("approval", "refunds/a", "finance", 2, 14_400, escalate=Escalation(3_600, "finance-leads")),
    )
    assert decision.reason.startswith("refunds/c says require_step_up; refunds/d says require_step_up; refunds/b: It can't be undone.")
    assert Decision.from_json(decision.to_json()) == decision
    assert loaded.roles == {"finance": ("refunds.yaml", 5), "finance-leads": ("refunds.yaml", 5)}


@pytest.mark.parametrize("then", ["require_confirmation", "require_step_up"])
def test_a_requirement_that_can_not_be_evaluated_is_asked_for(then):
    rule = f"{{id: late, when: facts.payment.settled < now, then: {then}}}"
    assert [one.rule for one in decide(policies(ALLOW, rule), inputs()).requirements] == ["refunds/late"]
    assert not decide(policies(rule), inputs()).allowed


def test_rules_see_how_old_the_proof_of_identity_is():
    rule = "{id: fresh, when: '!has(subject.verified_at) || now - subject.verified_at > duration(\"30m\")', then: require_step_up}"
    loaded, plain = policies(ALLOW, rule), inputs()
    seen = {None: True, "2026-03-02T09:45:00Z": False, "2026-03-02T09:00:00Z": True}
    for verified, asked in seen.items():
        subject = plain.subject | ({"verified_at": verified} if verified else {})
        assert bool(decide(loaded, replace(plain, subject=subject)).requirements) is asked


# Tags


def test_a_tag_stands_for_every_action_that_bears_it():
    loaded = load({"a.yaml": 'policy: a\nactions: ["#money", "#new", refund_payment]\nrules: [{id: ok, then: allow}]\n'}, TAGGED)
    assert names(loaded, "refund_payment") == names(loaded, "credit_customer") == ["a/ok"]
    assert names(loaded, "cancel_order") == []


# Shared files


def test_a_shared_rule_counts_under_its_own_name_wherever_it_is_included():
    others = REFUNDS.replace("refunds", "credits").replace("refund_payment", "credit_customer")
    loaded = load({"common.yaml": COMMON, "refunds.yaml": REFUNDS, "credits.yaml": others}, TAGGED)
    assert names(loaded, "refund_payment") == ["common/euro", "refunds/ok"]
    assert names(loaded, "credit_customer") == ["common/euro", "credits/ok"]
    assert decide(loaded, inputs()).allowed
    decision = decide(loaded, inputs(currency="JPY"))
    assert (decision.allowed, decision.reason) == (False, "common/euro: We pay in euro only.")
    assert (loaded.rules_for("refund_payment")[0].path, loaded.rules_for("refund_payment")[0].line) == ("common.yaml", 5)


def test_what_is_included_twice_counts_once():
    more = REFUNDS.replace("policy: refunds", "policy: more")
    loaded = load({"common.yaml": COMMON, "refunds.yaml": REFUNDS, "more.yaml": more}, SHAPES)
    assert names(loaded, "refund_payment") == ["common/euro", "more/ok", "refunds/ok"]


# Definitions


def defined(define: str, when: str) -> Policies:
    return load(
        {"common.yaml": COMMON, "refunds.yaml": f"{REFUNDS}  \ndefine: {define}\n".replace("then: allow", f"when: {when}, then: allow")},
        SHAPES,
    )


@pytest.mark.parametrize(
    ("define", "when", "allowed"),
    [
        ("{own: facts.payment.customer == subject.id}", "own", True),
        ("{own: facts.payment.customer == subject.id}", "'!own'", False),
        ("{small: in_euro && arguments.amount.minor < 5000}", "small", True),
        ("{most: 5000, small: in_euro && arguments.amount.minor < most}", "small", True),
        ("{most: 100, small: in_euro && arguments.amount.minor < most}", "small", False),
        ("{either: false || true}", "'!either'", False),
        ("{paid: facts.payment}", "paid.customer == subject.id", True),
        ("{word: 'true // a comment'}", "word", True),
        ("{own: 'false'}", '\'"own" == "ow" + "n"\'', True),
        ("{own: 'false'}", '\'r"own \\d own" == "own \\\\d own"\'', True),
        ("{own: 'false'}", '\'"""own""".size() == 3 && b"own" == b"own"\'', True),
        ("{customer: '1'}", "facts.payment.customer == subject.id", True),
        ("{customer: '1'}", "facts.payment . customer == subject.id", True),
        ("{size: '1'}", "size(subject.id) == 7 && size == 1", True),
        ("{own: 'false'}", '"true // own"', True),
        ("{always: true}", "always", True),
    ],
)
def test_a_definition_stands_for_its_expression_and_nothing_else(define, when, allowed):
    assert decide(defined(define, when), inputs()).allowed is allowed


def test_a_definition_does_not_leak_into_files_that_do_not_include_it():
    files = {
        "common.yaml": COMMON,
        "refunds.yaml": REFUNDS,
        "other.yaml": document("{id: a, when: in_euro, then: deny}").replace("refunds", "other"),
    }
    with pytest.raises(PolicyError, match=r"^other\.yaml:4:19: unknown name `in_euro`"):
        load(files, SHAPES)


# Prerequisites

LOOKED = "policy: refunds\nactions: [refund_payment]\nrequires: [cancel_order]\nrules: [{id: ok, then: allow}]\n"


def test_a_prerequisite_is_met_by_what_was_done_only():
    loaded = load({"a.yaml": LOOKED}, SHAPES)
    denied = decide(loaded, inputs())
    assert (denied.allowed, denied.missing, denied.requirements, denied.say) == (False, ("cancel_order",), (), None)
    assert denied.reason == "cancel_order must have succeeded earlier in this conversation"
    assert decide(loaded, replace(inputs(), done=("cancel_order",))).allowed
    assert not decide(loaded, replace(inputs(arguments={"done": ["cancel_order"]}), done=("refund_payment",))).allowed
    assert Decision.from_json(denied.to_json()) == denied
    assert loaded.asks_done("refund_payment")
    assert not policies(ALLOW).asks_done("refund_payment")


def test_a_shared_file_may_require_too():
    shared = "policy: common\nrequires: [cancel_order]\n"
    loaded = load({"common.yaml": shared, "refunds.yaml": REFUNDS}, SHAPES)
    assert decide(loaded, inputs()).missing == ("cancel_order",)


@pytest.mark.parametrize("done", [None, "cancel_order", {"cancel_order": True}, 5])
def test_what_was_done_is_a_list_or_nothing(done):
    assert not decide(load({"a.yaml": LOOKED}, SHAPES), replace(inputs(), done=done)).allowed


def test_a_condition_may_read_what_was_done():
    loaded = policies("{id: ok, when: \"'cancel_order' in done\", then: allow}")
    assert loaded.asks_done("refund_payment")
    assert not decide(loaded, inputs()).allowed
    assert decide(loaded, replace(inputs(), done=("cancel_order",))).allowed


# What was recorded before there was more


def test_a_decision_that_was_recorded_before_is_made_again_to_the_letter():
    rule = "{id: any, then: require_approval, approval: {by: finance}}"
    plain = inputs()
    decision = decide(policies(ALLOW, rule), plain)
    assert decision.to_json() == {
        "allowed": True,
        "requirements": [{"kind": "approval", "rule": "refunds/any", "by": "finance", "votes": 1, "within": 86_400, "reason": None}],
        "matched": [
            {"rule": "refunds/any", "then": Then.REQUIRE_APPROVAL, "reason": None},
            {"rule": "refunds/ok", "then": Then.ALLOW, "reason": None},
        ],
        "errors": [],
        "policy_digest": decision.policy_digest,
        "say": None,
        "reason": "refunds/any says require_approval",
    }
    assert plain.to_json().keys() == {"action", "arguments", "facts", "subject", "principal", "session", "now"}
    assert Inputs.from_json(plain.to_json()) == plain
    assert Decision.from_json(decision.to_json()) == decision


# What may stand in a list. `§` is where the definition stands; everything else that says `own` is something else.
ITEMS = (
    "§", "§.size()", "size(§)", "(§)", "[§]", "{§: 1}", "{'own': §}", "! (§ == 'x')", "§ + 'own'", "'own' + §", "true ? § : §", "1.0", "0x1f", "1u",
    '"own"', "'own'", "'it\\'s own'", '"a \\" own"', '"\\\\"', "r'own \\d'", "R'own\"'", "b'own'", "br'own'", "'''own'own'''", '"""own " own"""',
    "r'''own\\d'''", "arguments.labels.own", "arguments . labels . own", "has(arguments.labels.own)", "§ // own '\n", '// own § "\n 1',
    "[1].map(owner, owner)", "arguments.labels['own']",
)  # fmt: skip
LANGUAGE = Language(REFUND)
OWN = {"own": Passage.whole("subject.id // and so on", "")}
LABELLED = LANGUAGE.bind(inputs(arguments={"labels": {"own": "x"}}), ["arguments", "subject"])


def means_the_same(items: list[str], expand=expand) -> None:
    text = "[" + ", ".join(items) + "]"
    written = LANGUAGE._evaluates.compile(text.replace("§", "(subject.id)")).eval(LABELLED).plain_value()
    assert isinstance(written, list)
    expanded = expand(Passage.whole(text.replace("§", "own"), ""), OWN).text
    assert LANGUAGE._evaluates.compile(expanded).eval(LABELLED).plain_value() == written


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(ITEMS), min_size=1, max_size=8))
def test_a_definition_means_what_writing_it_out_means(items):
    means_the_same(items)


@pytest.mark.parametrize("item", ["'own'", "arguments.labels.own", "'own' + §", "{'own': §}"])
def test_control_replacing_the_word_wherever_it_stands_is_caught(item):
    means_the_same([item])
    with pytest.raises((AssertionError, RuntimeError)):
        means_the_same([item], lambda passage, _: Passage.whole(passage.text.replace("own", "(subject.id)"), ""))


@pytest.mark.parametrize(
    "tampered",
    [
        {"allowed": "no"},
        {"allowed": 1},
        {"requirements": ""},
        {"requirements": {}},
        {"requirements": ["approval"]},
        {"requirements": [{"kind": "approval"}]},
        {"requirements": [{"kind": "approval", "rule": "a/b", "by": "x", "votes": "2", "within": 5, "reason": None}]},
        {"matched": [{"rule": "a/b", "then": "permit", "reason": None}]},
        {"matched": [["rule", "a/b"]]},
        {"limits": {}},
        {"missing": "cancel_order"},
        {"missing": {"cancel_order": 1}},
        {"limits": []},
        {"policy_digest": None},
        {"more": 1},
    ],
)
def test_what_is_no_recorded_decision_is_refused(tampered):
    whole = decide(policies(ALLOW, "{id: any, then: require_confirmation}"), inputs()).to_json()
    assert Decision.from_json(whole).to_json() == whole
    with pytest.raises((TypeError, ValueError)):
        Decision.from_json(whole | tampered)
    for missing in whole:
        with pytest.raises((TypeError, ValueError)):
            Decision.from_json({name: value for name, value in whole.items() if name != missing})
    for other in (None, [], "allow", 1):
        with pytest.raises((TypeError, ValueError)):
            Decision.from_json(other)


def test_the_names_of_a_mapping_are_nothing_that_was_done():
    loaded = load({"a.yaml": LOOKED}, SHAPES)
    recorded = replace(inputs(), done=("cancel_order",)).to_json()
    assert decide(loaded, Inputs.from_json(recorded)).allowed
    assert not decide(loaded, Inputs.from_json(recorded | {"done": {"cancel_order": 1}})).allowed
