"""The payment sandbox behaves as Stripe documents, and its faults do what they say."""

import asyncio
import socket
import subprocess
import sys
from datetime import timedelta

import httpx
import pytest

from remit.sandbox.payments import Fault, PaymentSandbox

KEY = {"Authorization": "Bearer sk_test_any"}


@pytest.fixture
async def sandbox():
    async with PaymentSandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def api(sandbox):
    async with httpx.AsyncClient(base_url=sandbox.url, headers=KEY, trust_env=False) as api:
        yield api


def paid(sandbox, amount=4990, currency="eur", **more):
    return sandbox.charging.create_payment(amount=amount, currency=currency, **more)["id"]


async def refund(api, payment, amount=1000, key="k1", call="call_1"):
    form = {"payment_intent": payment, "amount": str(amount), "metadata[remit_call]": call}
    return await api.post("/v1/refunds", data=form, headers={"Idempotency-Key": key})


# What Stripe documents


async def test_a_refund_is_created_retrieved_and_taken_from_the_charge(sandbox, api):
    payment = paid(sandbox)
    made = (await refund(api, payment)).json()
    assert (made["object"], made["amount"], made["status"], made["metadata"]) == ("refund", 1000, "succeeded", {"remit_call": "call_1"})
    assert (await api.get(f"/v1/refunds/{made['id']}")).json() == made
    intent = (await api.get(f"/v1/payment_intents/{payment}?expand[]=latest_charge")).json()
    assert (intent["latest_charge"]["amount_refunded"], intent["latest_charge"]["refunded"]) == (1000, False)
    [entry] = sandbox.ledger()
    assert (entry.reference, entry.about, entry.amount, entry.call) == (made["id"], payment, 1000, "call_1")


async def test_the_same_key_replays_the_same_bytes_and_does_nothing_twice(sandbox, api):
    payment = paid(sandbox)
    first, again = await refund(api, payment), await refund(api, payment)
    assert again.content == first.content
    assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
    assert len(sandbox.ledger()) == 1
    assert (await refund(api, payment, key="k2")).status_code == 200  # the control: under another key it is another refund
    assert len(sandbox.ledger()) == 2


async def test_an_error_of_the_execution_is_replayed_too(sandbox, api):
    payment = paid(sandbox)
    assert (await refund(api, payment, 5000)).status_code == 400
    assert (await refund(api, payment, 5000)).headers["Idempotent-Replayed"] == "true"


