"""Calls over HTTP: submitted, followed, repeated, cancelled; what a model did is a value, what a client did is a problem."""

import asyncio
import sqlite3

import pytest

from remit.runtime import admission
from tests.server.conftest import credit, order


async def test_a_call_that_is_allowed_is_done_and_answered_with_200(door):
    async with door.client() as client:
        response = await client.post("/v1/calls", json=order())
        assert response.status_code == 200
        outcome = response.json()
        assert (outcome["state"], outcome["result"]) == ("succeeded", {"id": "ord_1", "status": "sent"})
        assert (await client.get(f"/v1/calls/{outcome['call']}")).json() == outcome


async def test_the_text_that_a_model_wrote_reaches_the_runtime_unaltered(door):
    async with door.client() as client:
        twice = await client.post("/v1/calls", json=order(arguments='{"order_id": "ord_1", "order_id": "ord_2"}'))
        once = await client.post("/v1/calls", json=order(arguments='{"order_id": "ord_2"}'))
    assert twice.status_code == 200
    assert (twice.json()["state"], twice.json()["error"]["code"]) == ("rejected", "arguments_unreadable")
    assert once.json()["result"]["id"] == "ord_2"


@pytest.mark.parametrize(
    ("call", "state", "code"),
    [
        (order("look_up_ordr"), "rejected", "unknown_action"),
        (order(arguments={"order": 1}), "rejected", "arguments_invalid"),
        (order(subject="cus_barred"), "denied", "denied"),
        (order(arguments={"order_id": "ord_broken"}), "failed", "read_failed"),
    ],
)
async def test_what_a_model_did_is_a_value_with_200(door, call, state, code):
    async with door.client() as client:
        response = await client.post("/v1/calls", json=call)
    assert (response.status_code, response.json()["state"], response.json()["error"]["code"]) == (200, state, code)


async def test_a_call_that_waits_is_202_with_a_place_and_a_pause(door):
    async with door.client() as client:
        response = await client.post("/v1/calls", json=credit("80.00"))
        assert (response.status_code, response.json()["state"]) == (202, "waiting")
        assert response.json()["waiting"] == [{"requirement": "approval", "for": "approval by finance"}]
        assert int(response.headers["retry-after"]) > 0
        again = await client.get(response.headers["location"])
    assert (again.status_code, again.json()) == (202, response.json())


async def test_beyond_wait_the_call_goes_on_and_can_be_waited_for(door):
    door.desk.gate.clear()
    async with door.client() as client:
        response = await client.post("/v1/calls?wait=0.01", json=credit())
        assert (response.status_code, response.json()["state"]) == (202, "executing")
        waiting = asyncio.create_task(client.get(response.headers["location"], params={"wait": 30}))
        await asyncio.sleep(0.01)
        door.desk.gate.set()
        settled = await waiting
    assert (settled.status_code, settled.json()["state"]) == (200, "succeeded")
    assert door.desk.credits == ["ord_1 10.00 EUR"]


async def test_a_dry_run_does_and_records_nothing(door):
    async with door.client() as client:
        response = await client.post("/v1/calls?dry_run=true", json=credit())
        assert (response.status_code, response.json()["dry_run"]) == (200, True)
        large = await client.post("/v1/calls?dry_run=true", json=credit("80.00"))
        assert (large.status_code, large.json()["state"], large.json()["call"]) == (200, "waiting", None)
    assert (door.desk.credits, await door.runtime.calls()) == ([], [])


@pytest.mark.parametrize("query", ["dryrun=true", "dry_run=perhaps", "wait=-1", "wait=61", "wait=nan", "wait=soon"])
async def test_a_query_that_is_not_understood_does_nothing(door, query):
    async with door.client() as client:
        response = await client.post(f"/v1/calls?{query}", json=credit())
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert response.json()["field_errors"][0]["path"].startswith("query.")
    assert door.desk.credits == []


async def test_the_same_key_and_content_is_one_call_and_other_content_is_refused(door):
    async with door.client() as client:
        headers = {"Idempotency-Key": "toolu_1"}
        first = await client.post("/v1/calls", json=order("write_note", {"note": "a"}), headers=headers)
        again = await client.post("/v1/calls", json=order("write_note", {"note": "a"}), headers=headers)
        other = await client.post("/v1/calls", json=order("write_note", {"note": "b"}), headers=headers)
        fresh = await client.post("/v1/calls", json=order("write_note", {"note": "b"}), headers={"Idempotency-Key": "toolu_2"})
    assert again.json() == {**first.json(), "repeated": True, "message": again.json()["message"]}
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")
    assert fresh.json()["state"] == "succeeded"
    assert door.desk.notes == ["a", "b"]


