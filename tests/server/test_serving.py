"""The service as a process: it serves, survives its clients, lets its calls rest, and says in one line why it can't start."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from remit.audit import State
from remit.errors import KeysMissing
from remit.server import CannotListen, create_app, listen, serve
from tests.server.conftest import order
from tests.server.desk import Desk, open_desk


@pytest.fixture
async def key(tmp_path):
    async with open_desk(tmp_path, Desk()) as runtime:
        return await runtime.people.new_key("shop", kind="service", scopes=["calls:write", "calls:read"])


@pytest.fixture
def served(tmp_path, key):
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.server.desk", str(tmp_path), str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        for line in process.stderr:
            if "serving on" in line:
                break
        try:
            yield process, port
        finally:
            process.kill()


def leave_after_asking(port, key, call):
    """Send a whole request, wait until its call runs, and hang up."""
    body = json.dumps(call).encode()
    head = f"POST /v1/calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: toolu_1\r\n"
    until(port, lambda health: health["running"] == 0)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        until(port, lambda health: health["running"] == 1)


def until(port, true):
    """Wait for a state of health, at most 30 seconds."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(600):
            with suppress(httpx.ConnectError):
                if true(client.get("/healthz").json()):
                    return
            time.sleep(0.05)
    raise AssertionError("it never came to that")


def test_a_call_whose_client_leaves_is_done_all_the_same(served, key):
    _, port = served
    call = order("write_note", {"note": "kept"})
    leave_after_asking(port, key, call)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}) as client:
        response = client.post("/v1/calls", json=call, headers={"Idempotency-Key": "toolu_1"})
    outcome = response.json()
    assert (outcome["state"], outcome["result"], outcome["repeated"]) == ("succeeded", "kept: kept", True)
    assert "server" not in response.headers


async def test_told_to_stop_it_lets_what_runs_come_to_rest(served, key, tmp_path):
    process, port = served
    leave_after_asking(port, key, order("write_note", {"note": "kay@example.org"}, subject="cus_kay"))
    process.send_signal(signal.SIGTERM)
    rest = process.stderr.read()
    assert process.wait(20) in {0, -signal.SIGTERM}
    assert "POST /v1/calls ->" in rest
    assert "kay" not in rest
    async with open_desk(tmp_path, Desk()) as runtime:
        assert [call.state for call in await runtime.calls()] == [State.SUCCEEDED]
        assert (await runtime.verify()).ok


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_busy_port_is_one_clear_line_and_nothing_is_opened(tmp_path, host):
    with listen(host, 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen) as refused:
            serve(open_desk(tmp_path, Desk()), host, port)
    assert str(refused.value).count(str(port)) == 1
    assert "--port" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "remit.db").exists()


@pytest.mark.parametrize(("host", "port"), [("no.such.host.invalid", 0), ("192.0.2.1", 0)])
def test_an_address_that_is_not_ours_is_refused_alike(host, port):
    with pytest.raises(CannotListen):
        listen(host, port)


async def test_a_database_without_its_keys_is_refused_before_anything_is_served(tmp_path, key):
    (tmp_path / "remit.keys").unlink()
    with pytest.raises(KeysMissing):
        await asyncio.to_thread(serve, open_desk(tmp_path, Desk()), "127.0.0.1", 0)


async def test_the_lifespan_of_the_application_starts_and_closes_the_runtime(tmp_path):
    runtime = open_desk(tmp_path, Desk())
    app = create_app(runtime)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://remit") as client:
        assert (await client.get("/healthz")).status_code == 200
    with pytest.raises(Exception, match="closed"):
        await runtime.parts.store.row("SELECT 1")
