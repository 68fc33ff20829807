"""What arrives as a body: bounded while it is read, and read as everybody would read it, or refused."""

import asyncio
import json

import pytest

from remit.server import door as door_module
from remit.server.door import MOST_BYTES
from tests.server.conftest import order

JSON = {"Content-Type": "application/json"}


def written(arguments: str) -> bytes:
    return json.dumps(order()).encode().replace(b'{"order_id": "ord_1"}', arguments.encode())


HOSTILE = {
    "nothing": b"",
    "a word": b"refund",
    "cut off": written('{"order_id": "ord_1"}')[:-2],
    "two documents": b"{}{}",
    "a duplicate key": written('{"order_id": "ord_1", "order_id": "ord_2"}'),
    "a duplicate key on top": written("{}")[:-1] + b', "name": "write_note"}',
    "NaN": written('{"order_id": NaN}'),
    "an infinity": written('{"order_id": 1e999999999}'),
    "a large number": written('{"order_id": 9007199254740992}'),
    "deep": written("[" * 200 + "]" * 200),
    "very deep": written("[" * 100_000 + "]" * 100_000),
    "half a surrogate": written(r'{"order_id": "\ud800"}'),
    "Latin-1": written('{"order_id": "ü"}').decode().encode("latin-1"),
    "UTF-16": written("{}").decode().encode("utf-16"),
    "a mark at the start": b"\xef\xbb\xbf" + written("{}"),
    "a comment": written("{} /* x */"),
}
SHAPES = {"a list": b"[]", "a number": b"1", "null": b"null", "too little": b"{}", "arguments in a list": written("[1]")}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_json_that_could_be_read_differently_is_refused_and_nothing_done(door, body):
    async with door.client() as client:
        response = await client.post("/v1/calls", content=body, headers=JSON)
    assert (response.status_code, response.json()["code"]) == ((400, "body_unreadable") if body else (422, "invalid_request"))
    assert await door.runtime.calls() == []


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
async def test_json_of_another_shape_is_refused(door, body):
    async with door.client() as client:
        response = await client.post("/v1/calls", content=body, headers=JSON)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


async def test_the_control_of_hostile_json_a_loose_loader_does_the_thing(door, monkeypatch):
    monkeypatch.setattr(door_module.strict, "load", lambda raw, **_: json.loads(raw))
    async with door.client() as client:
        response = await client.post("/v1/calls", content=HOSTILE["a duplicate key"], headers=JSON)
    assert response.json()["result"]["id"] == "ord_2"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonp"]
)
async def test_another_media_type_is_refused(door, kind):
    async with door.client() as client:
        response = await client.post("/v1/calls", content=written("{}"), headers={"Content-Type": kind})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


async def test_json_with_a_charset_is_json(door):
    async with door.client() as client:
        response = await client.post("/v1/calls", content=json.dumps(order()), headers={"Content-Type": "application/JSON; charset=utf-8"})
    assert response.json()["state"] == "succeeded"


def note_of(size: int) -> bytes:
    empty = json.dumps(order("write_note", {"note": ""})).encode()
    return empty.replace(b'"note": ""', b'"note": "' + b"x" * (size - len(empty)) + b'"')


@pytest.mark.parametrize("url", ["/v1/calls", "/v1/calls/call_1/cancel", "/v1/approvals/call_1/votes"])
async def test_a_body_beyond_the_bound_is_413_in_one_piece_or_in_chunks(door, url):
    async def chunks():
        for place in range(0, len(body), 10_000):
            yield body[place : place + 10_000]

    body = note_of(MOST_BYTES + 1)
    async with door.client("ana" if "votes" in url else "service") as client:
        for content in (body, chunks()):
            response = await client.post(url, content=content, headers=JSON)
            assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert door.desk.notes == []


async def test_the_control_of_the_bound_one_byte_less_is_read(door):
    async with door.client() as client:
        response = await client.post("/v1/calls", content=note_of(MOST_BYTES), headers=JSON)
    assert response.status_code == 200, "the arguments are the runtime's to judge"


async def test_an_endless_body_is_read_no_further_than_the_bound(door):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    async with door.client() as client:
        response = await client.post("/v1/calls", content=endless(), headers={**JSON, "Content-Length": "10"})
    assert response.status_code == 413
    assert sent == MOST_BYTES + 65_536


async def test_a_flood_of_large_bodies_is_refused_and_others_are_served(door):
    large = note_of(MOST_BYTES + 1)
    async with door.client() as client:
        flood = [client.post("/v1/calls", content=large, headers=JSON) for _ in range(200)]
        *refused, served = await asyncio.gather(*flood, client.post("/v1/calls", json=order()))
    assert {response.status_code for response in refused} == {413}
    assert served.json()["state"] == "succeeded"
    assert len(await door.runtime.calls()) == 1


async def test_a_flood_of_unusable_calls_is_answered_and_counted_not_stored(door):
    async with door.client() as client:
        answers = await asyncio.gather(*(client.post("/v1/calls", json=order(arguments={})) for _ in range(60)))
    outcomes = [response.json() for response in answers]
    assert {outcome["state"] for outcome in outcomes} == {"rejected"}
    assert sorted(outcome["error"]["retry"] for outcome in outcomes) == ["fix_arguments"] * 2 + ["never"] * 58
    assert len(await door.runtime.calls(most=100)) == 20


async def test_a_body_that_does_not_arrive_is_given_up(door, monkeypatch):
    async def stalled():
        yield b"{"
        await asyncio.sleep(60)

    monkeypatch.setattr(door_module, "BODY_SECONDS", 0.02)
    async with door.client() as client:
        response = await client.post("/v1/calls", content=stalled(), headers=JSON)
    assert (response.status_code, response.json()["code"]) == (408, "body_too_slow")
