"""Every endpoint, with every part of a good request put in place by something else: refused or served, never a mistake of ours."""

import copy
import json

import pytest

from tests.server.test_keys import BODIES, DOORS

NASTY = [
    None,
    True,
    0,
    -1,
    2**53,
    10**400,
    1.5,
    "",
    "x" * 3_000,
    "\u0000",
    "\u202e",
    "٣",
    "call_1",
    "../..",
    [],
    ["x"],
    {},
    {"x": {}},
    {"": None},
]
PATHS = ["x" * 200, "%00", "%2e%2e%2f", "call_1%0a", "%F0%9F%92%A9", "req_1", "'%20OR%201=1--", "{call}"]


def changed(body):
    """Give the body with each member, and none, replaced, dropped or added."""
    for name in body:
        yield {key: value for key, value in body.items() if key != name}
        for value in NASTY:
            yield {**copy.deepcopy(body), name: value}
    yield {**body, "tenant": "other"}
    yield from NASTY


def key_for(scope):
    return "ana" if scope.startswith("approvals:") else "service"


@pytest.mark.parametrize("url", [url for url in BODIES if url != "/v1/calls"])
async def test_a_nasty_body_is_refused_and_nothing_is_done(door, url):
    async with door.client(key_for(DOORS["POST", url])) as client:
        for body in changed(BODIES[url]):
            response = await client.post(url, content=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
            assert 400 <= response.status_code < 500, (body, response.text)
    assert await door.runtime.calls() == []


@pytest.mark.parametrize("door_", DOORS)
async def test_a_nasty_address_is_refused(door, door_):
    method, url = door_
    async with door.client(key_for(DOORS[door_])) as client:
        for name in PATHS:
            response = await client.request(method, url.replace("call_1", name), json=BODIES.get(url))
            assert response.status_code < 500, (name, response.text)
        for query in ("subject=", "subject=a&subject=b", "subject=%00", "x=1", "subject=" + "x" * 300):
            response = await client.request(method, f"{url.partition('?')[0]}?{query}", json=BODIES.get(url))
            assert response.status_code < 500, (query, response.text)


async def test_control_a_mistake_of_ours_would_be_seen(door, monkeypatch):
    async def broken(*_args, **_keywords):
        raise RuntimeError("broken")

    monkeypatch.setattr(door.runtime, "confirmation", broken)
    async with door.client() as client:
        assert (await client.get("/v1/confirmations/call_1?subject=cus_1")).status_code == 500
