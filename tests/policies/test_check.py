"""Warnings of what loads but is probably not meant."""

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


def test_files_that_overlap():
    one = document("{id: a, then: allow}")
    found = check(
        {"a.yaml": one, "b.yaml": one.replace("policy: refunds", "policy: more").replace("allow", "deny, when: facts.payment.disputed")},
        SHAPE,
    )
    assert [str(notice) for notice in found.warnings] == [
        "b.yaml:2: rules on `refund_payment` are also in a.yaml: a deny in either wins, requirements add up"
    ]


def test_a_folder_that_is_not_there_is_a_problem(tmp_path: Path):
    assert not check(tmp_path / "nowhere", SHAPES).ok