async def test_a_parameter_that_is_refused_does_not_use_up_the_key(sandbox, api):
    payment = paid(sandbox)
    wrong = await api.post("/v1/refunds", data={"payment_intent": payment, "amuont": "1"}, headers={"Idempotency-Key": "k1"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "parameter_unknown")
    assert (await refund(api, payment)).status_code == 200


async def test_the_same_key_with_other_parameters_is_an_idempotency_error(sandbox, api):
    payment = paid(sandbox)
    await refund(api, payment)
    other = await refund(api, payment, 2000)
    assert (other.status_code, other.json()["error"]["type"]) == (400, "idempotency_error")
    assert len(sandbox.ledger()) == 1


async def test_two_requests_at_once_under_one_key_make_one_409(sandbox, api):
    payment = paid(sandbox)
    sandbox.order(Fault.SLOW, seconds=30)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(refund(api, payment))
        while not sandbox.written():
            await asyncio.sleep(0.01)
        second = await refund(api, payment)
        assert (second.status_code, second.json()["error"]["code"]) == (409, "idempotency_key_in_use")
        first.cancel()
    assert len(sandbox.ledger()) == 1


async def test_a_key_is_forgotten_after_24_hours_and_runs_as_new(sandbox, api):
    payment = paid(sandbox)
    await refund(api, payment)
    sandbox.advance(timedelta(hours=23, minutes=59))
    assert (await refund(api, payment)).headers["Idempotent-Replayed"] == "true"
    sandbox.advance(timedelta(minutes=2))
    assert "Idempotent-Replayed" not in (await refund(api, payment)).headers
    assert len(sandbox.ledger()) == 2


@pytest.mark.parametrize(
    ("method", "first", "then", "code"),
    [
        ("pm_card_visa", 4000, 1000, None),  # more than is left
        ("pm_card_visa", 4990, 1, "charge_already_refunded"),
        ("pm_card_createDispute", None, 1000, "charge_disputed"),
    ],
)
async def test_what_can_not_be_refunded_is_refused(sandbox, api, method, first, then, code):
    payment = paid(sandbox, payment_method=method)
    if first:
        await refund(api, payment, first, key="first")
    refused = await refund(api, payment, then)
    error = refused.json()["error"]
    assert (refused.status_code, error["type"], error.get("code")) == (400, "invalid_request_error", code)
    assert len(sandbox.ledger()) == (1 if first else 0)


async def test_a_refund_may_be_pending_and_fail_later_and_then_its_amount_is_there_again(sandbox, api):
    payment = paid(sandbox, payment_method="pm_card_pendingRefund")
    made = (await refund(api, payment, 4990)).json()
    assert made["status"] == "pending"
    assert (await refund(api, payment, 1, key="k2")).status_code == 400
    sandbox.settle_refund(made["id"], "failed")
    assert (await refund(api, payment, 1, key="k3")).status_code == 200
    assert [entry.status for entry in sandbox.ledger()] == ["failed", "pending"]


async def test_lists_have_pages_newest_first(sandbox, api):
    payment, other = paid(sandbox), paid(sandbox)
    made = [(await refund(api, payment, 1, key=f"k{n}")).json()["id"] for n in range(5)]
    await refund(api, other, 1, key="other")
    seen, pages, more = [], 0, {}
    while True:
        page = (await api.get("/v1/refunds", params={"payment_intent": payment, "limit": 2, **more})).json()
        seen += [one["id"] for one in page["data"]]
        pages += 1
        if not page["has_more"]:
            break
        more = {"starting_after": page["data"][-1]["id"]}
    assert (seen, pages) == (made[::-1], 3)


async def test_lists_can_be_bounded_by_when_things_were_made(sandbox, api):
    payment = paid(sandbox)
    early = (await refund(api, payment, 1, key="early")).json()
    sandbox.advance(timedelta(hours=1))
    late = (await refund(api, payment, 1, key="late")).json()

    async def made(**bounds):
        page = (await api.get("/v1/refunds", params={f"created{name}": at for name, at in bounds.items()})).json()
        return [one["id"] for one in page["data"]]

    assert await made(**{"[gte]": late["created"]}) == [late["id"]]
    assert await made(**{"[gt]": late["created"]}) == []
    assert await made(**{"[gte]": early["created"], "[lt]": late["created"]}) == [early["id"]]
    assert await made(**{"[lte]": late["created"]}) == [late["id"], early["id"]]
    assert await made(**{"": early["created"]}) == [early["id"]]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/payment_intents/pi_none", 404, "resource_missing"),
        ("/v1/nothing", 404, None),
        ("/v1/refunds?limit=0", 400, "parameter_invalid_integer"),
        ("/v1/refunds?limit=two", 400, "parameter_invalid_integer"),
        ("/v1/refunds?colour=red", 400, "parameter_unknown"),
        ("/v1/refunds?created[since]=1", 400, "parameter_unknown"),
        ("/v1/refunds?created[gte]=today", 400, "parameter_invalid_integer"),
        ("/v1/refunds?starting_after=re_none", 400, "resource_missing"),
    ],
)
async def test_what_does_not_exist_is_answered_in_stripes_shape(api, path, status, code):
    answer = await api.get(path)
    assert (answer.status_code, answer.json()["error"].get("code")) == (status, code)


