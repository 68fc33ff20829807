"""Tests of policies: what is compared, what is refused, and what no case matched."""

import pytest

from remit.errors import PolicyError
from remit.policies import ActionShape, load, read_tests, run_cases
from tests.policies.shop import SHAPES, document

POLICIES = {
    "refunds.yaml": document(
        "{id: recent, when: facts.payment.created > timestamp('2026-01-01T00:00:00Z'), then: allow}",
        "{id: large, when: 'arguments.amount.currency == \"EUR\" && arguments.amount.minor > 5000', then: require_approval, "
        "approval: {by: finance, votes: 2}}",
        "{id: confirmed, when: 'arguments.amount.currency != \"EUR\"', then: require_confirmation}",
        "{id: proved, when: subject.assurance < 2, then: require_step_up}",
        "{id: disputed, when: facts.payment.disputed, then: deny, say: Ask a colleague.}",
    )
    + "limits: [{id: month, measure: arguments.amount, currency: EUR, per: subject.id, window: 30d, at_most: 20000}]\n"
    + "requires: [cancel_order]\n"
}
GIVEN = """\
tests: refunds
given:
  arguments: {amount: {currency: EUR, minor: 1000}, reason: fraud}
  facts: {payment: {created: 2026-03-01T10:00:00Z, disputed: false}}
  subject: {assurance: 2}
  done: [cancel_order]
cases:
"""


def cases(*written: str) -> str:
    return GIVEN + "".join(f"  - {{name: case, action: refund_payment, {case}}}\n" for case in written)


def run(*written: str):
    return run_cases(load(POLICIES, SHAPES), {"refunds_test.yaml": cases(*written)}, SHAPES)


def differences(written: str):
    [result] = run(written).results
    return [(one.key, one.expected, one.got) for one in result.differences]


@pytest.mark.parametrize(
    "written",
    [
        "expect: {decision: allow, requirements: [], rules: [recent], not_rules: [large, disputed, refunds/month], missing: []}",
        "given: {arguments: {amount: {minor: 6000}}}, expect: {requirements: [{approval: finance, votes: 2}], rules: [refunds/large]}",
        "given: {subject: {assurance: 1}}, expect: {requirements: [step_up], rules: [proved]}",
        "given: {facts: {payment: {disputed: true}}}, expect: {decision: deny, rules: [disputed], say: Ask a colleague.}",
        "given: {usage: {refunds/month: 19001}}, expect: {decision: deny, rules: [month]}",
        "given: {usage: {refunds/month: 19000}}, expect: {decision: allow, not_rules: [month]}",
        "given: {done: []}, expect: {decision: deny, missing: [cancel_order]}",
        "given: {facts: {payment: {disputed: null}}}, expect: {decision: deny, errors: [disputed], not_rules: [disputed]}",
    ],
)
def test_a_case_that_is_as_expected(written):
    assert differences(written) == []


@pytest.mark.parametrize(
    ("written", "differs"),
    [
        ("expect: {decision: deny}", [("decision", "deny", "allow")]),
        ("expect: {requirements: [confirmation]}", [("requirements", ["confirmation"], [])]),
        (
            "given: {arguments: {amount: {minor: 6000}}}, expect: {requirements: [{approval: finance}]}",
            [("requirements", ["approval by finance"], ["approval by finance (2 votes)"])],
        ),
        ("expect: {rules: [recent, large]}", [("rules", ["recent", "large"], ["refunds/recent"])]),
        ("expect: {not_rules: [recent]}", [("not_rules", ["recent"], ["refunds/recent"])]),
        ("given: {done: []}, expect: {missing: []}", [("missing", [], ["cancel_order"])]),
        ("expect: {say: Ask a colleague.}", [("say", "Ask a colleague.", None)]),
        ("expect: {errors: [disputed]}", [("errors", ["disputed"], [])]),
    ],
)
def test_control_what_differs_is_told_key_by_key(written, differs):
    assert differences(written) == differs


def test_a_condition_that_cannot_be_evaluated_is_never_passed_over():
    """The deny counts when it can't be evaluated: the case would be as expected for a reason that nobody meant."""
    [(key, expected, got)] = differences("given: {facts: {payment: {disputed: null}}}, expect: {decision: deny}")
    assert (key, expected) == ("errors", [])
    assert got == ["refunds/disputed: `disputed` is missing: test it with has()"]


