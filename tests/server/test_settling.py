"""Over HTTP: a person says what became of a call, calls are undone and stopped while they cool off, and Stripe's later word is taken."""

import asyncio
import json
import time

import httpx
import pytest

from remit import Context, Injected, Money, Runtime, action, once
from remit.actions import undo
from remit.sandbox.events import signature
from remit.server import create_app
from tests.server import desk as desk_module
from tests.server.answers import Documented
from tests.server.conftest import credit, order, page, part
from tests.server.desk import Desk, Order
from tests.server.test_links import form, link_to

SECRET = "whsec_test"
SLOW = desk_module.POLICIES["desk.yaml"].replace("    then: allow\n", "    then: allow\n    delay: 10m\n")


async def submitted(door, call, status=200):
    async with door.client() as client:
        response = await client.post("/v1/calls", json=call)
    assert response.status_code == status, response.text
    return response.json()


async def unknown(door, monkeypatch, passed=True):
    """A call whose answer was lost, and whose settle time is over."""

    async def lost(ctx, order_id, amount, desk):
        desk.credits.append(order_id)
        raise ConnectionResetError

    found = door.runtime.catalog["issue_credit"]
    wiring = found._wiring
    object.__setattr__(found, "_wiring", type(wiring)(**{**{name: getattr(wiring, name) for name in wiring.__slots__}, "fn": lost}))
    try:
        outcome = await submitted(door, credit(), 202)
    finally:
        object.__setattr__(found, "_wiring", wiring)
    assert outcome["state"] == "unknown"
    if passed:
        door.runtime.parts.clock._offset += 31 * 1_000_000
    return outcome


@pytest.fixture
async def olga(door):
    await door.runtime.people.add("olga", roles=["operator"])
    door.keys["olga"] = await door.runtime.people.new_key("olga", kind="person", scopes=["calls:resolve", "calls:write"])


# resolving


@pytest.mark.usefixtures("olga")
@pytest.mark.parametrize(("applied", "state"), [(True, "succeeded"), (False, "failed")])
async def test_an_operator_says_what_became_of_it(door, monkeypatch, applied, state):
    outcome = await unknown(door, monkeypatch)
    assert outcome["settled_by"] == "person" and "only a person" in outcome["message"]
    async with door.client("olga") as client:
        resolved = await client.post(f"/v1/calls/{outcome['call']}/resolve", json={"applied": applied, "reason": "the list"})
        assert (resolved.status_code, resolved.json()["state"]) == (200, state)
        again = await client.post(f"/v1/calls/{outcome['call']}/resolve", json={"applied": applied, "reason": "the list"})
        assert (again.status_code, again.json()["code"]) == (409, "already_settled")
    view = await door.runtime.view(outcome["call"])
    assert view.events[-2]["body"] == {"applied": applied, "by": "olga", "via": "api"}


