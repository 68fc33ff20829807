"""Against a provider that ignores idempotency keys, Remit alone prevents the double refund. localstripe runs as a process of its own."""

import asyncio
from datetime import timedelta

import pytest

from remit import Runtime, Session
from remit.actions.library.payments import refund_payment
from remit.cli.demo.scenes.refunds import refund
from remit.cli.demo.wire import message
from tests.environments import free_port, server
from tests.stories.localstripe import LocalStripe
from tests.stories.shop import POLICIES


@pytest.fixture(scope="module")
def url():
    port = free_port()
    with server("localstripe", ["localstripe", "--port", str(port), "--from-scratch"], port) as address:
        yield address


@pytest.fixture
async def provider(url):
    provider = LocalStripe(url)
    yield provider
    await provider.api.aclose()


class Desk:
    """A customer with a payment of 49.00 EUR, and a model that asks for 20.00 EUR of it under a new tool-call id each time."""

    def __init__(self, runtime, provider, customer, payment):
        self.runtime, self.provider, self.payment = runtime, provider, payment
        self._session = Session(principal="support-agent", subject=customer, conversation="chat-ada", assurance=2)
        self._asked = 0

    async def asks(self, amount="20.00"):
        self._asked += 1
        [call] = self.runtime.read("anthropic", message("anthropic", [(f"toolu_{self._asked}", *refund(self.payment, amount))]))
        return await self.runtime.submit(call, self._session)


@pytest.fixture
async def desk(provider, tmp_path):
    customer, payment = await provider.customer_who_bought(4900)
    policies = POLICIES / "refunds.yaml"
    async with Runtime([refund_payment], policies=policies, database=tmp_path / "remit.db", resources=[provider]) as runtime:
        yield Desk(runtime, provider, customer, payment)
        report = await runtime.verify()
        assert report.ok, report.first


async def test_control_the_provider_pays_twice_for_one_key_and_more_than_was_paid(provider):
    _, payment = await provider.customer_who_bought(4900)
    for _ in range(2):
        form = {"payment_intent": payment, "amount": "4900"}
        answer = await provider.api.post("/v1/refunds", data=form, headers={"Idempotency-Key": "one-key"})
        assert answer.status_code == 200
    assert await provider.paid_back(payment) == [4900, 4900]


async def test_asked_again_by_another_tool_call_it_pays_once(desk):
    first, again = await desk.asks(), await desk.asks()
    assert (first.ok, again.repeated, again.call_id) == (True, True, first.call_id)
    assert await desk.provider.paid_back(desk.payment) == [2000]


async def test_asked_ten_times_at_once_it_pays_once(desk):
    outcomes = await asyncio.gather(*(desk.asks() for _ in range(10)))
    assert {one.call_id for one in outcomes} == {outcomes[0].call_id}
    assert sum(not one.repeated for one in outcomes) == 1
    assert await desk.provider.paid_back(desk.payment) == [2000]


async def test_asked_for_another_amount_it_waits_for_the_customer(desk):
    await desk.asks()
    assert (await desk.asks("29.00")).state == "waiting"
    assert await desk.provider.paid_back(desk.payment) == [2000]


async def test_its_ledger_agrees_with_the_log_and_a_refund_past_it_is_found(desk):
    outcome = await desk.asks()
    honest = await desk.runtime.reconcile(since=timedelta(days=1))
    assert (honest.ok, honest.calls, honest.agree) == (True, 1, 1)
    answer = await desk.provider.api.post("/v1/refunds", data={"payment_intent": desk.payment, "amount": "100"})
    report = await desk.runtime.reconcile(since=timedelta(days=1))
    assert [(one.code, one.call, one.reference) for one in report.differences] == [("unknown_to_log", None, answer.json()["id"])]
    assert report.agree == 1
    assert outcome.ok


async def test_every_page_of_its_ledger_is_read(desk):
    await desk.asks("1.00")
    for _ in range(110):
        (await desk.provider.api.post("/v1/refunds", data={"payment_intent": desk.payment, "amount": "1"})).raise_for_status()
    report = await desk.runtime.reconcile(since=timedelta(days=1))
    assert (report.found, report.agree, {one.code for one in report.differences}) == (110, 1, {"unknown_to_log"})


async def test_control_a_host_that_only_trusts_keys_pays_ten_times(provider):
    """It looks whether it has refunded, then refunds under a key of the tool call: what many do, and what tells nothing here."""
    _, payment = await provider.customer_who_bought(4900)
    refunded: set[str] = set()

    async def naive(tool_call: str) -> None:
        if payment in refunded:
            return
        form = {"payment_intent": payment, "amount": "2000"}
        (await provider.api.post("/v1/refunds", data=form, headers={"Idempotency-Key": tool_call})).raise_for_status()
        refunded.add(payment)

    await asyncio.gather(*(naive(f"toolu_{n}") for n in range(10)))
    assert len(await provider.paid_back(payment)) > 1
