"""Refunds through the Stripe connector at the payment sandbox, without the runtime: the plain functions and a Context."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import stripe as sdk
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from remit.actions import Context, Money
from remit.actions.library.payments import find_refund, load_payment, look_up_payment, refund_payment
from remit.actions.library.stripe import Stripe, _asked
from remit.actions.library.stripe_amounts import from_stripe, to_stripe
from remit.errors import Refused, Retryable, Unsure
from remit.sandbox.payments import Fault, PaymentSandbox
from remit.sandbox.serving import Serving

EUR_10 = Money(1000, "EUR")


@pytest.fixture
async def sandbox():
    async with PaymentSandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def payments(sandbox):
    async with Stripe("sk_test_any", api_base=sandbox.url) as payments:
        yield payments


def context(call="call_1", key=None):
    return Context(
        call_id=call,
        action="refund_payment",
        tenant="default",
        principal="agent_1",
        conversation=None,
        attempt=1,
        deadline=datetime.now(UTC) + timedelta(seconds=30),
        provider_key=key or f"key_{call}",
    )


def paid(sandbox, amount=4990, currency="eur", **more):
    customer = sandbox.charging.create_customer(name="Ada")["id"]
    return sandbox.charging.create_payment(amount=amount, currency=currency, customer=customer, **more)["id"]


def refund(payments, payment, amount=EUR_10, ctx=None):
    return refund_payment(ctx or context(), payment, amount, "requested_by_customer", payments)


# The two actions


async def test_a_refund_is_applied_once_under_our_key_with_the_calls_mark(sandbox, payments):
    payment, ctx = paid(sandbox), context()
    made = await refund(payments, payment, ctx=ctx)
    assert (made.payment, made.amount, made.status) == (payment, EUR_10, "succeeded")
    assert (ctx.provider_reference, ctx.provider_status, ctx.key_used) == (made.id, "succeeded", True)
    [written] = sandbox.written()
    assert (written.key, written.call, written.path) == ("key_call_1", "call_1", "/v1/refunds")
    [entry] = sandbox.ledger()
    assert (entry.reference, entry.amount, entry.currency) == (made.id, 1000, "eur")


async def test_the_payment_as_fact_and_as_result(sandbox, payments):
    payment = paid(sandbox)
    await refund(payments, payment)
    found = await load_payment(payment, payments)
    assert (found.amount, found.refunded, found.refundable) == (Money(4990, "EUR"), EUR_10, Money(3990, "EUR"))
    assert (found.status, found.disputed, found.created.utcoffset()) == ("succeeded", False, timedelta())
    assert found.customer.startswith("cus_")
    assert await look_up_payment(payment, payments) == found
    result = look_up_payment.result(found)
    assert "customer" in result.canonical
    assert "customer" not in result.model


async def test_a_payment_that_is_not_there_is_none_as_a_fact_and_refused_as_an_action(payments):
    assert await load_payment("pi_none", payments) is None
    with pytest.raises(Refused):
        await look_up_payment("pi_none", payments)
    ctx = context()
    with pytest.raises(Refused):
        await refund(payments, "pi_none", ctx=ctx)
    assert not ctx.key_used  # so the refusal counts in the first attempt, and proves nothing after a lost one


@pytest.mark.parametrize("name", ["", "../refunds", "pi_1/refunds", "pi 1", "pi_1?x=1"])
def test_a_payment_is_named_by_an_id_and_nothing_else(name):
    sent = {"payment_id": name, "amount": {"value": "1.00", "currency": "EUR"}, "reason": "duplicate"}
    assert refund_payment.read(sent).code == "arguments_invalid"
    assert refund_payment.read(sent | {"payment_id": "pi_1"}).canonical["payment_id"] == "pi_1"


async def test_a_pending_refund_counts_as_applied_and_a_failed_one_does_not(sandbox, payments):
    pending = paid(sandbox, payment_method="pm_card_pendingRefund")
    assert (await refund(payments, pending)).status == "pending"
    assert (await find_refund(context(), pending, payments)).status == "pending"
    ctx = context("call_2")
    with pytest.raises(Refused) as refused:
        await refund(payments, paid(sandbox, payment_method="pm_sandbox_failedRefund"), ctx=ctx)
    assert refused.value.definite
    assert ctx.provider_status == "failed"


async def test_a_refund_that_failed_later_is_not_reported_as_applied(sandbox, payments):
    payment = paid(sandbox, payment_method="pm_card_pendingRefund")
    made = await refund(payments, payment)
    sandbox.settle_refund(made.id, "failed")
    with pytest.raises(Refused) as refused:
        await find_refund(context(), payment, payments)
    assert (refused.value.definite, refused.value.reason_code) == (True, "refund_failed")


# What becomes of a lost answer


@pytest.mark.parametrize(
    ("fault", "signal", "applied"),
    [(Fault.ANSWER_LOST, Unsure, 1), (Fault.ERROR_AFTER, Unsure, 1), (Fault.DROPPED, Unsure, 0), (Fault.TOO_MANY, Retryable, 0)],
)
async def test_a_fault_is_told_as_it_is_and_the_look_up_finds_the_truth(sandbox, payments, fault, signal, applied):
    payment = paid(sandbox)
    sandbox.order(fault, seconds=7)
    with pytest.raises(signal) as told:
        await refund(payments, payment)
    assert len(sandbox.written()) == 1  # sent once: the SDK's own retries are off
    assert getattr(told.value, "after", None) == (7 if signal is Retryable else None)
    ctx = context()
    found = await find_refund(ctx, payment, payments)
    assert (found is not None) == bool(applied) == bool(sandbox.ledger())
    assert ctx.provider_reference == (found and found.id)


async def test_the_sdks_own_retry_would_be_seen(sandbox, payments, monkeypatch):
    payment = paid(sandbox)
    sandbox.order(Fault.ERROR_AFTER)
    monkeypatch.setattr(sdk.HTTPClient, "INITIAL_DELAY", 0)
    monkeypatch.setattr(sdk.HTTPClient, "MAX_DELAY", 0)
    client = sdk.StripeClient("sk_test_any", base_addresses={"api": sandbox.url}, http_client=payments._http, max_network_retries=1)
    with pytest.raises(sdk.APIError):
        await client.v1.refunds.create_async({"payment_intent": payment})
    assert len(sandbox.written()) == 2


async def test_a_timeout_is_unsure_and_the_refund_is_found(sandbox):
    payment = paid(sandbox)
    sandbox.order(Fault.SLOW, seconds=600)
    async with Stripe("sk_test_any", api_base=sandbox.url, timeout=0.5) as impatient:
        with pytest.raises(Unsure):
            await refund(impatient, payment)
    async with Stripe("sk_test_any", api_base=sandbox.url) as patient:
        assert await find_refund(context(), payment, patient)


async def test_a_late_refund_is_not_found_before_it_is_there(sandbox, payments):
    payment = paid(sandbox)
    sandbox.order(Fault.LATE, seconds=3600)
    with pytest.raises(Unsure):
        await refund(payments, payment)
    assert await find_refund(context(), payment, payments) is None
    with pytest.raises(Unsure):  # 409: the first is still at work under this key
        await refund(payments, payment)
    sandbox.advance(timedelta(hours=1))
    assert await find_refund(context(), payment, payments)
    assert len(sandbox.ledger()) == 1


async def test_the_same_key_again_does_not_refund_twice(sandbox, payments):
    payment = paid(sandbox)
    sandbox.order(Fault.ANSWER_LOST, times=2)
    for _ in range(2):
        with pytest.raises(Unsure):
            await refund(payments, payment)
    made = await refund(payments, payment)
    assert [entry.reference for entry in sandbox.ledger()] == [made.id]
    assert [one.replayed for one in sandbox.written()] == [False, True, True]


async def test_a_naive_retry_under_a_new_key_would_refund_twice(sandbox, payments):
    payment = paid(sandbox)
    sandbox.order(Fault.ANSWER_LOST)
    with pytest.raises(Unsure):
        await refund(payments, payment)
    await refund(payments, payment, ctx=context(key="another"))
    assert len(sandbox.ledger()) == 2


async def test_a_key_that_was_used_for_something_else_proves_nothing(sandbox, payments):
    payment = paid(sandbox)
    await refund(payments, payment)
    with pytest.raises(Unsure):
        await refund(payments, payment, Money(2000, "EUR"))


# What is refused


async def test_more_than_is_left_is_refused_for_good_and_the_reason_can_be_told(sandbox, payments):
    payment = paid(sandbox)
    with pytest.raises(Refused, match="greater than unrefunded amount") as refused:
        await refund(payments, payment, Money(4991, "EUR"))
    assert refused.value.definite
    await refund(payments, payment, Money(4990, "EUR"), ctx=context("call_2"))
    with pytest.raises(Refused) as refused:
        await refund(payments, payment, Money(1, "EUR"), ctx=context("call_3"))
    assert refused.value.reason_code == "charge_already_refunded"


async def test_another_currency_is_refused_before_anything_is_sent(sandbox, payments):
    payment, ctx = paid(sandbox), context()
    with pytest.raises(Refused) as refused:
        await refund(payments, payment, Money(1000, "JPY"), ctx)
    assert (refused.value.reason_code, refused.value.definite, ctx.key_used, sandbox.written()) == ("currency_mismatch", False, False, [])


async def test_credentials_that_fail_between_two_attempts_prove_nothing_of_the_first(sandbox, payments):
    payment = paid(sandbox)
    sandbox.order(Fault.ANSWER_LOST)
    with pytest.raises(Unsure):
        await refund(payments, payment)
    async with Stripe("sk_live_secret", api_base=sandbox.url) as revoked:
        with pytest.raises(Retryable) as told:  # not Refused: the refund is there
            await refund(revoked, payment)
    assert "secret" not in str(told.value)
    assert len(sandbox.ledger()) == 1


async def test_refused_before_a_byte_is_known_not_applied(sandbox):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    # Nobody listens; no such name; a server without TLS.
    for base in (f"http://127.0.0.1:{port}", "http://nowhere.invalid", sandbox.url.replace("http:", "https:")):
        async with Stripe("sk_test_any", api_base=base) as payments:
            with pytest.raises(Retryable):
                await _create(payments)


async def _create(payments):
    """Send the write alone, so that the read before it does not answer for it."""
    await _asked(payments._v1.refunds.create_async({"payment_intent": "pi_1"}), writing=True)


@pytest.mark.parametrize(
    ("status", "signal"),
    [
        (200, Unsure),  # a body that can't be read
        (302, Unsure),
        (400, Refused),
        (401, Retryable),
        (402, Refused),
        (403, Retryable),
        (404, Refused),
        (408, Unsure),
        (409, Unsure),
        (425, Unsure),
        (429, Retryable),
        (500, Unsure),
        (503, Unsure),
    ],
)
async def test_what_an_answer_to_a_write_means(status, signal):
    body = b"<html>" if status == 200 else b'{"error": {"type": "invalid_request_error", "message": "No."}}'

    async def answer(request):
        return Response(body, status, {"Location": "/"})

    app = Starlette(routes=[Route("/v1/refunds", answer, methods=["POST"])])
    async with Serving(app) as serving, Stripe("sk_test_any", api_base=serving.url) as payments:
        with pytest.raises(signal) as told:
            await _create(payments)
    assert getattr(told.value, "definite", True)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b'{"object": "refund", "id": "re_1"}',
        b'{"object": "refund", "id": "re_1", "amount": 100, "currency": "xxx", "status": "succeeded", "payment_intent": "pi_1"}',
        b'{"object": "refund", "id": "re_1", "amount": "much", "currency": "eur", "status": "succeeded"}',
    ],
)
async def test_an_answer_to_a_write_that_can_not_be_read_says_nothing(body, sandbox, payments):
    payment = sandbox.charging.create_payment(amount=4990, currency="eur")["id"]

    async def answer(request):
        if request.method == "POST":
            return Response(body, media_type="application/json")
        async with httpx.AsyncClient(headers={"Authorization": "Bearer sk_test_any"}, trust_env=False) as api:
            found = await api.get(f"{sandbox.url}{request.url.path}?{request.url.query}")
        return Response(found.content, found.status_code)

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    async with Serving(app) as serving, Stripe("sk_test_any", api_base=serving.url) as between:
        with pytest.raises(Unsure):
            await refund(between, payment)


@pytest.mark.parametrize("body", [b'{"error": {"type": "invalid_request_error", "message": "No."}}', b"<html>Slow down</html>"])
async def test_being_asked_to_slow_down_is_known_not_applied_whoever_asks(body):
    async def answer(request):
        return Response(body, 429, {"Retry-After": "7"})

    app = Starlette(routes=[Route("/v1/refunds", answer, methods=["POST"])])
    async with Serving(app) as serving, Stripe("sk_test_any", api_base=serving.url) as payments:
        with pytest.raises(Retryable) as told:
            await _create(payments)
    assert told.value.after == 7


async def test_a_proxy_that_refuses_is_before_a_byte(monkeypatch):
    """Stripe itself is never asked: the proxy is on this machine, and takes nothing."""

    async def refuses(scope, receive, send):
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with Serving(refuses) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        async with Stripe("sk_test_any") as payments:
            with pytest.raises(Retryable):
                await _create(payments)


# Pages


async def test_a_refund_is_found_on_a_later_page(sandbox, payments):
    payment = paid(sandbox, 100_000)
    await refund(payments, payment)
    for n in range(205):
        sandbox.charging.create_refund(payment_intent=payment, amount=1, metadata={"remit_call": f"other_{n}"})
    assert (await find_refund(context(), payment, payments)).amount == EUR_10
    assert await find_refund(context("call_none"), payment, payments) is None
    first = await payments._v1.refunds.list_async({"payment_intent": payment, "limit": 100})
    assert "call_1" not in [one.metadata["remit_call"] for one in first.data]  # one page alone would not have found it


async def test_of_several_refunds_of_one_call_the_one_that_stands_is_found(sandbox, payments):
    payment = paid(sandbox, payment_method="pm_card_pendingRefund")
    made = await refund(payments, payment)
    later = sandbox.charging.create_refund(payment_intent=payment, amount=1000, metadata={"remit_call": "call_1"})
    sandbox.settle_refund(later["id"], "failed")
    assert (await find_refund(context(), payment, payments)).id == made.id


# Currencies


@pytest.mark.parametrize(
    ("value", "currency", "amount"),
    [
        ("49.90", "EUR", 4990),
        ("500", "JPY", 500),
        ("5.120", "KWD", 5120),
        ("5", "ISK", 500),
        ("5", "UGX", 500),
        ("5.00", "MGA", 5),
        ("10.45", "HUF", 1045),
        ("8.45", "TWD", 845),
    ],
)
async def test_an_amount_arrives_as_stripe_counts_it(sandbox, payments, value, currency, amount):
    money = Money.of(value, currency)
    assert (to_stripe(money), from_stripe(amount, currency.lower(), Money)) == (amount, money)
    payment = paid(sandbox, amount * 2, currency.lower())
    assert (await refund(payments, payment, money)).amount == money
    assert [entry.amount for entry in sandbox.ledger()] == [amount]
    assert (await load_payment(payment, payments)).refundable == money


@pytest.mark.parametrize(("value", "currency"), [("5.124", "KWD"), ("0.001", "BHD"), ("5.01", "MGA")])
async def test_an_amount_that_stripe_can_not_express_is_refused_before_anything_is_sent(sandbox, payments, value, currency):
    ctx = context()
    with pytest.raises(Refused):
        await refund(payments, "pi_1", Money.of(value, currency), ctx)
    assert (ctx.key_used, sandbox.written()) == (False, [])


@pytest.mark.parametrize(("amount", "currency"), [(501, "isk"), (100, "xxx")])
def test_an_amount_that_we_can_not_hold_is_not_rounded(amount, currency):
    with pytest.raises(Refused):
        from_stripe(amount, currency, Money)


async def test_refunds_at_once_do_not_mix_up_their_answers(sandbox, payments):
    payment = paid(sandbox)
    made = await asyncio.gather(*(refund(payments, payment, Money(n, "EUR"), context(f"call_{n}")) for n in range(1, 9)))
    assert [one.amount.minor for one in made] == list(range(1, 9))
    assert len({one.id for one in made}) == len(sandbox.ledger()) == 8
