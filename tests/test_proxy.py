"""The proxy does what was ordered, to that exchange and to no other."""

import asyncio
import contextlib
import time

import httpx
import pytest

from remit.sandbox.payments import PaymentSandbox
from tests.proxy import Kind, NetworkFault, Proxy

REFUNDS = b"POST /v1/refunds"
BROKEN = {httpx.ReadError, httpx.RemoteProtocolError}
"""What httpx says of a reset: the second where it noticed while it was still writing."""


@pytest.fixture
def sandbox():
    with PaymentSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def proxy(sandbox):
    with Proxy(sandbox.url) as proxy:
        yield proxy


@pytest.fixture
def client(proxy):
    headers = {"authorization": "Bearer sk_test_proxy"}
    with httpx.Client(base_url=proxy.url, headers=headers, timeout=0.6, trust_env=False, verify=False) as client:
        yield client


@pytest.fixture
def refund(sandbox, client):
    """Ask for a refund, and give the exception or the status, and how often it was done."""
    payment = sandbox.charging.create_payment(amount=5000, currency="eur")["id"]

    def refund():
        try:
            told = client.post("/v1/refunds", data={"payment_intent": payment, "amount": "100"}).status_code
        except httpx.HTTPError as error:
            told = type(error)
        return told, len(sandbox.ledger())

    return refund


def test_without_an_order_everything_passes(refund, client, proxy):
    assert refund() == (200, 1)
    assert refund() == (200, 2)
    assert client.get("/v1/customers").status_code == 200
    assert proxy.met == []


def test_a_fault_befalls_the_exchange_that_it_was_ordered_for_and_only_that(refund, client, proxy):
    proxy.order(NetworkFault(Kind.RESET, on=REFUNDS))
    assert client.get("/v1/customers").status_code == 200
    assert refund() == (httpx.ReadError, 1)
    assert refund() == (200, 2)
    assert len(proxy.met) == 1


@pytest.mark.parametrize(
    ("fault", "told", "done"),
    [
        (NetworkFault(Kind.RESET, "server"), BROKEN, 0),
        (NetworkFault(Kind.RESET, "server", after=100), BROKEN, 0),
        (NetworkFault(Kind.RESET, "client"), {httpx.ReadError}, 1),
        (NetworkFault(Kind.RESET, "client", after=30), {httpx.ReadError}, 1),
        (NetworkFault(Kind.TRUNCATED, "client"), {httpx.RemoteProtocolError}, 1),
        (NetworkFault(Kind.TRUNCATED, "client", after=150), {httpx.RemoteProtocolError}, 1),
        (NetworkFault(Kind.HALF_OPEN, "server"), {httpx.ReadTimeout}, 0),
        (NetworkFault(Kind.HALF_OPEN, "server", after=100), {httpx.ReadTimeout}, 0),
        (NetworkFault(Kind.HALF_OPEN, "client", after=30), {httpx.ReadTimeout}, 1),
        (NetworkFault(Kind.LATENCY, "client", seconds=1), {httpx.ReadTimeout}, 1),
        (NetworkFault(Kind.LATENCY, "client", seconds=0.02), {200}, 1),
        (NetworkFault(Kind.LATENCY, "server", seconds=0.02), {200}, 1),
    ],
    ids=lambda one: f"{one.kind} toward {one.toward}, {one.after} bytes, {one.seconds} s" if isinstance(one, NetworkFault) else "",
)
def test_each_fault_is_what_it_says(fault, told, done, refund, proxy):
    proxy.order(fault)
    found, made = refund()
    assert (found in told, made) == (True, done), (found, made)
    assert refund() == (200, done + 1), "the next one passes"


def test_what_was_to_come_late_comes_late(refund, proxy):
    proxy.order(NetworkFault(Kind.LATENCY, "server", seconds=0.1))
    began = time.monotonic()
    refund()
    assert time.monotonic() - began > 0.1


def test_while_it_is_down_it_refuses_and_then_it_takes_connections_again(refund, proxy):
    assert refund() == (200, 1)
    proxy.down()
    assert refund()[0] in {httpx.ConnectError, *BROKEN}, "the connection that there was is broken"
    assert refund() == (httpx.ConnectError, 1)
    proxy.up()
    assert refund() == (200, 2)


async def test_a_server_that_is_not_there_is_a_connection_that_ends():
    with Proxy("http://127.0.0.1:1") as proxy, pytest.raises(ConnectionResetError):  # while it connects, or when it reads
        reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.url.rpartition(":")[2]))
        with contextlib.closing(writer):
            assert await reader.read() == b"never"
