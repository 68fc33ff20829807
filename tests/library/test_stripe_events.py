"""What Stripe tells later of a refund: signed by the sandbox as Stripe signs, and read only if it was."""

from __future__ import annotations

import json
import time

import pytest
import stripe
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from remit.actions.library.stripe_events import ProviderNotice, read_notice
from remit.errors import DefinitionError
from remit.sandbox.events import signature
from remit.sandbox.payments import PaymentSandbox
from remit.sandbox.serving import Serving

SECRET = "whsec_test"
REFUND = {"id": "re_1", "object": "refund", "status": "failed", "metadata": {"remit_call": "call_1"}}


def event(kind="refund.failed", **refund):
    about = {name: value for name, value in (REFUND | refund).items() if value is not None}
    return json.dumps({"id": "evt_1", "object": "event", "type": kind, "data": {"object": about}})


def signed(body, secret=SECRET, ago=0, **given):
    return read_notice(body.encode(), signature(body, secret, int(time.time()) - ago), SECRET, **given)


@pytest.mark.parametrize("kind", ["refund.failed", "refund.updated", "charge.refund.updated"])
@pytest.mark.parametrize(
    ("status", "gone"), [("failed", True), ("canceled", True), ("succeeded", False), ("pending", False), ("requires_action", False)]
)
def test_a_refund_is_reversed_if_its_money_came_back(kind, status, gone):
    assert signed(event(kind, status=status)) == ProviderNotice("evt_1", "call_1", "re_1", status, gone)


@pytest.mark.parametrize(
    "body",
    [
        event("charge.refunded"),
        event("payment_intent.succeeded"),
        event(metadata=None),
        event(metadata={}),
        event(metadata={"remit_call": ""}),
        event(metadata={"order": "o_1"}),
        event("refund.updated", object="charge"),
    ],
)
def test_anything_else_is_nothing_to_us(body):
    assert signed(body) is None


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "t=1,v1=",
        "nonsense",
        signature(event(), "whsec_other", int(time.time())),
        signature(event(status="succeeded"), SECRET, int(time.time())),  # another body's
        signature(event(), SECRET, int(time.time())).replace("v1=", "v0="),
        signature(event(), SECRET, int(time.time()) - 3600),  # one that somebody kept
    ],
    ids=["none", "empty", "no signature", "nonsense", "another secret", "another body", "another scheme", "one that was kept"],
)
def test_what_stripe_did_not_sign_just_now_is_refused(header):
    with pytest.raises(ValueError, match="no event that Stripe has signed") as refused:
        read_notice(event().encode(), header, SECRET)
    assert "re_1" not in str(refused.value)


@pytest.mark.parametrize("body", ["", "{}", "[]", "null", "7", "{", '{"object": "v2.core.event"}'])
def test_a_signed_body_that_is_no_event_is_refused_or_nothing(body):
    try:
        assert signed(body) is None
    except ValueError as error:
        assert "no event" in str(error)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(ValueError, match="no event"):
        read_notice(b"\xff", "t=1,v1=x", SECRET)


def test_an_empty_secret_signs_nothing():
    with pytest.raises(ValueError, match="no event"):
        read_notice(event().encode(), signature(event(), "", int(time.time())), "")


def test_the_tolerance_is_kept_and_can_not_be_switched_off():
    assert signed(event(), ago=200)
    with pytest.raises(ValueError, match="too old"):
        signed(event(), ago=200, tolerance=100)
    with pytest.raises(DefinitionError, match="at least one second"):
        signed(event(), tolerance=0)  # to Stripe's package 0 means for ever


def test_control_without_verification_anybody_could_reverse():
    forged = signature(event(), "whsec_other", int(time.time()))
    assert stripe.Webhook.construct_event_without_verification(event()).type == "refund.failed"
    with pytest.raises(ValueError, match="no event"):
        read_notice(event().encode(), forged, SECRET)


def test_the_sandbox_signs_as_stripe_does():
    body, at = event(), 1_800_000_000
    assert signature(body, SECRET, at) == stripe.WebhookSignature.generate_signature_header(body, SECRET, at)


def test_a_refund_that_fails_days_later_is_told_to_whoever_listens():
    got = []

    async def webhook(request):
        got.append(read_notice(await request.body(), request.headers.get("stripe-signature"), SECRET))
        return Response(status_code=204)

    with PaymentSandbox() as sandbox, Serving(Starlette(routes=[Route("/hook", webhook, methods=["POST"])])) as shop:
        sandbox.deliver_to(f"{shop.url}/hook", SECRET)
        payment = sandbox.charging.create_payment(amount=4990, currency="eur")["id"]
        made = sandbox.charging.create_refund(payment_intent=payment, amount=1000, metadata={"remit_call": "call_1"})
        sandbox.settle_refund(made["id"], "failed")
        assert [(one.call_id, one.reference, one.reversed) for one in got] == [("call_1", made["id"], True)] * 3
        assert len({one.event_id for one in got}) == 3
        assert [entry.status for entry in sandbox.ledger()] == ["failed"]
