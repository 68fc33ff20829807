"""A customer's answer, through the service that knows them: shown exactly, bound to what was shown, counted once."""

import pytest

from tests.server.conftest import credit, order, part


async def ask(door, **session):
    async with door.client() as client:
        waiting = await client.post("/v1/calls", json=part(**session))
    assert waiting.status_code == 202, waiting.text
    return waiting.json()["call"]


def path(call, subject="cus_1"):
    return f"/v1/confirmations/{call}?subject={subject}"


async def test_the_customer_sees_it_in_their_language_and_answers_once(door):
    call = await ask(door, locale="de", note="<b>bald</b>")
    async with door.client() as client:
        asked = (await client.get(path(call))).json()
        assert asked["state"] == "open"
        assert asked["summary"]["sentence"] == "wheel für 9,00\u00a0€ bestellen"
        assert {"label": "Note", "text": "<b>bald</b>"} in asked["summary"]["lines"]
        answer = {"subject": "cus_1", "answer": "approve", "digest": asked["digest"], "shown": asked["shown"]}
        done = await client.post(f"/v1/confirmations/{call}", json=answer)
        assert (done.status_code, done.json()["state"]) == (200, "succeeded")
        again = await client.post(f"/v1/confirmations/{call}", json=answer)
        assert (again.status_code, again.json()["code"]) == (409, "approval_not_open")
        assert (await client.get(path(call))).json()["state"] == "approved"
    assert door.desk.parts == ["wheel"]


async def test_a_no_is_a_no(door):
    call = await ask(door)
    async with door.client() as client:
        digest = (await client.get(path(call))).json()["digest"]
        said = await client.post(f"/v1/confirmations/{call}", json={"subject": "cus_1", "answer": "reject", "digest": digest})
        assert said.json()["state"] == "declined"
    assert door.desk.parts == []


async def test_looking_changes_nothing(door):
    call = await ask(door)
    before = len((await door.runtime.view(call)).events)
    async with door.client() as client:
        for _ in range(3):
            await client.get(path(call))
    assert len((await door.runtime.view(call)).events) == before
    assert door.desk.parts == []


async def test_somebody_else_neither_sees_nor_answers_it(door):
    call = await ask(door)
    async with door.client() as client:
        seen = await client.get(path(call, "cus_9"))
        assert (seen.status_code, seen.json()["code"]) == (403, "not_an_approver")
        assert "wheel" not in seen.text
        digest = (await client.get(path(call))).json()["digest"]
        said = await client.post(f"/v1/confirmations/{call}", json={"subject": "cus_9", "answer": "approve", "digest": digest})
        assert said.status_code == 403
    assert door.desk.parts == []


@pytest.mark.parametrize("wrong", [{"digest": "0" * 64}, {"shown": "0" * 64}])
async def test_an_answer_to_something_else_does_not_count(door, wrong):
    call = await ask(door)
    async with door.client() as client:
        asked = (await client.get(path(call))).json()
        answer = {"subject": "cus_1", "answer": "approve", "digest": asked["digest"], "shown": asked["shown"]}
        said = await client.post(f"/v1/confirmations/{call}", json=answer | wrong)
        assert (said.status_code, said.json()["code"]) == (409, "approval_not_open")
        assert door.desk.parts == []
        control = await client.post(f"/v1/confirmations/{call}", json=answer)
        assert control.json()["state"] == "succeeded"


async def test_the_digest_must_be_sent(door):
    call = await ask(door)
    async with door.client() as client:
        said = await client.post(f"/v1/confirmations/{call}", json={"subject": "cus_1", "answer": "approve"})
    assert (said.status_code, said.json()["field_errors"][0]["path"]) == (422, "body.digest")


async def test_another_price_asks_anew_and_the_answer_to_the_old_one_does_not_count(door):
    call = await ask(door)
    async with door.client() as client:
        old = (await client.get(path(call))).json()
        answer = {"subject": "cus_1", "answer": "approve", "digest": old["digest"], "shown": old["shown"]}
        door.desk.price = 1900
        asked_anew = await client.post(f"/v1/confirmations/{call}", json=answer)
        assert (asked_anew.status_code, asked_anew.json()["state"]) == (202, "waiting")
        late = await client.post(f"/v1/confirmations/{call}", json=answer)
        assert (late.status_code, late.json()["code"]) == (409, "approval_not_open")
        new = (await client.get(path(call))).json()
        assert new["summary"]["sentence"] == "Order wheel for €19.00"
        assert new["shown"] != old["shown"]
        said = await client.post(f"/v1/confirmations/{call}", json=answer | {"shown": new["shown"]})
        assert said.json()["state"] == "succeeded"


async def test_a_call_that_asks_its_customer_nothing_has_nothing_to_show(door):
    async with door.client() as client:
        call = (await client.post("/v1/calls", json=credit("80.00"))).json()["call"]
        seen = await client.get(path(call))
        assert (seen.status_code, seen.json()["code"]) == (409, "approval_not_open")
        assert (await client.get(path("call_none"))).status_code == 404


async def test_a_secret_is_not_shown(door):
    async with door.client() as client:
        call = (await client.post("/v1/calls", json=order("close_account", {"pin": "4711"}))).json()["call"]
        seen = await client.get(path(call))
    assert seen.json()["summary"]["lines"] == [{"label": "Pin", "text": "•••"}]
    assert "4711" not in seen.text


async def test_a_customer_proves_who_they_are_by_a_code_and_then_confirms(door):
    call = await ask(door, subject="cus_2", assurance=1)
    async with door.client() as client:
        sent = await client.post(f"/v1/calls/{call}/code", json={"subject": "cus_2"})
        assert (sent.status_code, sent.json()["to"], sent.json()["left"]) == (200, "c•••@example.org", 2)
        assert door.desk.codes[0] not in sent.text
        soon = await client.post(f"/v1/calls/{call}/code", json={"subject": "cus_2"})
        assert (soon.status_code, soon.json()["code"], soon.headers["retry-after"]) == (429, "code_not_sent", "30")
        wrong = f"{(int(door.desk.codes[0]) + 1) % 1_000_000:06d}"
        refused = await client.post(f"/v1/calls/{call}/step-up", json={"subject": "cus_2", "code": wrong})
        assert (refused.status_code, refused.json()["code"]) == (403, "code_not_accepted")
        other = await client.post(f"/v1/calls/{call}/step-up", json={"subject": "cus_1", "code": door.desk.codes[0]})
        assert (other.status_code, other.json()["code"]) == (403, "not_an_approver")
        raised = await client.post(f"/v1/calls/{call}/step-up", json={"subject": "cus_2", "code": door.desk.codes[0]})
        assert raised.json()["waiting"] == [{"requirement": "confirmation", "for": "the customer's confirmation"}]
        digest = (await client.get(path(call, "cus_2"))).json()["digest"]
        said = await client.post(f"/v1/confirmations/{call}", json={"subject": "cus_2", "answer": "approve", "digest": digest})
        assert said.json()["state"] == "succeeded"


@pytest.mark.parametrize("proof", [{}, {"code": "123456", "token": "x"}, {"code": "12345"}, {"code": 123456}, {"code": "١٢٣٤٥٦"}])
async def test_a_proof_is_one_thing(door, proof):
    async with door.client() as client:
        refused = await client.post("/v1/calls/call_1/step-up", json={"subject": "cus_2", **proof})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