@pytest.mark.usefixtures("olga")
async def test_nobody_else_says_so_and_not_too_early(door, monkeypatch):
    outcome = await unknown(door, monkeypatch, passed=False)
    path, body = f"/v1/calls/{outcome['call']}/resolve", {"applied": True, "reason": "x"}
    async with door.client("olga") as client:
        early = await client.post(path, json=body)
        assert (early.status_code, early.json()["code"]) == (409, "still_running")
        door.runtime.parts.clock._offset += 31 * 1_000_000
        assert (await client.post(path, json={"applied": True})).status_code == 422, "a reason is needed"
    for key, status, code in (("ana", 403, "not_an_operator"), ("service", 403, "person_needed")):
        async with door.client(key) as client:
            refused = await client.post(path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert (await door.runtime.get(outcome["call"])).state == "unknown"


async def test_health_counts_those_that_wait_for_a_person(door, monkeypatch):
    outcome = await unknown(door, monkeypatch)
    async with door.client(None) as client:
        for _ in range(400):
            if (await client.get("/healthz")).json()["dead"]:
                break
            await asyncio.sleep(0.02)
        assert (await client.get("/healthz")).json()["dead"] == 1
    assert [one.id for one in await door.runtime.dead()] == [outcome["call"]]


# undoing


@action(effect=once, key="lend:{order_id}", undo=undo("take_back", order_id="arguments.order_id"), owns=None, owns_reason="a test")
async def lend(ctx: Context, order_id: str, amount: Money, desk: Injected[Desk]) -> Order:
    """Lend."""
    desk.credits.append(order_id)
    ctx.reference("re_1")
    return Order(id=order_id, status="lent")


@action(effect=once, key="back:{order_id}", owns=None, owns_reason="a test")
async def take_back(order_id: str, desk: Injected[Desk]) -> Order:
    """Take back."""
    desk.credits.append(f"back {order_id}")
    return Order(id=order_id, status="back")


@pytest.fixture
async def lending(door, tmp_path):
    """The same door over a desk that lends; Stripe may tell it of what was reversed."""
    policies = tmp_path / "lending"
    policies.mkdir()
    (policies / "p.yaml").write_text("policy: p\nactions: [lend, take_back]\nrules:\n  - {id: any, then: allow}\n")
    async with Runtime([lend, take_back], policies=policies, database=tmp_path / "lending.db", resources=[door.desk]) as runtime:
        await runtime.people.add("sam", roles=["support", "operator"])
        scopes = ["calls:write", "calls:read"]
        door.keys["lender"] = await runtime.people.new_key("shop", kind="service", scopes=scopes)
        door.keys["sam"] = await runtime.people.new_key("sam", kind="person", scopes=scopes)
        door.lending, door.runtime = runtime, runtime
        door.app = create_app(runtime, stripe_secret=SECRET)
        yield door


def client_of(door, key):
    transport = Documented(httpx.ASGITransport(door.app), door.app.openapi())
    return httpx.AsyncClient(transport=transport, base_url="http://remit", headers={"Authorization": f"Bearer {door.keys[key]}"})


LOAN = order("lend", {"order_id": "ord_1", "amount": {"value": "5.00", "currency": "EUR"}})


async def lent(door):
    async with client_of(door, "lender") as client:
        return (await client.post("/v1/calls", json=LOAN)).json()["call"]


@pytest.mark.parametrize("key", ["lender", "sam"])
async def test_a_service_undoes_in_a_session_and_a_person_in_their_own_name(lending, key):
    first, body = await lent(lending), {"reason": "by mistake"} | ({"session": LOAN["session"]} if key == "lender" else {})
    async with client_of(lending, key) as client:
        done = await client.post(f"/v1/calls/{first}/undo", json=body)
        assert (done.status_code, done.json()["action"], done.json()["state"]) == (200, "take_back", "succeeded"), done.text
        assert (await client.get(f"/v1/calls/{first}")).json()["taken_back"] == "undone"
        again = (await client.post(f"/v1/calls/{first}/undo", json=body)).json()
        assert again["repeated"] and again["call"] == done.json()["call"]
        cannot = await client.post(f"/v1/calls/{again['call']}/undo", json=body)
        assert (cannot.status_code, cannot.json()["code"]) == (422, "no_undo")
    view = await lending.runtime.view(again["call"])
    assert (view.principal, view.undoes) == ("support-agent" if key == "lender" else "sam", first)
    assert lending.desk.credits == ["ord_1", "back ord_1"]


async def test_whose_key_it_is_says_who_asks(lending):
    first = await lent(lending)
    async with client_of(lending, "sam") as person, client_of(lending, "lender") as service:
        for client, body in ((person, {"session": LOAN["session"]}), (service, {})):
            refused = await client.post(f"/v1/calls/{first}/undo", json=body)
            assert (refused.status_code, refused.json()["code"]) == (422, "session_needed")
        other = await service.post(f"/v1/calls/{first}/undo", json={"session": {**LOAN["session"], "subject": "cus_9"}})
        assert (other.status_code, other.json()["code"]) == (404, "call_not_found")


# what Stripe tells later


def event(call, *, number="evt_1", status="failed", refund="re_1", kind="refund.updated"):
    about = {"id": refund, "object": "refund", "status": status, "metadata": {"remit_call": call}}
    return json.dumps({"id": number, "object": "event", "type": kind, "data": {"object": about}})


async def told(door, body, secret=SECRET, at=None):
    async with page(door) as stripe:
        headers = {"Stripe-Signature": signature(body, secret, int(at or time.time()))}
        return await stripe.post("/v1/webhooks/stripe", content=body, headers=headers)


async def reversals(door, call):
    return [one["body"] for one in (await door.runtime.view(call)).events if one["kind"] == "effect.reversed"]


async def test_a_refund_that_fails_later_is_taken_down_once(lending):
    first = await lent(lending)
    for number in ("evt_1", "evt_1", "evt_2"):
        assert (await told(lending, event(first, number=number))).status_code == 204
    assert await reversals(lending, first) == [{"code": "refund_failed", "by": "stripe", "reference": "evt_1"}]
    assert (await lending.runtime.get(first)).taken_back == "reversed"
    assert await lent(lending) != first, "it may be done again"


@pytest.mark.parametrize(
    "changed", [{"status": "succeeded"}, {"status": "pending"}, {"refund": "re_2"}, {"kind": "charge.updated"}], ids=str
)
async def test_control_what_says_no_such_thing_changes_nothing(lending, changed):
    first = await lent(lending)
    assert (await told(lending, event(first, **changed))).status_code == 204
    assert await reversals(lending, first) == []


async def test_what_stripe_has_not_signed_is_refused(lending):
    first = await lent(lending)
    for secret, at in (("whsec_other", None), (SECRET, time.time() - 3600)):
        refused = await told(lending, event(first), secret, at)
        assert (refused.status_code, refused.json()["code"]) == (400, "not_signed")
    async with page(lending) as stranger:
        assert (await stranger.post("/v1/webhooks/stripe", content=event(first))).status_code == 400
    assert await reversals(lending, first) == []


async def test_an_event_about_what_is_none_of_ours_is_taken_and_passed_over(lending):
    assert (await told(lending, event("call_elsewhere"))).status_code == 204


async def test_an_event_about_what_has_not_settled_is_sent_again_later(door, monkeypatch):
    call = (await unknown(door, monkeypatch))["call"]
    door.app.state.stripe_secret = SECRET
    early = await told(door, event(call))
    assert (early.status_code, early.json()["code"]) == (409, "not_settled")


async def test_without_a_secret_there_is_no_such_place(door):
    assert (await told(door, event("call_1"))).status_code == 404


# cooling off


@pytest.fixture
async def slow(door, tmp_path):
    (tmp_path / "policies" / "desk.yaml").write_text(SLOW)
    await door.runtime.reload_policies(by="ana")
    return door


async def test_the_agents_service_stops_what_cools_off(slow):
    outcome = await submitted(slow, credit(), 202)
    assert outcome["state"] == "ready" and outcome["until"]
    async with slow.client() as client:
        stopped = await client.post(f"/v1/calls/{outcome['call']}/cancel")
        assert (stopped.status_code, stopped.json()["state"]) == (200, "cancelled")
    assert slow.desk.credits == []


async def test_the_customer_stops_it_through_the_service_that_knows_them(slow):
    call = (await submitted(slow, credit(), 202))["call"]
    async with slow.client() as client:
        asked = (await client.get(f"/v1/confirmations/{call}?subject=cus_1")).json()
        assert asked["state"] == "delayed" and asked["until"]
        wrong = await client.post(f"/v1/confirmations/{call}/cancel", json={"subject": "cus_2"})
        assert (wrong.status_code, wrong.json()["code"]) == (403, "not_an_approver")
        stopped = await client.post(f"/v1/confirmations/{call}/cancel", json={"subject": "cus_1", "reason": "no"})
        assert stopped.json()["state"] == "cancelled"
        late = await client.post(f"/v1/confirmations/{call}/cancel", json={"subject": "cus_1"})
        assert (late.status_code, late.json()["code"]) == (409, "already_settled")
    assert (await slow.runtime.view(call)).events[-1]["body"] == {"by": "subject"}


@pytest.mark.parametrize("confirmed", [True, False])
async def test_the_customer_stops_it_on_their_page(slow, confirmed):
    call = (await submitted(slow, part() if confirmed else credit(), 202))["call"]
    path = await link_to(slow, call)
    async with page(slow) as browser:
        if confirmed:
            shown = await browser.get(path)
            accepted = await browser.post(path, data=form(shown.text))
            assert (accepted.status_code, slow.desk.parts) == (200, [])
        seen = await browser.get(path)
        assert "This is going to be done" in seen.text and 'value="cancel"' in seen.text and 'value="approve"' not in seen.text
        assert (await browser.post(path, data={"answer": "approve"})).status_code == 422
        assert (await slow.runtime.get(call)).state == "ready", "looking and other answers stop nothing"
        stopped = await browser.post(path, data={"answer": "cancel"})
        assert "no longer open" in stopped.text and (await slow.runtime.get(call)).state == "cancelled"


async def test_control_it_is_done_when_nobody_stops_it(slow):
    call = (await submitted(slow, credit(), 202))["call"]
    slow.runtime.parts.clock._offset += 600 * 1_000_000
    assert (await slow.runtime.wait(call, 20)).ok and slow.desk.credits
