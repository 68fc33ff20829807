"""Who may come in, and what for: nothing but the key says who it is."""

import pytest

from tests.server.conftest import credit, order

DOORS = {
    ("GET", "/v1/tools?dialect=openai"): "tools:read",
    ("POST", "/v1/calls"): "calls:write",
    ("GET", "/v1/calls/call_1"): "calls:read",
    ("POST", "/v1/calls/call_1/cancel"): "calls:write",
    ("GET", "/v1/confirmations/call_1?subject=cus_1"): "customers:answer",
    ("POST", "/v1/confirmations/call_1"): "customers:answer",
    ("POST", "/v1/calls/call_1/code"): "customers:answer",
    ("POST", "/v1/calls/call_1/step-up"): "customers:answer",
    ("POST", "/v1/calls/call_1/link"): "customers:answer",
    ("GET", "/v1/approvals"): "approvals:read",
    ("GET", "/v1/approvals/call_1"): "approvals:read",
    ("POST", "/v1/confirmations/call_1/cancel"): "customers:answer",
    ("POST", "/v1/calls/call_1/resolve"): "calls:resolve",
    ("POST", "/v1/calls/call_1/undo"): "calls:write",
    ("POST", "/v1/approvals/call_1/votes"): "approvals:vote",
    ("POST", "/v1/calls/call_1/amend"): "approvals:vote",
    ("GET", "/v1/events"): "events:read",
}
BODIES = {
    "/v1/calls": order(),
    "/v1/confirmations/call_1": {"subject": "cus_1", "answer": "approve", "digest": "x"},
    "/v1/calls/call_1/code": {"subject": "cus_1"},
    "/v1/calls/call_1/step-up": {"subject": "cus_1", "code": "123456"},
    "/v1/calls/call_1/link": {"subject": "cus_1"},
    "/v1/confirmations/call_1/cancel": {"subject": "cus_1"},
    "/v1/calls/call_1/resolve": {"applied": True, "reason": "it is in the list"},
    "/v1/calls/call_1/undo": {"session": {"principal": "support-agent", "subject": "cus_1"}},
    "/v1/approvals/call_1/votes": {"answer": "approve"},
    "/v1/calls/call_1/amend": {"arguments": {}},
}


async def knock(client, method, url):
    return await client.request(method, url, json=BODIES.get(url)) if url in BODIES else await client.request(method, url)


@pytest.mark.parametrize("door_", DOORS)
async def test_every_door_takes_a_key_with_its_scope_and_no_other(door, door_):
    for key in (None, "remit_0_wrong", "rubbish", "", "expired"):
        async with door.client(key) as client:
            response = await knock(client, *door_)
            assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
            assert response.headers["www-authenticate"].startswith("Bearer")
    scope = DOORS[door_]
    others = set(DOORS.values()) - {scope}
    everything_else = await door.runtime.people.new_key("shop", kind="service", scopes=others)
    async with door.client(everything_else) as client:
        response = await knock(client, *door_)
        assert (response.status_code, response.json()["code"]) == (403, "scope_missing")
        assert scope in response.json()["detail"]
    owner = "ana" if scope.startswith("approvals:") or scope == "calls:resolve" else "shop"
    just_this = await door.runtime.people.new_key(owner, kind="person" if owner == "ana" else "service", scopes=[scope])
    async with door.client(just_this) as client:
        assert (await knock(client, *door_)).status_code in {200, 404}


def test_every_door_is_in_the_table_above(door):
    documented = {(method.upper(), path) for path, item in door.app.openapi()["paths"].items() for method in item}
    assert len(documented) == len(DOORS) + 1, "healthz is the only one without a key"
    for path, item in door.app.openapi()["paths"].items():
        for method, operation in item.items():
            assert path == "/healthz" or list(operation["security"][0]["key"]) == [DOORS[_known(method.upper(), path)]]


def _known(method, path):
    return next(one for one in DOORS if one[0] == method and one[1].partition("?")[0].replace("call_1", "x") == _filled(path))


def _filled(path):
    return path.replace("{call_id}", "x").replace("{approval_id}", "x")


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
async def test_another_scheme_is_no_key(door, scheme):
    async with door.client(None) as client:
        response = await client.get("/v1/events", headers={"Authorization": f"{scheme} {door.keys['service']}".strip()})
    assert response.status_code == 401