@pytest.mark.parametrize("key", ["", "Bearer sk_live_real", "Bearer nothing"])
async def test_a_live_key_or_none_is_refused(api, key):
    assert (await api.get("/v1/refunds", headers={"Authorization": key})).status_code == 401


@pytest.mark.parametrize(("currency", "good", "bad"), [("jpy", 501, None), ("kwd", 5120, 5124), ("isk", 500, 501), ("huf", 1001, None)])
async def test_amounts_of_special_currencies(sandbox, api, currency, good, bad):
    payment = paid(sandbox, 100_000, currency)
    assert (await refund(api, payment, good)).status_code == 200
    if bad:
        assert (await refund(api, payment, bad, key="k2")).status_code == 400


# Plans


@pytest.fixture
def plans(sandbox):
    basic, pro, yearly = (
        sandbox.billing.create_price(
            currency="eur", unit_amount=amount, recurring={"interval": interval}, product_data={"name": name}, lookup_key=name
        )["id"]
        for name, amount, interval in [("basic", 1000, "month"), ("pro", 3000, "month"), ("yearly", 30_000, "year")]
    )
    customer = sandbox.charging.create_customer()["id"]
    subscription = sandbox.billing.create_subscription(customer=customer, items=[{"price": basic}])
    sandbox.advance(timedelta(days=15))
    return {"basic": basic, "pro": pro, "yearly": yearly, "sub": subscription["id"], "item": subscription["items"]["data"][0]["id"]}


def change(plans, to):
    return {"items[0][id]": plans["item"], "items[0][price]": plans[to], "proration_behavior": "always_invoice"}


@pytest.mark.parametrize(("to", "lines"), [("pro", [-500, 1500]), ("yearly", [-500, 30_000]), ("basic", [])])
async def test_a_preview_prorates_and_changes_nothing(sandbox, api, plans, to, lines):
    form = {"subscription": plans["sub"]} | {f"subscription_details{_bracketed(name)}": value for name, value in change(plans, to).items()}
    invoice = (await api.post("/v1/invoices/create_preview", data=form)).json()
    # The clock went on by a second or so since: a second of a month is less than a cent here.
    assert [line["amount"] for line in invoice["lines"]["data"]] == pytest.approx(lines, abs=1)
    assert invoice["amount_due"] == pytest.approx(sum(lines), abs=1)
    held = (await api.get(f"/v1/subscriptions/{plans['sub']}")).json()
    assert held["items"]["data"][0]["price"]["id"] == plans["basic"]
    assert (sandbox.ledger(), sandbox.written()) == ([], [])


def _bracketed(name):
    first, *rest = name.split("[", 1)
    return f"[{first}]" + "".join(f"[{part}" for part in rest)


async def test_an_update_changes_the_item_it_names_and_adds_one_where_it_names_none(api, plans):
    held = (await api.post(f"/v1/subscriptions/{plans['sub']}", data=change(plans, "pro"))).json()
    assert [(item["id"], item["price"]["id"]) for item in held["items"]["data"]] == [(plans["item"], plans["pro"])]
    held = (await api.post(f"/v1/subscriptions/{plans['sub']}", data={"items[0][price]": plans["basic"]})).json()
    assert len(held["items"]["data"]) == 2


async def test_prices_are_found_by_their_lookup_key(api, plans):
    page = (await api.get("/v1/prices", params={"lookup_keys[0]": "pro", "active": "true", "limit": 1})).json()
    assert [price["id"] for price in page["data"]] == [plans["pro"]]


# Faults