async def test_fifty_at_once_under_one_key_have_one_effect(door):
    async with door.client() as client:
        headers = {"Idempotency-Key": "toolu_1"}
        posts = [client.post("/v1/calls", json=order("write_note", {"note": "a"}), headers=headers) for _ in range(50)]
        answers = [response.json() for response in await asyncio.gather(*posts)]
    assert {answer["state"] for answer in answers} == {"succeeded"}
    assert len({answer["call"] for answer in answers}) == 1
    assert door.desk.notes == ["a"]


@pytest.mark.parametrize("key", ["", "a b", "ü".encode(), "x" * 201])
async def test_an_idempotency_key_that_cannot_be_one_is_refused(door, key):
    async with door.client() as client:
        response = await client.post("/v1/calls", json=order(), headers={"Idempotency-Key": key})
    assert (response.status_code, response.json()["field_errors"][0]["path"]) == (422, "header.Idempotency-Key")


@pytest.mark.parametrize(
    ("session", "path"),
    [
        ({"principal": ""}, "body.session.principal"),
        ({"principal": 7}, "body.session.principal"),
        ({"assurance": True}, "body.session.assurance"),
        ({"assurance": "2"}, "body.session.assurance"),
        ({"subject": "anonymous", "assurance": 2}, "body.session"),
        ({"tenant": "another"}, "body.session.tenant"),
        ({"verified_at": "2026-03-01T10:00:00"}, "body.session.verified_at"),
        ({"verified_at": 1_700_000_000}, "body.session.verified_at"),
        ({"channel": "web\x00"}, "body.session.channel"),
    ],
)
async def test_a_session_that_cannot_be_is_refused_and_its_value_not_repeated(door, session, path):
    async with door.client() as client:
        response = await client.post("/v1/calls", json=order(**session))
    assert response.status_code == 422
    assert [error["path"] for error in response.json()["field_errors"]] == [path]


async def test_a_whole_session_arrives(door):
    async with door.client() as client:
        whole = {"channel": "web", "model": "m-1", "assurance": 2, "verified_at": "2026-03-01T10:00:00+01:00", "turn": 3, "locale": "de-AT"}
        outcome = (await client.post("/v1/calls", json=order(**whole))).json()
    view = await door.runtime.view(outcome["call"])
    assert (view.principal, view.subject, view.conversation, view.channel, view.model) == ("support-agent", "cus_1", "c1", "web", "m-1")


async def test_a_waiting_call_can_be_cancelled_once(door):
    async with door.client() as client:
        waiting = (await client.post("/v1/calls", json=credit("80.00"))).json()
        first = await client.post(f"/v1/calls/{waiting['call']}/cancel", json={"reason": "the customer left"})
        again = await client.post(f"/v1/calls/{waiting['call']}/cancel")
    assert (first.status_code, first.json()["state"]) == (200, "cancelled")
    assert (again.status_code, again.json()["code"]) == (409, "already_settled")
    events = (await door.runtime.view(waiting["call"])).events
    assert events[-1]["body"]["by"] == "service shop"


async def test_a_call_that_runs_cannot_be_cancelled(door):
    door.desk.gate.clear()
    async with door.client() as client:
        running = await client.post("/v1/calls?wait=0.01", json=credit())
        response = await client.post(running.headers["location"] + "/cancel")
        door.desk.gate.set()
    assert (response.status_code, response.json()["code"]) == (409, "already_started")


async def test_an_unknown_call_is_404_and_tells_nothing_of_the_machine(door):
    async with door.client() as client:
        for response in [
            await client.get("/v1/calls/call_none"),
            await client.get("/v1/calls/call_none?wait=1"),
            await client.post("/v1/calls/call_none/cancel"),
        ]:
            assert (response.status_code, response.json()["code"]) == (404, "call_not_found")
            assert "remit.db" not in response.text


async def test_overload_is_503_with_a_pause(door, monkeypatch):
    monkeypatch.setattr(admission, "LONGEST_LINE", 0)
    async with door.client() as client:
        for headers in ({}, {"Idempotency-Key": "k"}):
            response = await client.post("/v1/calls", json=order(), headers=headers)
            assert (response.status_code, response.json()["code"], response.headers["retry-after"]) == (503, "overloaded", "1")
            assert response.headers["content-type"] == "application/problem+json"
            assert "Come back in 1 seconds" in response.json()["detail"]


