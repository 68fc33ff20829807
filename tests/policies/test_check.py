"""Warnings of what loads but is probably not meant."""

from dataclasses import replace
from pathlib import Path

import pytest

from remit.policies import check
from tests.policies.shop import SHAPES, document

SHAPE = {"refund_payment": SHAPES["refund_payment"]}


def warned(*rules: str) -> list[str]:
    found = check({"refunds.yaml": document(*rules)}, SHAPE)
    assert found.ok
    return [notice.message for notice in found.warnings]


def test_sound_rules_give_no_warning():
    assert warned("{id: a, when: facts.payment.disputed, then: deny}", "{id: b, then: allow}") == []


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (["{id: a, then: allow}", "{id: b, when: false, then: deny}"], ["refunds/b never matters: its condition is never true"]),
        (["{id: a, then: allow}", "{id: b, when: 1 > 2, then: deny}"], ["refunds/b never matters: its condition is never true"]),
        (["{id: a, then: allow}", "{id: b, then: deny}"], ["refunds/a never matters: refunds/b denies every call of `refund_payment`"]),
        (
            ["{id: a, then: allow}", "{id: b, when: facts.payment.disputed, then: allow}"],
            ["refunds/b never matters: refunds/a allows every call of `refund_payment` already"],
        ),
        (["{id: a, when: facts.payment.disputed, then: deny}"], ["no rule allows `refund_payment`: every call of it is denied"]),
    ],
)
def test_a_rule_that_never_matters(rules, says):
    assert warned(*rules) == says


def test_an_action_that_no_policy_names():
    found = check({"refunds.yaml": document("{id: a, then: allow}")}, SHAPES)
    assert [str(notice) for notice in found.warnings] == ["no policy names the action `cancel_order`: every call of it is denied"]


@pytest.mark.parametrize("named", ["[refund_payment]", '["#money"]'])
def test_two_files_that_allow_the_same(named):
    shapes = {"refund_payment": replace(SHAPES["refund_payment"], tags=frozenset({"money"}))}
    one = document("{id: a, when: facts.payment.disputed, then: allow}")
    other = document("{id: b, when: subject.assurance > 1, then: allow}")
    other = other.replace("policy: refunds", "policy: more").replace("[refund_payment]", named)
    notices = [str(notice) for notice in check({"a.yaml": one, "b.yaml": other}, shapes).warnings]
    assert notices == ["b.yaml:2: `refund_payment` may be allowed in a.yaml as well: one of the two is enough"]


def test_what_only_tightens_may_lie_in_any_file():
    one, two = (
        document("{id: a, then: allow}"),
        document("{id: d, when: subject.anonymous, then: deny}").replace("policy: refunds", "policy: money"),
    )
    assert check({"a.yaml": one, "b.yaml": two}, SHAPE).warnings == ()


def test_a_folder_that_is_not_there_is_a_problem(tmp_path: Path):
    assert not check(tmp_path / "nowhere", SHAPES).ok


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (
            ["{id: a, then: allow}", "{id: b, then: deny}", "{id: c, then: require_confirmation}"],
            ["refunds/a never matters: refunds/b denies every call", "refunds/c never matters: refunds/b denies every call"],
        ),
        (
            [
                "{id: a, then: allow}",
                "{id: b, when: facts.payment.disputed, then: deny}",
                "{id: c, when: facts.payment.disputed, then: require_step_up}",
            ],
            ["refunds/c never matters: refunds/b denies under the same condition"],
        ),
    ],
)
def test_a_requirement_that_a_deny_covers(rules, says):
    assert [message.partition(" of `")[0] for message in warned(*rules)] == says


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (["{id: m, window: 1d, at_most: 3}"], []),
        (["{id: m, measure: '0', window: 1d, at_most: 3}"], ["refunds/m never matters: what it measures is always 0"]),
        (["{id: m, distinct: '\"x\"', window: 1d, at_most: 1}"], ["refunds/m never matters: what it counts is always the same value"]),
        (["{id: m, distinct: '\"x\"', window: 1d, at_most: 0}"], []),
        (["{id: m, window: 1d, at_most: 3}", "{id: n, window: 24h, at_most: 4}"], ["refunds/n never matters: refunds/m denies before"]),
        (["{id: m, window: 1d, at_most: 3}", "{id: n, window: 1d, at_most: 4, per: subject.id}"], []),
        (["{id: m, window: 1d, at_most: 3, beyond: require_step_up}", "{id: n, window: 1d, at_most: 4}"], []),
    ],
)
def test_a_limit_that_never_binds(limits, says):
    text = document("{id: a, then: allow}") + "limits:\n" + "".join(f"  - {limit}\n" for limit in limits)
    found = check({"refunds.yaml": text}, SHAPE)
    assert found.ok
    assert [notice.message for notice in found.warnings] == says


BOTH = "policy: both\nactions: [refund_payment, cancel_order]\nrules:\n  - {id: a, then: allow}\n"


def test_a_rule_that_matters_for_one_of_its_actions_matters():
    shut = "policy: shut\nactions: [cancel_order]\nrules:\n  - {id: d, then: deny}\n"
    found = check({"a.yaml": BOTH, "b.yaml": shut}, SHAPES)
    assert [notice.message for notice in found.warnings if "never matters" in notice.message] == []
    shut = shut.replace("[cancel_order]", "[cancel_order, refund_payment]")
    found = check({"a.yaml": BOTH, "b.yaml": shut}, SHAPES)
    assert "both/a never matters: shut/d denies every call of `cancel_order`" in [notice.message for notice in found.warnings]


def test_an_overlay_that_denies_all_makes_nothing_idle_for_others():
    overlay = "policy: b\nactions: [refund_payment]\ntenant: shop-b\nrules:\n  - {id: d, then: deny}\n  - {id: e, then: require_step_up}\n"
    found = check({"a.yaml": BOTH, "b.yaml": overlay}, SHAPES)
    assert [str(notice) for notice in found.warnings] == ["b.yaml:6: b/e never matters: b/d denies every call of `refund_payment`"]


def test_what_is_included_does_not_overlap():
    shared = "policy: common\nrules:\n  - {id: d, when: subject.anonymous, then: deny}\n"
    assert check({"a.yaml": BOTH + "include: [common]\n", "c.yaml": shared}, SHAPES).warnings == ()


def test_a_definition_that_nothing_uses():
    shared = "policy: common\ndefine:\n  here: subject.anonymous\n  there: subject.anonymous\n  nowhere: here\nrules:\n"
    shared += "  - {id: d, when: here, then: deny}\n"
    user = BOTH + "  - {id: e, when: there, then: deny}\ninclude: [common]\n"
    found = check({"a.yaml": user, "c.yaml": shared}, SHAPES)
    assert [str(notice) for notice in found.warnings] == ["c.yaml:5: nothing uses the definition `nowhere`"]


def test_a_role_that_nobody_has():
    text = document(
        "{id: a, then: allow}",
        "{id: b, then: require_approval, approval: {by: finance, escalate: {after: 1h, to: boss}}}",
    )
    assert check({"refunds.yaml": text}, SHAPE).warnings == ()  # nobody was asked
    assert check({"refunds.yaml": text}, SHAPE, roles={"finance", "boss"}).warnings == ()
    assert [str(notice) for notice in check({"refunds.yaml": text}, SHAPE, roles={"finance"}).warnings] == [
        "refunds.yaml:5: nobody has the role `boss`: what needs its approval is refused"
    ]
