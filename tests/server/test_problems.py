"""What is wrong is said in one form (RFC 9457), and the log has its id and nothing about a person."""

import logging
import sqlite3

import pytest

from remit import errors
from remit.server import problems
from tests.server.conftest import credit, order

MEMBERS = {"type", "title", "status", "detail", "code", "instance"}


def all_kinds(kind):
    return {kind}.union(*(all_kinds(one) for one in kind.__subclasses__()))


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1/calls/", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("GET", "/v1/calls/a/b/c", 404, "not_found"),
        ("GET", "/v1/calls", 405, "method_not_allowed"),
        ("DELETE", "/v1/calls/call_1", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
    ],
)
async def test_what_is_not_there_is_a_problem_too(door, method, path, status, code):
    async with door.client(None) as client:
        response = await client.request(method, path)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json().keys() == MEMBERS
    assert (response.status_code, response.json()["status"], response.json()["code"]) == (status, status, code)
    if status == 405:
        assert response.headers["allow"]


async def test_the_unexpected_is_500_without_a_trace_and_with_an_id_that_is_in_the_log(door, monkeypatch, caplog):
    async def broken(call_id):
        raise sqlite3.OperationalError(call_id)

    monkeypatch.setattr(door.runtime, "get", broken)
    async with door.client() as client:
        response = await client.get("/v1/calls/Graz")
    assert (response.status_code, response.json()["code"]) == (500, "unexpected")
    assert "OperationalError" not in response.text
    assert "Graz" not in response.text + caplog.text
    number = response.json()["instance"].removeprefix("urn:uuid:")
    assert [record for record in caplog.records if number in record.message and "OperationalError" in record.message]
    assert "get_call" in caplog.text, "the log tells the place"


async def test_a_mistake_of_the_store_is_told_by_its_class_and_logged_in_full(door, monkeypatch, caplog):
    async def locked(*_args, **_keywords):
        raise errors.DatabaseLocked("/srv/remit.db: held by another")

    monkeypatch.setattr(door.runtime, "get", locked)
    async with door.client() as client:
        response = await client.get("/v1/calls/call_1")
    assert (response.status_code, response.json()["code"], response.headers["retry-after"]) == (503, "database_locked", "1")
    assert "/srv" not in response.text
    assert "/srv/remit.db: held by another" in caplog.text


async def test_each_request_is_a_line_without_a_person_in_it(door, caplog):
    caplog.set_level(logging.INFO, "remit.server")
    async with door.client() as client:
        await client.post(
            "/v1/calls", json=credit(subject="kay@example.org", conversation="conv_kay"), headers={"Idempotency-Key": "toolu_kay"}
        )
        missing = await client.get("/v1/calls/call_kay?wait=1")
        await client.get("/v1/calls/kay?who=kay")
        await client.get("/kay")
    lines = [record.getMessage() for record in caplog.records if record.name == "remit.server"]
    prefix = door.keys["service"].split("_")[1]
    assert len(lines) == 4
    assert f": POST /v1/calls -> 200 -, key {prefix}, " in lines[0]
    assert f": GET /v1/calls/{{call_id}} -> 404 call_not_found, key {prefix}, " in lines[1]
    assert missing.json()["instance"].removeprefix("urn:uuid:") in lines[1]
    assert "kay" not in "".join(lines)
    assert door.keys["service"].split("_", 2)[2] not in "".join(lines)


async def test_answers_are_not_kept_by_caches(door):
    async with door.client() as client:
        assert (await client.post("/v1/calls", json=order())).headers["cache-control"] == "no-store"


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_mistake_of_ours(door, caplog):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    headers = [(b"authorization", f"Bearer {door.keys['service']}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/calls", "raw_path": b"/v1/calls", "query_string": b"", "headers": headers}
    caplog.set_level(logging.INFO, "remit.server")
    await door.app(scope, receive, send)
    assert sent == []
    assert [(record.levelname, "-> 499" in record.message) for record in caplog.records if record.name == "remit.server"] == [
        ("INFO", True)
    ]


def test_every_exception_has_a_title_and_a_code_of_its_own():
    inside = [kind for kind in all_kinds(errors.RemitError) if kind.__module__.startswith("remit.") and ".library" not in kind.__module__]
    kinds = [kind for kind in inside if not kind.__name__.startswith("_")]
    found = [problems.members(kind, "x", "urn:uuid:0") for kind in kinds]
    assert all(problem["title"] and not problem["title"].endswith(".") for problem in found)
    codes = [problem["code"] for problem in found]
    assert sorted(codes) == sorted(set(codes))
