"""Reading over HTTP: whom it is refused, and that it is recorded, once for each opening."""

from tests.server.conftest import credit


async def ask(door):
    async with door.client() as client:
        return (await client.post("/v1/calls", json=credit("80.00"))).json()["call"]


async def told(door):
    """Who has read what, but for this test that reads the access log itself."""
    found = [(one.kind, one.who, one.call, one.purpose) for one in reversed(await door.runtime.accesses())]
    return [one for one in found if one[1] != "local operator"]


async def test_an_approver_who_refreshes_the_pages_is_recorded_once(door):
    call = await ask(door)
    async with door.client("ana") as client:
        for _ in range(5):
            assert (await client.get("/v1/approvals")).status_code == 200
            assert (await client.get(f"/v1/approvals/{call}")).status_code == 200
    revealed = "personal.revealed"
    assert await told(door) == [(revealed, "ana", None, "approval"), (revealed, "ana", call, "approval")]


async def test_who_has_no_role_in_it_is_refused_with_the_reason_and_not_recorded(door):
    call = await ask(door)
    await door.runtime.people.change_roles("ben", remove=["finance"])
    async with door.client("ben") as client:
        assert (await client.get(f"/v1/approvals/{call}")).status_code == 403
        refused = await client.get(f"/v1/calls/{call}")
        assert (refused.status_code, refused.json()["code"]) == (403, "not_a_reader")
        assert "none of the roles" in refused.json()["detail"]
    assert await told(door) == []
    await door.runtime.people.change_roles("ben", add=["privacy_officer"])
    async with door.client("ben") as client:
        assert (await client.get(f"/v1/calls/{call}")).status_code == 202, "the control: the role lets them"
    assert [(who, about) for _, who, about, _ in await told(door)] == [("ben", call)]


async def test_a_service_that_follows_what_it_sent_is_no_reader_and_one_that_follows_the_log_is(door):
    call = await ask(door)
    async with door.client() as client:
        assert (await client.get(f"/v1/calls/{call}")).status_code == 202
        assert await told(door) == []
        for _ in range(3):
            assert (await client.get("/v1/events")).status_code == 200
    assert [(kind, who) for kind, who, _, _ in await told(door)] == [("audit.read", "service shop")]