def test_what_no_case_matched_is_named_with_its_place():
    found = run("expect: {rules: [recent]}", "given: {usage: {refunds/month: 19001}}, expect: {decision: deny}")
    assert [(place.name, place.path, place.line) for place in found.unmatched] == [
        ("refunds/confirmed", "refunds.yaml", 6),
        ("refunds/disputed", "refunds.yaml", 8),
        ("refunds/large", "refunds.yaml", 5),
        ("refunds/proved", "refunds.yaml", 7),
    ]
    assert found.total == 6


def test_a_rule_that_cannot_be_evaluated_was_not_matched():
    found = run("given: {facts: {payment: {disputed: null}}}, expect: {errors: [disputed]}")
    assert "refunds/disputed" in [place.name for place in found.unmatched]


def test_an_overlay_is_tested_with_its_tenant():
    overlay = "policy: b\nactions: [refund_payment]\ntenant: shop-b\nrules: [{id: none, when: subject.anonymous, then: deny}]\n"
    policies = load(POLICIES | {"b.yaml": overlay}, SHAPES)
    written = [
        f"given: {{subject: {{anonymous: true}}, session: {{tenant: {tenant}}}}}, expect: {{decision: {then}}}"
        for tenant, then in (("shop-a", "allow"), ("shop-b", "deny"))
    ]
    found = run_cases(policies, {"refunds_test.yaml": cases(*written)}, SHAPES)
    assert found.failed == ()
    assert "b/none" not in [place.name for place in found.unmatched]
    assert "b/none" in [place.name for place in run_cases(policies, {"refunds_test.yaml": cases(written[0])}, SHAPES).unmatched]


def test_what_the_file_gives_of_other_actions_is_left_out():
    text = cases("expect: {decision: allow}") + "  - {name: other, action: cancel_order, expect: {decision: deny}}\n"
    assert run_cases(load(POLICIES, SHAPES), {"x_test.yaml": text}, SHAPES).failed == ()


@pytest.mark.parametrize(
    ("written", "says", "excerpt"),
    [
        ("expect: {decison: deny}", "unknown key `decison`; did you mean `decision`?", "decison"),
        ("expect: {}", "expect something", "{}"),
        ("expect: {decision: null}", "nothing stands here", "null"),
        ("expect: {decision: deny, say: ~}", "nothing stands here", "~"),
        ("expect: {rules: []}", "`rules`", "[]"),
        ("expect: {requirements: [confirm]}", "`requirements`: Input should be 'confirmation' or 'step_up'", "confirm"),
        ("expect: {requirements: [{aproval: x}]}", "`approval` is missing", "{aproval"),
        ("expect: [deny]", "`expect` must be a mapping", "[deny]"),
        ("expect: {rules: [recnet]}", "no rule or limit on refund_payment `recnet`; did you mean `recent`?", "recnet"),
        ("expect: {not_rules: [refunds/none]}", "no rule or limit on refund_payment `refunds/none`", "refunds/none"),
        ("expect: {missing: [nothing]}", "no action `nothing`", "nothing"),
        ("given: {done: [nothing]}, expect: {decision: deny}", "no action `nothing`", "nothing"),
        ("given: {usage: {refunds/mnth: 1}}, expect: {decision: deny}", "did you mean `refunds/month`", "1"),
        ("given: {usage: {refunds/large: 1}}, expect: {decision: deny}", "no limit on refund_payment `refunds/large`", "1"),
        ("given: {facts: {payment: {dispued: true}}}, expect: {decision: deny}", "did you mean `disputed`", "dispued"),
        ("given: {facts: {payment: {disputed: yes}}}, expect: {decision: deny}", "must be boolean", "disputed"),
        ("given: {facts: {payment: {created: 2026-03-01}}}, expect: {decision: deny}", "a time with its zone", "created"),
        ("given: {arguments: {reason: requestd}}, expect: {decision: deny}", "did you mean `requested`", "reason"),
        ("given: {arguments: {amount: {minor: true}}}, expect: {decision: deny}", "must be integer", "minor"),
        ("given: {principal: {kind: robot}}, expect: {decision: deny}", "never `robot`", "kind"),
        ("given: {now: tomorrow}, expect: {decision: deny}", "a time with its zone", "now"),
    ],
)
def test_a_case_that_shows_nothing_is_refused_at_its_place(written, says, excerpt):
    with pytest.raises(PolicyError) as raised:
        run("expect: {decision: allow}", written)
    error = raised.value
    assert says in error.message
    line, caret = error.excerpt.split("\n")
    assert (error.path, error.line) == ("refunds_test.yaml", 9)
    assert line[caret.index("^") :].startswith(excerpt)


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("disputed: false}}", "disputed: false}, paymnt: {}}", "has `paymnt` among its facts; did you mean `payment`?"),
        ("reason: fraud}", "reason: fraud, rason: fraud}", "has `rason` among its arguments; did you mean `reason`?"),
        ("  done:", "  usage: {refunds/mnth: 20000}\n  done:", "has `refunds/mnth` among its usage; did you mean `refunds/month`?"),
    ],
)
def test_what_the_file_gives_and_no_case_takes_is_refused(right, wrong, says):
    text = cases("expect: {decision: allow}").replace(right, wrong)
    with pytest.raises(PolicyError) as raised:
        run_cases(load(POLICIES, SHAPES), {"x_test.yaml": text}, SHAPES)
    assert raised.value.message.endswith(says)
    line, caret = raised.value.excerpt.split("\n")
    assert line[caret.index("^") :].startswith(says.split("`")[1])