@pytest.mark.parametrize(
    "door_", [one for one, scope in DOORS.items() if scope in {"customers:answer", "approvals:read", "approvals:vote"}]
)
async def test_services_speak_for_customers_and_people_for_themselves_and_neither_for_the_other(door, door_):
    wrong, code = ("ana", "service_needed") if DOORS[door_] == "customers:answer" else ("service", "person_needed")
    async with door.client(wrong) as client:
        response = await knock(client, *door_)
    assert (response.status_code, response.json()["code"]) == (403, code)


async def test_a_revoked_key_and_a_disabled_person_stay_outside(door):
    async with door.client("service") as client:
        assert (await client.get("/v1/events")).status_code == 200
        await door.runtime.people.revoke_key(door.keys["service"].split("_")[1])
        assert (await client.get("/v1/events")).status_code == 401
    async with door.client("ana") as client:
        assert (await client.get("/v1/events")).status_code == 200
        await door.runtime.people.disable("ana")
        assert (await client.get("/v1/events")).status_code == 401


async def test_a_key_is_looked_at_before_the_body(door):
    async def endless():
        while True:
            yield b"x" * 65_536

    async with door.client(None) as client:
        response = await client.post("/v1/calls", content=b"{")
        assert response.status_code == 401
    async with door.client("nothing") as client:
        response = await client.post("/v1/calls", content=endless(), headers={"Content-Type": "application/json"})
        assert response.status_code == 413


async def test_a_person_cannot_state_a_session_and_so_cannot_approve_a_request_of_their_own(door):
    async with door.client("ana") as client:
        response = await client.post("/v1/calls", json=order())
    assert (response.status_code, response.json()["code"]) == (403, "service_needed")
    assert await door.runtime.calls() == []


async def test_only_a_person_votes_and_it_is_the_owner_of_the_key(door):
    async with door.client() as client:
        waiting = (await client.post("/v1/calls", json=credit("80.00"))).json()
        votes = f"/v1/approvals/{waiting['call']}/votes"
        service = await client.post(votes, json={"answer": "approve"})
        assert (service.status_code, service.json()["code"]) == (403, "person_needed")
    async with door.client("ana") as client:
        other = await client.post(votes, json={"answer": "approve", "person": "ben"})
        assert (other.status_code, other.json()["field_errors"][0]["path"]) == (422, "body.person")
        assert door.desk.credits == []
        voted = await client.post(votes, json={"answer": "approve", "reason": "seen"})
        assert (voted.status_code, voted.json()["state"]) == (200, "succeeded")
    assert door.desk.credits == ["ord_1 80.00 EUR"]
    events = (await door.runtime.view(waiting["call"])).events
    assert [event["body"]["person"] for event in events if event["kind"] == "approval.voted"] == ["ana"]
    async with door.client("ben") as client:
        late = await client.post(votes, json={"answer": "approve"})
        assert (late.status_code, late.json()["code"]) == (409, "approval_not_open")


async def test_a_vote_on_something_else_than_was_seen_does_not_count(door):
    async with door.client() as client:
        waiting = (await client.post("/v1/calls", json=credit("80.00"))).json()["call"]
    async with door.client("ana") as client:
        stale = await client.post(f"/v1/approvals/{waiting}/votes", json={"answer": "approve", "digest": "0" * 64})
        assert (stale.status_code, stale.json()["code"]) == (409, "approval_not_open")
        seen = (await door.runtime.view(waiting)).digest
        fresh = await client.post(f"/v1/approvals/{waiting}/votes", json={"answer": "reject", "digest": seen})
        assert (fresh.status_code, fresh.json()["state"]) == (200, "declined")
        assert (await client.post("/v1/approvals/req_none/votes", json={"answer": "approve"})).status_code == 404
    assert door.desk.credits == []


async def test_who_asked_or_lacks_the_role_cannot_approve(door):
    async with door.client() as client:
        own = (await client.post("/v1/calls", json=credit("80.00", principal="ana"))).json()["call"]
    await door.runtime.people.change_roles("ben", remove=["finance"])
    for person in ("ana", "ben"):
        async with door.client(person) as client:
            response = await client.post(f"/v1/approvals/{own}/votes", json={"answer": "approve"})
            assert (response.status_code, response.json()["code"]) == (403, "not_an_approver")
    assert door.desk.credits == []
