"""The kill loop at a provider that ignores idempotency keys, over a network that loses answers: `lookup` and `once` need none."""

import asyncio
import random
import time

import pytest

from tests.environments import free_port, server
from tests.proxy import Kind, NetworkFault, Proxy
from tests.stories.localstripe import LocalStripe
from tests.torture import figures
from tests.torture.books import Refunded, compare, doubles
from tests.torture.killing import kill_at_random, worker
from tests.torture.paying import SMALL, Desk
from tests.torture.sizes import FULL, size

EACH = 2
REFUND = b"POST /v1/refunds"
KILLS = size(25, 100)
FAULTS = [
    NetworkFault(kind, toward, after, on=REFUND)
    for kind in (Kind.RESET, Kind.TRUNCATED, Kind.HALF_OPEN)
    for toward, after in (("client", 0), ("client", 60), ("server", 40))
]


@pytest.fixture(scope="module")
def url():
    port = free_port()
    with server("localstripe", ["localstripe", "--port", str(port), "--from-scratch"], port) as address:
        yield address


async def bought(provider, many):
    customer, _ = await provider.customer_who_bought(SMALL)
    method = (await provider.api.get("/v1/payment_methods", params={"customer": customer, "type": "card"})).json()["data"][0]["id"]
    paid = {"amount": str(SMALL), "currency": "eur", "customer": customer, "payment_method": method, "confirm": "true"}
    return customer, [(await provider.post("payment_intents", **paid))["id"] for _ in range(many)]


async def refunds(provider, payments):
    found = []
    for payment in payments:
        page = (await provider.api.get("/v1/refunds", params={"payment_intent": payment, "limit": "100"})).json()
        found += [Refunded(payment, one["metadata"].get("remit_call")) for one in page["data"]]
    return found


def live_and_die(desk, proxy, kills, customer, payments):
    written = lambda: sum(one.startswith(REFUND) for one in proxy.heard)
    with worker() as lives:
        for number in range(kills):
            if number % 3 == 0 and proxy.outstanding < 3:
                proxy.order(random.choice(FAULTS))
            some = {kind: its[number * EACH : (number + 1) * EACH] for kind, its in payments.items()}
            pid = lives.begin(desk, "governed", customer=customer, payments=some)
            kill_at_random(pid, written=written if number % 2 else None)
            lives.ended()
        lives.live(desk, "governed", customer=customer, payments=payments, last=True, at_once=5)


async def tortured(tmp_path, url, kinds, kills):
    provider = LocalStripe(url)
    try:
        customer, bought_by = await bought(provider, kills * EACH * len(kinds))
        payments = {kind: bought_by[place :: len(kinds)] for place, kind in enumerate(kinds)}
        with Proxy(url) as proxy:
            desk = Desk(tmp_path, str(tmp_path / "remit.db"), proxy.url, provider="localstripe")
            await asyncio.to_thread(live_and_die, desk, proxy, kills, customer, payments)
        return desk, await refunds(provider, bought_by), payments
    finally:
        await provider.api.aclose()


@pytest.mark.timeout(1_200 if FULL else 300)
async def test_look_ups_and_people_are_enough_at_a_provider_that_ignores_keys(tmp_path, url):
    began = time.monotonic()
    desk, paid, payments = await tortured(tmp_path, url, ("lookup", "once"), KILLS)
    async with desk.open() as runtime:
        books = await compare(runtime, paid)
    unknown = books.unknown["once"]
    figures.keep(
        "kill loop at localstripe", began, kills=KILLS, refunds=len(paid), doubles=len(books.doubles), lost=len(books.lost), unknown=unknown
    )
    assert books.agree, books
    assert unknown and books.again, "the kills did not hit"
    assert {one.payment for one in paid} >= set(payments["lookup"])


@pytest.mark.timeout(600)
async def test_control_an_action_that_counts_on_keys_pays_twice_there(tmp_path, url):
    began = time.monotonic()
    _, paid, _ = await tortured(tmp_path, url, ("keyed",), KILLS)
    figures.keep("kill loop at localstripe, control: keyed", began, kills=KILLS, doubles=len(doubles(paid)))
    assert doubles(paid), "the kills did not hit: this test would not notice a double refund"