def test_an_id_that_several_policies_have_is_refused_because_either_would_do():
    other = document("{id: large, when: 'false', then: deny}", "{id: own, then: allow}").replace("policy: refunds", "policy: other")
    policies = load(POLICIES | {"other.yaml": other}, SHAPES)
    for name in ("other/large", "own"):
        run_cases(policies, {"a_test.yaml": cases(f"expect: {{not_rules: [{name}]}}")}, SHAPES)
    with pytest.raises(PolicyError, match=r":8:.*several policies have a `large`, and either would do: write policy/large"):
        run_cases(policies, {"a_test.yaml": cases("expect: {not_rules: [large]}")}, SHAPES)


def test_what_the_file_gives_reaches_arguments_without_a_schema():
    free = ActionShape("free", {"type": "object"}, {})
    policies = load({"a.yaml": "policy: a\nactions: [free]\nrules: [{id: ok, when: arguments.yes, then: allow}]\n"}, {"free": free})
    text = "tests: a\ngiven: {arguments: {yes: true}}\ncases: [{name: one, action: free, expect: {decision: allow}}]\n"
    assert run_cases(policies, {"a_test.yaml": text}, {"free": free}).failed == ()


def test_null_takes_away_also_what_nothing_was_merged_over():
    policies = load(
        POLICIES | {"other.yaml": document("{id: held, when: has(facts.profile.held), then: deny}").replace("refunds", "b")}, SHAPES
    )
    for given in ("profile: {held: null}", "profile: {}, payment: {replaces: {disputed: null}}"):
        text = cases(f"given: {{facts: {{{given}}}}}, expect: {{decision: allow, not_rules: [held]}}")
        assert run_cases(policies, {"a_test.yaml": text}, SHAPES).failed == ()


def test_an_action_that_is_not_there_is_refused():
    with pytest.raises(PolicyError, match="did you mean `refund_payment`"):
        run_cases(load(POLICIES, SHAPES), {"x_test.yaml": cases("expect: {decision: allow}").replace("refund_pay", "refnd_pay")}, SHAPES)


def test_everything_that_is_wrong_is_told_once():
    text = cases("expect: {rules: [a]}", "expect: {rules: [b]}").replace("reason: fraud", "reason: frud")
    with pytest.raises(PolicyError) as raised:
        run_cases(load(POLICIES, SHAPES), {"x_test.yaml": text}, SHAPES)
    assert [error.line for error in (raised.value, *raised.value.others)] == [3, 8, 9]


def test_tests_are_found_beside_the_policies(tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("refunds.yaml", "refunds_test.yaml", "more/b_test.yaml", ".git/c_test.yaml", "alone.yaml"):
        (tmp_path / name).write_text(name)
    assert sorted(read_tests(tmp_path)) == ["more/b_test.yaml", "refunds_test.yaml"]
    assert read_tests(tmp_path / "refunds_test.yaml") == {"refunds_test.yaml": "refunds_test.yaml"}
    assert read_tests(tmp_path / "refunds.yaml") == {"refunds_test.yaml": "refunds_test.yaml"}
    assert read_tests(tmp_path / "alone.yaml") == {}
    (tmp_path / "more" / "b_test.yaml").write_bytes(b"\xff")
    with pytest.raises(PolicyError, match="can't be read"):
        read_tests(tmp_path)
