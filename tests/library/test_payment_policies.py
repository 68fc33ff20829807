"""The example policies for payments and plans fit the actions and decide as they say."""

from pathlib import Path

import pytest

from remit.actions.library.payments import look_up_payment, refund_payment
from remit.actions.library.plans import change_plan, look_up_subscription
from remit.policies import ActionShape, Inputs, decide, load

FOLDER = Path(__file__).parents[2] / "examples" / "support" / "policies"
ACTIONS = [refund_payment, look_up_payment, change_plan, look_up_subscription]
SHAPES = {one.name: ActionShape(one.name, one.rules_schema, one.facts_schemas, one.tags) for one in ACTIONS}
SOURCES = {name: (FOLDER / name).read_text() for name in ("refunds.yaml", "payments.yaml", "plans.yaml")}


@pytest.fixture(scope="module")
def policies():
    return load(SOURCES, SHAPES)


def eur(minor, currency="EUR"):
    return {"currency": currency, "minor": minor}


def decided(policies, action, arguments, facts, anonymous=False):
    inputs = Inputs(
        action=action,
        arguments=arguments,
        facts=facts,
        subject={"id": "cus_1", "assurance": 2, "anonymous": anonymous},
        principal={"id": "agent_1", "kind": "agent"},
        session={"tenant": "default", "conversation": "c1", "channel": "chat", "model": "m"},
        now="2026-06-01T12:00:00.000000Z",
        usage={limit.name: {"used": 0} for limit in policies.limits_for(action)},
    )
    decision = decide(policies, inputs)
    return decision.allowed, [requirement.rule.rpartition("/")[2] for requirement in decision.requirements]


@pytest.mark.parametrize(
    ("asked", "changes", "decision"),
    [
        (eur(5000), {}, (True, [])),
        (eur(5001), {}, (True, ["large"])),
        (eur(8001), {}, (False, [])),
        (eur(100, "JPY"), {}, (False, [])),
        (eur(100), {"disputed": True}, (False, [])),
        (eur(100), {"created": "2026-01-01T00:00:00Z"}, (False, [])),
        (eur(100, "JPY"), {"amount": eur(9000, "JPY"), "refundable": eur(8000, "JPY")}, (False, [])),
    ],
)
def test_refunds(policies, asked, changes, decision):
    payment = {"id": "pi_1", "customer": "cus_1", "amount": eur(9000), "refunded": eur(1000), "refundable": eur(8000)}
    payment |= {"created": "2026-05-01T00:00:00Z", "status": "succeeded", "disputed": False} | changes
    arguments = {"payment_id": "pi_1", "amount": asked, "reason": "duplicate"}
    allowed, required = decided(policies, "refund_payment", arguments, {"payment": payment})
    assert (allowed, required if allowed else []) == decision


@pytest.mark.parametrize(
    ("plan", "due", "decision"),
    [
        ("pro_monthly", 900, (True, ["customer_confirms"])),
        ("pro_yearly", 20_000, (True, ["customer_confirms", "expensive"])),
        ("basic_monthly", 0, (False, [])),
        ("staff_free", 0, (False, [])),
    ],
)
def test_plans(policies, plan, due, decision):
    subscription = {"id": "sub_1", "customer": "cus_1", "plan": "basic_monthly", "price": eur(900), "interval": "month"}
    subscription |= {"renews": "2026-06-15T00:00:00Z", "status": "active"}
    preview = {"plan": plan, "price": eur(1900), "interval": "month", "due": eur(due), "lines": []}
    facts = {"subscription": subscription, "preview": preview}
    allowed, required = decided(policies, "change_plan", {"subscription_id": "sub_1", "plan": plan}, facts)
    assert (allowed, required if allowed else []) == decision


def test_a_plan_that_does_not_exist_has_no_preview_and_is_not_changed_to_without_a_look(policies):
    subscription = {"id": "sub_1", "customer": "cus_1", "plan": "basic_monthly", "status": "active"}
    facts = {"subscription": subscription, "preview": None}
    allowed, required = decided(policies, "change_plan", {"subscription_id": "sub_1", "plan": "pro_monthly"}, facts)
    assert not allowed or "expensive" in required


@pytest.mark.parametrize("anonymous", [True, False])
def test_looking_up(policies, anonymous):
    assert decided(policies, "look_up_payment", {"payment_id": "pi_1"}, {}, anonymous)[0] != anonymous
