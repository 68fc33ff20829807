"""The sandbox's events: sent when a refund changes, as it was then, and again when that is asked for."""

import json

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from remit.sandbox.ledger import ProblemError
from remit.sandbox.payments import PaymentSandbox
from remit.sandbox.serving import Serving


@pytest.fixture
def sandbox():
    with PaymentSandbox() as served:
        yield served


@pytest.fixture
def listener():
    got = []

    async def webhook(request):
        got.append((await request.json(), request.headers["stripe-signature"]))
        return Response(status_code=500 if len(got) == 1 else 200)

    with Serving(Starlette(routes=[Route("/", webhook, methods=["POST"])])) as served:
        yield f"{served.url}/", got


def pending(sandbox):
    payment = sandbox.charging.create_payment(amount=4990, currency="eur", payment_method="pm_card_pendingRefund")["id"]
    return sandbox.charging.create_refund(payment_intent=payment, amount=1000)["id"]


def test_nothing_is_sent_where_nobody_listens(sandbox):
    sandbox.settle_refund(pending(sandbox), "failed")
    assert sandbox.events() == []


def test_each_change_of_a_refund_is_told_as_it_was_then(sandbox, listener):
    url, got = listener
    sandbox.deliver_to(url, "whsec_test")
    refund = pending(sandbox)
    sandbox.settle_refund(refund, "succeeded")
    sandbox.settle_refund(refund, "failed")
    told = [(body["type"], body["data"]["object"]["status"]) for body, _ in got]
    assert told == [
        ("refund.updated", "succeeded"),
        ("charge.refund.updated", "succeeded"),
        ("refund.updated", "failed"),
        ("charge.refund.updated", "failed"),
        ("refund.failed", "failed"),
    ]
    assert [event.statuses for event in sandbox.events()] == [[500], [200], [200], [200], [200]]


def test_an_event_may_come_twice(sandbox, listener):
    url, got = listener
    sandbox.deliver_to(url, "whsec_test")
    sandbox.settle_refund(pending(sandbox), "failed")
    first = sandbox.events()[0]
    sandbox.resend(first.id)
    assert (first.statuses, got[0][0]) == ([500, 200], got[-1][0])
    with pytest.raises(ProblemError):
        sandbox.resend("evt_none")


def test_an_event_that_reaches_nobody_is_noted(sandbox):
    sandbox.deliver_to("http://127.0.0.1:9/", "whsec_test")
    sandbox.settle_refund(pending(sandbox), "succeeded")
    assert [event.statuses for event in sandbox.events()] == [[0], [0]]


def test_another_process_orders_it_and_may_ask_the_sandbox_before_it_answers(sandbox):
    seen = []

    async def asks(request):
        about = json.loads(await request.body())["data"]["object"]["id"]
        async with httpx.AsyncClient(base_url=sandbox.url, headers={"Authorization": "Bearer sk_test_any"}, trust_env=False) as api:
            seen.append((await api.get(f"/v1/refunds/{about}")).json()["status"])
        return Response(status_code=204)

    with (
        Serving(Starlette(routes=[Route("/", asks, methods=["POST"])])) as shop,
        httpx.Client(base_url=sandbox.url, trust_env=False) as api,
    ):
        assert api.post("/_sandbox/webhook", json={"url": f"{shop.url}/", "secret": "whsec_test"}).status_code == 204
        assert api.post("/_sandbox/refunds", json={"refund": pending(sandbox), "status": "failed"}).status_code == 204
        [first, *_] = api.get("/_sandbox/events").json()
        assert api.post("/_sandbox/resend", json={"event": first["id"]}).status_code == 204
    assert seen == ["failed"] * 4
