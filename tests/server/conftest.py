"""A running desk, keys for it, and a client that holds every answer to the OpenAPI document."""

from types import SimpleNamespace

import httpx
import pytest

from remit.server import create_app
from tests.server.answers import Documented
from tests.server.desk import Desk, open_desk

SCOPES = {"calls:write", "calls:read", "calls:resolve", "customers:answer", "approvals:read", "approvals:vote", "events:read", "tools:read"}


@pytest.fixture
async def door(tmp_path):
    desk = Desk()
    async with open_desk(tmp_path, desk) as runtime:
        people = runtime.people
        await people.add("ana", roles=["finance"])
        await people.add("ben", roles=["finance"])
        keys = {
            "service": await people.new_key("shop", kind="service", scopes=SCOPES),
            "ana": await people.new_key("ana", kind="person", scopes=SCOPES),
            "ben": await people.new_key("ben", kind="person", scopes=SCOPES),
            "nothing": await people.new_key("shop", kind="service", scopes=[]),
            "expired": await people.new_key("shop", kind="service", scopes=SCOPES, expires_at=1),
        }
        app = create_app(runtime)
        transport = Documented(httpx.ASGITransport(app), app.openapi())

        def client(key: str | None = "service") -> httpx.AsyncClient:
            headers = {"Authorization": f"Bearer {keys.get(key, key)}"} if key else {}
            return httpx.AsyncClient(transport=transport, base_url="http://remit", headers=headers)

        yield SimpleNamespace(runtime=runtime, desk=desk, keys=keys, app=app, client=client)


def order(name="look_up_order", arguments=None, **session):
    arguments = {"order_id": "ord_1"} if arguments is None else arguments
    return {
        "name": name,
        "arguments": arguments,
        "session": {"principal": "support-agent", "subject": "cus_1", "conversation": "c1", **session},
    }


def credit(value="10.00", order_id="ord_1", **session):
    return order("issue_credit", {"order_id": order_id, "amount": {"value": value, "currency": "EUR"}}, **session)


def part(name="wheel", note="", locale="en", **session):
    return order("order_part", {"part": name, "note": note}, locale=locale, **session)


def page(door, **headers):
    """Give a browser: its answers are pages, which the OpenAPI document does not tell of."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(door.app), base_url="http://remit", headers={"Accept": "text/html", **headers})
