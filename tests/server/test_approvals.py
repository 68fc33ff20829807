"""What staff see and do: their own inbox, exactly what would run and why it stopped, other arguments in its place."""

from tests.server.conftest import credit


async def ask(door, **session):
    async with door.client() as client:
        return (await client.post("/v1/calls", json=credit("80.00", **session))).json()["call"]


async def inbox(door, person):
    async with door.client(person) as client:
        return [one["id"] for one in (await client.get("/v1/approvals")).json()["approvals"]]


async def test_an_inbox_holds_what_its_owner_could_answer(door):
    call = await ask(door)
    own = await ask(door, principal="ana", conversation="c2", subject="cus_2", order_id="ord_2")
    assert await inbox(door, "ana") == [call]
    assert await inbox(door, "ben") == [call, own], "the control: somebody else could answer it"
    await door.runtime.people.change_roles("ben", remove=["finance"])
    assert await inbox(door, "ben") == []
    async with door.client("ana") as client:
        await client.post(f"/v1/approvals/{call}/votes", json={"answer": "approve"})
    assert await inbox(door, "ana") == []


async def test_an_approver_sees_what_would_run_and_why_it_stopped(door):
    async with door.client() as client:
        await client.post("/v1/calls", json=credit("5.00", order_id="ord_0"))
    call = await ask(door)
    async with door.client("ana") as client:
        seen = (await client.get(f"/v1/approvals/{call}")).json()
    assert (seen["action"], seen["state"], seen["subject"]) == ("issue_credit", "waiting", "cus_1")
    assert seen["arguments"] == {"order_id": "ord_1", "amount": {"currency": "EUR", "minor": 8000}}
    assert {"label": "Amount", "text": "€80.00"} in seen["summary"]["lines"]
    assert any("large" in str(rule) for rule in seen["matched"])
    assert [one["action"] for one in seen["earlier"]] == ["issue_credit"]
    assert seen["digest"] == (await door.runtime.view(call)).digest


async def test_who_has_no_role_in_it_does_not_see_it(door):
    call = await ask(door)
    await door.runtime.people.change_roles("ben", remove=["finance"])
    async with door.client("ben") as client:
        refused = await client.get(f"/v1/approvals/{call}")
        assert (refused.status_code, refused.json()["code"]) == (403, "not_an_approver")
        assert "ord_1" not in refused.text
        assert (await client.get("/v1/approvals/call_none")).status_code == 404
    async with door.client("ana") as client:
        assert (await client.get(f"/v1/approvals/{call}")).status_code == 200


async def test_whoever_it_will_be_widened_to_sees_it_too(door):
    call = await ask(door)
    await door.runtime.people.change_roles("ben", add=["leads"], remove=["finance"])
    async with door.client("ben") as client:
        assert (await client.get(f"/v1/approvals/{call}")).status_code == 200


async def test_a_vote_is_on_what_was_shown(door):
    call = await ask(door)
    async with door.client("ana") as client:
        seen = (await client.get(f"/v1/approvals/{call}")).json()
        shown = seen["requirements"][0]["shown"]
        other = await client.post(f"/v1/approvals/{call}/votes", json={"answer": "approve", "shown": shown[::-1]})
        assert (other.status_code, other.json()["code"]) == (409, "approval_not_open")
        voted = await client.post(f"/v1/approvals/{call}/votes", json={"answer": "approve", "digest": seen["digest"], "shown": shown})
        assert voted.json()["state"] == "succeeded"


async def test_who_amends_a_call_has_it_decided_anew_and_cannot_vote_on_it(door):
    call = await ask(door)
    async with door.client("ana") as client:
        before = (await client.get(f"/v1/approvals/{call}")).json()["digest"]
        other = {"order_id": "ord_1", "amount": {"value": "60.00", "currency": "EUR"}}
        bad = await client.post(f"/v1/calls/{call}/amend", json={"arguments": {"order_id": "ord_1", "amount": "all"}})
        assert (bad.status_code, bad.json()["code"]) == (422, "not_amended")
        amended = await client.post(f"/v1/calls/{call}/amend", json={"arguments": other, "reason": "one item only"})
        assert (amended.status_code, amended.json()["state"]) == (202, "waiting")
        own = await client.post(f"/v1/approvals/{call}/votes", json={"answer": "approve"})
        assert (own.status_code, own.json()["code"]) == (403, "not_an_approver")
    assert await inbox(door, "ana") == []
    async with door.client("ben") as client:
        stale = await client.post(f"/v1/approvals/{call}/votes", json={"answer": "approve", "digest": before})
        assert (stale.status_code, stale.json()["code"]) == (409, "approval_not_open")
        digest = (await client.get(f"/v1/approvals/{call}")).json()["digest"]
        voted = await client.post(f"/v1/approvals/{call}/votes", json={"answer": "approve", "digest": digest})
        assert voted.json()["state"] == "succeeded"
        late = await client.post(f"/v1/calls/{call}/amend", json={"arguments": other})
        assert (late.status_code, late.json()["code"]) in {(409, "already_settled"), (409, "already_started")}
    assert door.desk.credits == ["ord_1 60.00 EUR"]
