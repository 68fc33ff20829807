"""Changes of plan through the Stripe connector at the payment sandbox, without the runtime."""

from datetime import UTC, datetime, timedelta

import pytest

from remit.actions import Context, Money
from remit.actions.library.plans import change_plan, find_change, load_subscription, look_up_subscription, preview_change
from remit.actions.library.stripe import Stripe
from remit.errors import Refused, Retryable, Unsure
from remit.sandbox.payments import Fault, PaymentSandbox

UPDATE = "POST /v1/subscriptions/"


@pytest.fixture
async def sandbox():
    async with PaymentSandbox() as sandbox:
        for name, amount, interval in [("basic", 1000, "month"), ("pro", 3000, "month"), ("pro_yearly", 30_000, "year")]:
            sandbox.billing.create_price(
                currency="eur", unit_amount=amount, recurring={"interval": interval}, product_data={"name": name}, lookup_key=name
            )
        yield sandbox


@pytest.fixture
async def plans(sandbox):
    async with Stripe("sk_test_any", api_base=sandbox.url) as plans:
        yield plans


async def subscribed(sandbox, plans, plan="basic", items=1, **more):
    customer = sandbox.charging.create_customer()["id"]
    price = (await plans._price(plan)).id
    held = sandbox.billing.create_subscription(customer=customer, items=[{"price": price}] * items, **more)
    sandbox.advance(timedelta(days=15))
    return held["id"]


def context(call="call_1"):
    deadline = datetime.now(UTC) + timedelta(seconds=30)
    return Context(
        call_id=call, action="change_plan", tenant="default", principal="agent_1", conversation=None, attempt=1, deadline=deadline,
        provider_key=f"key_{call}",
    )  # fmt: skip


async def test_a_plan_is_changed_once_under_our_key_with_the_calls_mark(sandbox, plans):
    held, ctx = await subscribed(sandbox, plans), context()
    changed = await change_plan(ctx, held, "pro", plans)
    assert (changed.plan, changed.price, changed.interval, changed.status) == ("pro", Money(3000, "EUR"), "month", "active")
    assert (ctx.provider_reference, ctx.provider_status, ctx.key_used) == (held, "active", True)
    [written] = sandbox.written()
    assert (written.key, written.call) == ("key_call_1", "call_1")
    [entry] = sandbox.ledger()
    assert (entry.effect, entry.reference, entry.call) == ("plan_change", held, "call_1")
    assert await load_subscription(held, plans) == await look_up_subscription(held, plans) == changed


@pytest.mark.parametrize(("plan", "due"), [("pro", 1000), ("pro_yearly", 29_500), ("basic", 0)])
async def test_the_preview_says_what_is_due_and_changes_nothing(sandbox, plans, plan, due):
    held = await subscribed(sandbox, plans)
    preview = await preview_change(held, plan, plans)
    assert preview.due.currency == "EUR"
    assert preview.due.minor == pytest.approx(due, abs=1)  # a second of the month went by
    assert sum(line.amount.minor for line in preview.lines) == preview.due.minor
    assert (await load_subscription(held, plans)).plan == "basic"
    assert sandbox.written() == []


async def test_a_cheaper_plan_is_a_credit_and_nothing_is_due(sandbox, plans):
    held = await subscribed(sandbox, plans, "pro")
    preview = await preview_change(held, "basic", plans)
    assert preview.due == Money(0, "EUR")
    assert [line.amount.minor < 0 for line in preview.lines] == [True, False]
    assert change_plan.facts_schemas["preview"] is not None


async def test_what_is_missing_is_none_as_a_fact_and_refused_as_an_action(sandbox, plans):
    held = await subscribed(sandbox, plans)
    assert await load_subscription("sub_none", plans) is None
    assert await preview_change(held, "gold", plans) is None
    assert await preview_change("sub_none", "pro", plans) is None
    for name, plan in [("sub_none", "pro"), (held, "gold")]:
        ctx = context()
        with pytest.raises(Refused):
            await change_plan(ctx, name, plan, plans)
        assert not ctx.key_used
    with pytest.raises(Refused):
        await look_up_subscription("sub_none", plans)
    assert sandbox.written() == []


@pytest.mark.parametrize(
    ("fault", "signal", "applied"),
    [
        (Fault.ANSWER_LOST, Unsure, True),
        (Fault.ERROR_AFTER, Unsure, True),
        (Fault.DROPPED, Unsure, False),
        (Fault.TOO_MANY, Retryable, False),
    ],
)
async def test_a_fault_is_told_as_it_is_and_the_look_up_finds_the_truth(sandbox, plans, fault, signal, applied):
    held = await subscribed(sandbox, plans)
    sandbox.order(fault, on=UPDATE)
    with pytest.raises(signal):
        await change_plan(context(), held, "pro", plans)
    found = await find_change(context(), held, plans)
    assert (found is not None) == applied == bool(sandbox.ledger())
    assert await find_change(context("call_2"), held, plans) is None


async def test_the_same_key_again_a_day_later_in_the_month_sends_the_same_request(sandbox, plans):
    held = await subscribed(sandbox, plans)
    sandbox.order(Fault.ANSWER_LOST, on=UPDATE)
    with pytest.raises(Unsure):
        await change_plan(context(), held, "pro", plans)
    sandbox.advance(timedelta(hours=19))  # 0.8 of 24 hours: as long as Remit uses a key
    assert (await change_plan(context(), held, "pro", plans)).plan == "pro"
    assert [one.replayed for one in sandbox.written()] == [False, True]
    assert len(sandbox.ledger()) == 1


async def test_a_payment_that_fails_changes_nothing(sandbox, plans):
    held = await subscribed(sandbox, plans, default_payment_method="pm_card_chargeCustomerFail")
    with pytest.raises(Refused, match="declined") as refused:
        await change_plan(context(), held, "pro", plans)
    assert (refused.value.definite, refused.value.reason_code) == (True, "card_declined")
    assert (await load_subscription(held, plans)).plan == "basic"
    assert sandbox.ledger() == []


async def test_a_subscription_of_several_parts_is_left_to_people(sandbox, plans):
    held = await subscribed(sandbox, plans, items=2)
    with pytest.raises(Refused) as refused:
        await change_plan(context(), held, "pro", plans)
    assert (refused.value.reason_code, sandbox.written()) == ("several_items", [])