@pytest.mark.parametrize(
    ("fault", "answered", "applied"),
    [
        (Fault.ANSWER_LOST, None, 1),
        (Fault.ERROR_AFTER, 500, 1),
        (Fault.LATE, None, 0),
        (Fault.DROPPED, None, 0),
        (Fault.SLOW, 200, 1),
        (Fault.TOO_MANY, 429, 0),
        (None, 200, 1),
    ],
)
async def test_a_fault_does_what_it_says(sandbox, api, fault, answered, applied):
    payment = paid(sandbox)
    if fault:
        sandbox.order(fault, seconds=0.05 if fault is Fault.SLOW else 60)
    try:
        status = (await refund(api, payment)).status_code
    except httpx.TransportError:
        status = None
    assert (status, len(sandbox.ledger())) == (answered, applied)
    [seen] = sandbox.written()
    assert (seen.status, seen.fault, seen.call, seen.key) == (answered, fault, "call_1", "k1")


async def test_a_late_effect_comes_when_it_is_due_and_holds_its_key_until_then(sandbox, api):
    payment = paid(sandbox)
    sandbox.order(Fault.LATE, seconds=60)
    with pytest.raises(httpx.TransportError):
        await refund(api, payment)
    assert (await refund(api, payment)).status_code == 409
    sandbox.advance(timedelta(seconds=60))
    assert len(sandbox.ledger()) == 1
    assert (await refund(api, payment)).headers["Idempotent-Replayed"] == "true"


async def test_too_many_requests_says_when_to_come_back_and_saves_nothing(sandbox, api):
    payment = paid(sandbox)
    sandbox.order(Fault.TOO_MANY, seconds=7)
    assert (await refund(api, payment)).headers["Retry-After"] == "7"
    assert "Idempotent-Replayed" not in (await refund(api, payment)).headers


async def test_an_order_meets_only_what_it_names_and_as_often_as_it_says(sandbox, api):
    payment = paid(sandbox)
    sandbox.order(Fault.TOO_MANY, on="GET /v1/payment_intents", times=2)
    assert (await refund(api, payment)).status_code == 200
    assert [(await api.get(f"/v1/payment_intents/{payment}")).status_code for _ in range(3)] == [429, 429, 200]


# Its life


async def test_it_is_gone_with_its_block_even_when_an_answer_is_pending():
    async with httpx.AsyncClient(headers=KEY, trust_env=False) as api:
        async with PaymentSandbox() as sandbox:
            sandbox.order(Fault.SLOW, seconds=600)
            pending = asyncio.create_task(api.post(f"{sandbox.url}/v1/refunds", data={"payment_intent": paid(sandbox)}))
            while not sandbox.written():
                await asyncio.sleep(0.01)
        [answer] = await asyncio.gather(pending, return_exceptions=True)
    assert isinstance(answer, httpx.TransportError) or answer.status_code == 200  # let go rather than held
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(sandbox.url.rsplit(":", 1)[1])))


def test_a_busy_port_is_said_in_one_line():
    with PaymentSandbox() as sandbox:
        port = sandbox.url.rsplit(":", 1)[1]
        ended = subprocess.run(
            [sys.executable, "-m", "remit.sandbox.payments", "--port", port], capture_output=True, text=True, timeout=60, check=False
        )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert port in ended.stderr


def test_as_a_process_it_is_controlled_by_requests():
    with subprocess.Popen([sys.executable, "-m", "remit.sandbox.payments"], stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            with httpx.Client(base_url=url, headers=KEY, trust_env=False) as api:
                payment = api.post("/v1/payment_intents", data={"amount": 4990, "currency": "eur"}).json()["id"]
                assert api.post("/_sandbox/faults", json={"fault": "error_after"}).status_code == 204
                assert api.post("/v1/refunds", data={"payment_intent": payment}).status_code == 500
                [entry] = api.get("/_sandbox/ledger").json()
                assert (entry["amount"], entry["status"]) == (4990, "succeeded")
                assert api.post("/_sandbox/refunds", json={"refund": entry["reference"], "status": "failed"}).status_code == 204
                assert api.post("/_sandbox/clock", json={"seconds": 60}).status_code == 204
                assert api.get("/_sandbox/ledger").json()[0]["status"] == "failed"
        finally:
            process.terminate()
    assert process.returncode == 0
