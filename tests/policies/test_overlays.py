"""A tenant's overlay counts for that tenant alone, and can only tighten."""

from dataclasses import replace

import pytest

from remit.errors import PolicyError
from remit.policies import Inputs, Policies, decide, explain, load, measure
from tests.policies.shop import SHAPES, document, inputs

BASE = document("{id: ok, then: allow}", "{id: z, when: facts.payment.disputed, then: require_confirmation}")
OVERLAY = """policy: b
tenant: shop-b
actions: [refund_payment]
requires: [cancel_order]
rules:
  - {id: fraud, when: arguments.reason == "fraud", then: deny}
  - {id: trusted, when: "!facts.profile.trusted", then: require_approval, approval: {by: shop-b-leads}}
limits:
  - {id: calls, window: 1d, at_most: 3, beyond: require_step_up}
"""
OTHER = document("{id: all, then: deny}").replace("policy: refunds", "policy: c\ntenant: shop-c")


def loaded(**files: str) -> Policies:
    return load({f"{name}.yaml": text for name, text in files.items()}, SHAPES)


def at(tenant: object, **values) -> Inputs:
    given = inputs(**values)
    return replace(given, session=given.session | {"tenant": tenant}, usage={"b/calls": {"used": 0}}, done=("cancel_order",))


def test_an_overlay_counts_for_its_tenant_alone():
    policies = loaded(base=BASE, b=OVERLAY, c=OTHER)
    fraud = {"arguments": {"reason": "fraud"}, "profile": {"trusted": True}}
    assert decide(policies, at("default", **fraud)).allowed
    assert decide(policies, at("shop-b", profile={"trusted": True})).allowed
    assert decide(policies, at("shop-b", **fraud)).reason == "b/fraud says deny"
    assert decide(policies, at("shop-c", **fraud)).reason == "c/all says deny"


def test_everything_of_an_overlay_is_in_order_among_the_rest():
    policies = loaded(base=BASE, b=OVERLAY)
    decision = decide(policies, at("shop-b", arguments={"reason": "fraud"}, payment={"disputed": True}))
    assert [match.rule for match in decision.matched] == ["b/fraud", "b/trusted", "refunds/ok", "refunds/z"]
    assert [error.rule for error in decision.errors] == ["b/trusted"]
    assert [one.limit for one in decision.limits] == ["b/calls"]
    assert not decide(policies, replace(at("shop-b", profile={"trusted": True}), done=())).allowed
    asked = decide(policies, replace(at("shop-b", payment={"disputed": True}), usage={"b/calls": {"used": 3}}))
    assert [(one.kind, one.rule) for one in asked.requirements] == [
        ("step_up", "b/calls"),
        ("confirmation", "refunds/z"),
        ("approval", "b/trusted"),
    ]


def test_what_is_asked_of_policies_may_be_asked_for_a_tenant():
    policies = loaded(base=BASE, b=OVERLAY)
    assert [rule.name for rule in policies.rules_for("refund_payment", "shop-b")] == ["b/fraud", "b/trusted", "refunds/ok", "refunds/z"]
    assert [rule.name for rule in policies.rules_for("refund_payment")] == ["refunds/ok", "refunds/z"]
    assert ([one.name for one in policies.limits_for("refund_payment", "shop-b")], policies.limits_for("refund_payment")) == (
        ["b/calls"],
        (),
    )
    assert (policies.facts_for("refund_payment", "shop-b"), policies.facts_for("refund_payment")) == ({"payment", "profile"}, {"payment"})
    assert (policies.asks_done("refund_payment", "shop-b"), policies.asks_done("refund_payment")) == (True, False)
    assert [len(measure(policies, at(tenant))) for tenant in ("shop-b", "default")] == [1, 0]
    assert policies.roles == {"shop-b-leads": ("b.yaml", 7)}


def test_an_overlay_alone_allows_nothing():
    assert not decide(loaded(b=OVERLAY), at("shop-b", profile={"trusted": True})).allowed


@pytest.mark.parametrize("session", [None, {}, "shop-b", {"tenant": None}, {"tenant": ""}, {"tenant": ["shop-b"]}])
def test_a_session_without_tenant_is_denied_where_an_overlay_may_apply(session):
    given = replace(at("shop-b"), session=session)
    assert not decide(loaded(base=BASE, b=OVERLAY), given).allowed
    assert measure(loaded(base=BASE, b=OVERLAY), given) == ()
    assert decide(loaded(base=BASE), given).allowed


def test_an_overlay_may_include_what_does_not_allow():
    common = "policy: common\nrules: [{id: euro, when: arguments.amount.currency != 'EUR', then: deny}]\n"
    overlay = OTHER.replace("rules:", "include: [common]\nrules:").replace("id: all,", "id: all, when: false,")
    for base in (BASE, BASE.replace("rules:", "include: [common]\nrules:")):
        policies = loaded(base=base, c=overlay, common=common)
        assert [rule.name for rule in policies.rules_for("refund_payment", "shop-c")] == ["c/all", "common/euro", "refunds/ok", "refunds/z"]
        assert not decide(policies, at("shop-c", currency="JPY")).allowed


def test_what_an_overlay_includes_once_more_counts_once():
    common = "policy: common\nrequires: [cancel_order]\nlimits: [{id: calls, window: 1h, at_most: 1}]\n"
    base, overlay = (text.replace("rules:", "include: [common]\nrules:") for text in (BASE, OTHER))
    explained = explain(loaded(base=base, c=overlay, common=common), at("shop-c"))
    assert ([one.action for one, _ in explained.requires], [limit.name for limit, _ in explained.limits]) == (
        ["cancel_order"],
        ["common/calls"],
    )


def test_an_overlay_that_includes_a_permission_is_refused_at_its_place():
    common = "policy: common\nrules: [{id: a, then: deny}, {id: ok, then: allow}]\n"
    with pytest.raises(
        PolicyError, match=r"^c\.yaml:4:11: common/ok allows, and an overlay may hold anything but `allow`: do not include it"
    ):
        loaded(base=BASE, common=common, c=OTHER.replace("rules:", "include: [common]\nrules:"))
