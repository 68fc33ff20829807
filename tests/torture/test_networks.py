"""A faulty network between the Stripe connector and the provider: what happened is said as it is known, and settles to one refund."""

import asyncio
import dataclasses

import pytest

from remit.audit import State
from tests.proxy import Kind, NetworkFault, Proxy
from tests.torture.books import compare
from tests.torture.paying import actions
from tests.torture.starts import Case
from tests.torture.steered import Steered

REFUND = b"POST /v1/refunds"
FACT = b"GET /v1/payment_intents"
UNKNOWN = (
    NetworkFault(Kind.RESET, "server"),
    NetworkFault(Kind.RESET, "server", after=60),
    NetworkFault(Kind.RESET, "client"),
    NetworkFault(Kind.RESET, "client", after=40),
    NetworkFault(Kind.TRUNCATED, "client"),
    NetworkFault(Kind.TRUNCATED, "client", after=40),
    NetworkFault(Kind.TRUNCATED, "client", after=250),
    NetworkFault(Kind.HALF_OPEN, "server"),
    NetworkFault(Kind.HALF_OPEN, "server", after=60),
    NetworkFault(Kind.HALF_OPEN, "client", after=40),
    NetworkFault(Kind.LATENCY, "client", seconds=3),
    NetworkFault(Kind.LATENCY, "server", seconds=3),
)


def named(fault):
    return f"{fault.kind} toward {fault.toward} after {fault.after}" if isinstance(fault, NetworkFault) else fault


@pytest.fixture
async def desk(place):
    with Proxy(place.sandbox.url) as proxy:
        time = Steered()
        async with place.desk(url=proxy.url).open(clock=time.clock, deadline=4, timeout=1.5) as runtime:
            yield Case(runtime, "keyed", place.customer, place.payment(), proxy.url, time), proxy, place


async def settled(case, place, call_id):
    """Let it settle, and give the books."""
    await case.end(call_id, hurry=True)
    return await compare(case.runtime, place.refunds(case.payment))


@pytest.mark.parametrize("kind", ["keyed", "lookup", "once"])
@pytest.mark.parametrize("fault", UNKNOWN, ids=named)
async def test_an_answer_that_is_not_whole_makes_it_unknown_and_it_settles_to_one(desk, fault, kind):
    case, proxy, place = desk
    case = dataclasses.replace(case, kind=kind)
    proxy.order(dataclasses.replace(fault, on=REFUND))
    call_id, state = await case.ask()
    assert proxy.met and state is State.UNKNOWN
    books = await settled(case, place, call_id)
    assert books.agree, books
    assert len(place.refunds(case.payment)) == 1 or (kind, books.unknown) == ("once", {"once": 1})


async def test_what_is_only_slow_succeeds(desk):
    case, proxy, place = desk
    for toward in ("server", "client"):
        proxy.order(NetworkFault(Kind.LATENCY, toward, seconds=0.02, on=REFUND))
        _, state = await dataclasses.replace(case, payment=(payment := place.payment())).ask()
        assert state is State.SUCCEEDED and len(place.refunds(payment)) == 1
    assert len(proxy.met) == 2


@pytest.mark.parametrize("kind", ["lookup", "once"])
async def test_refused_before_a_byte_it_is_known_not_to_be_applied_and_is_sent_later(desk, kind):
    """The fact is read, and then nobody takes the connection on which the refund would go."""
    case, proxy, place = desk
    case = dataclasses.replace(case, kind=kind)
    proxy.order(NetworkFault(Kind.LATENCY, "client", seconds=0.2, on=FACT))
    asked = asyncio.create_task(case.ask())
    while not proxy.met:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    proxy.refuse()
    call_id, state = await asked
    assert state is State.READY, "known not to be applied: it may be sent again"
    assert not place.refunds(case.payment)
    proxy.up()
    books = await settled(case, place, call_id)
    assert books.agree and len(place.refunds(case.payment)) == 1


async def test_a_fact_that_cannot_be_read_denies_and_nothing_is_sent(desk):
    case, proxy, place = desk
    proxy.order(NetworkFault(Kind.TRUNCATED, "client", after=40, on=FACT))
    assert (await case.ask())[1] is State.DENIED
    assert not place.written(case.payment)


async def test_control_at_a_provider_that_knows_no_keys_a_truncated_answer_that_is_asked_for_again_pays_twice(desk):
    case, proxy, place = desk
    proxy.order(NetworkFault(Kind.TRUNCATED, "client", on=REFUND))
    async with place.desk(url=proxy.url).open(actions=actions("careless"), clock=case.time.clock) as runtime:
        careless = dataclasses.replace(case, runtime=runtime, kind="lookup")
        call_id, _ = await careless.ask()
        books = await settled(careless, place, call_id)
    assert books.doubles == {case.payment: 2}