async def test_overload_stops_neither_what_was_let_in_nor_looking_at_it(door, monkeypatch):
    async with door.client() as client:
        done = (await client.post("/v1/calls", json=order())).json()["call"]
        waiting = (await client.post("/v1/calls", json=credit("500.00"))).json()["call"]
        monkeypatch.setattr(admission, "LONGEST_LINE", 0)
        assert (await client.post("/v1/calls", json=order())).status_code == 503, "the control"
        assert (await client.get(f"/v1/calls/{done}")).status_code == 200
        assert (await client.post(f"/v1/calls/{waiting}/cancel")).json()["state"] == "cancelled"


async def test_a_flood_is_one_line_a_request_and_each_is_told_its_own_pause(door, monkeypatch, caplog):
    caplog.set_level("INFO", "remit.server")
    monkeypatch.setattr(admission, "LONGEST_LINE", 0)
    monkeypatch.setattr(admission.Admission, "pause", lambda self, line: 7)
    async with door.client() as client:
        answers = [await client.post("/v1/calls", json=order()) for _ in range(5)]
    assert {(one.headers["retry-after"], "in 7 seconds" in one.json()["detail"]) for one in answers} == {("7", True)}
    lines = [record for record in caplog.records if record.name == "remit.server"]
    assert len(lines) == 5 and {line.levelname for line in lines} == {"INFO"}


async def test_tools_come_in_the_dialect_that_was_asked_for(door):
    async with door.client() as client:
        for dialect in ("openai", "anthropic", "gemini", "bedrock", "mcp", "openai-responses"):
            response = await client.get("/v1/tools", params={"dialect": dialect})
            assert response.json() == {"tools": door.runtime.tools(dialect)}
        for query in ("", "?dialect=latin"):
            response = await client.get(f"/v1/tools{query}")
            assert (response.status_code, response.json()["field_errors"][0]["path"]) == (422, "query.dialect")


async def test_events_are_read_page_by_page_without_personal_values(door):
    async with door.client() as client:
        for number in range(3):
            await client.post("/v1/calls", json=order("write_note", {"note": f"secret-{number}"}))
        await door.runtime.verify()  # places what is committed
        pages, after = [], -1
        while page := (await client.get("/v1/events", params={"after": after, "limit": 4})).json()["events"]:
            pages += page
            after = page[-1]["place"]
        end = await client.get("/v1/events", params={"after": after})
        for query in ("after=-2", "after=9223372036854775808", "limit=0", "limit=501", "before=1"):
            assert (await client.get(f"/v1/events?{query}")).status_code == 422
    assert [event["place"] for event in pages] == list(range(len(pages)))
    assert [event["kind"] for event in pages].count("call.succeeded") == 3
    assert "secret-" not in str(pages)
    assert "cus_1" not in str(pages)
    assert end.json() == {"events": [], "after": after}


async def test_health_takes_no_key_and_tells_its_figures(door):
    await door.runtime._sequencer.catch_up()  # else its own step may be the one that queues
    async with door.client(None) as client:
        health = (await client.get("/healthz")).json()
    assert health["database"] == "ok"
    assert set(health) == {"database", "oldest_unsequenced_seconds", "running", "queued", "switches", "dead"}
    assert (health["running"], health["queued"]) == (0, 0)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), sqlite3.DatabaseError("database disk image is malformed")])
async def test_health_counts_what_runs_and_says_503_without_a_database(door, error):
    door.desk.gate.clear()
    async with door.client() as client:
        await client.post("/v1/calls?wait=0.01", json=credit())
        assert (await client.get("/healthz")).json()["running"] == 1
        door.desk.gate.set()
        database = door.runtime.parts.store._database
        reader, database._reader = database._reader, _Gone(error)
        response = await client.get("/healthz")
        database._reader = reader
    assert (response.status_code, response.json()["code"], response.headers["retry-after"]) == (503, "store_error", "1")
    assert "disk" not in response.text


class _Gone:
    def __init__(self, error):
        self.error = error

    def execute(self, *_args):
        raise self.error


async def test_what_a_proxy_may_read_otherwise_is_refused_and_nothing_done(door):
    async with door.client() as client:
        note = order("write_note", {"note": "a"})
        for query in ("dry_run=true&dry_run=false", "wait=1&dry%5Frun=1&dry_run=0"):
            answer = await client.post(f"/v1/calls?{query}", json=note)
            assert (answer.status_code, answer.json()["detail"]) == (422, "dry_run is given more than once.")
        keys = [("Idempotency-Key", "a"), ("idempotency-key", "b")]
        assert (await client.post("/v1/calls", json=note, headers=keys)).json()["code"] == "invalid_request"
        two = [("Authorization", f"Bearer {door.keys[name]}") for name in ("service", "ana")]
        assert (await client.post("/v1/calls", json=note, headers=two)).status_code == 401
    assert door.desk.notes == []
