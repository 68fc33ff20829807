"""The machine's clock is set back or forward, between runs and during one, or is a day off in one of two processes on one file.

Nothing expires early, and no key is used at the provider beyond its life there.
"""

import asyncio
import contextlib
import dataclasses
from datetime import timedelta

import pytest

from remit import keyed
from remit.actions.library.payments import refund_payment
from remit.audit import State
from remit.runtime.clock import Clock
from remit.runtime.statements import STATEMENTS
from tests.proxy import Kind, NetworkFault, Proxy
from tests.torture.books import compare
from tests.torture.paying import ACTIONS, PATIENT
from tests.torture.starts import Case
from tests.torture.steered import Steered, order

HOUR, DAY = 3_600, 86_400
UNLOOKED = dataclasses.replace(refund_payment, effect=keyed("24h"))
"""It has nothing but its key: beyond the key's life it stays unknown."""
ONLY_KEYED = [UNLOOKED, *(one for one in ACTIONS.values() if one.name != refund_payment.name)]


class Believing(Clock):
    """The control: it asks the machine's clock each time, and believes it."""

    def __init__(self, *, last_recorded, wall, steady):
        super().__init__(last_recorded=last_recorded, wall=wall, steady=steady)
        self._wall = wall

    def now(self):
        return self._wall() // 1_000


def believing(time):
    return lambda *, last_recorded: Believing(last_recorded=0, wall=time.wall, steady=time.steady)


class Machine:
    """A machine with a clock, and a provider far from it that has the right time: what passes there passes here."""

    def __init__(self, place, proxy):
        self.place, self.proxy, self.time = place, proxy, Steered()
        self.at, self.payment = place.desk(url=proxy.url), None

    @contextlib.asynccontextmanager
    async def running(self, kind="keyed", start="fresh", *, time=None, clock=None, **how):
        """Run a runtime; `time` is another than the machine's, and `how` may say that it is patient."""
        time = time or self.time
        self.payment = self.payment or self.place.payment(start)
        async with self.at.open(clock=clock or time.clock, actions=ONLY_KEYED, **how) as runtime:
            yield Case(runtime, kind, self.place.customer, self.payment, self.proxy.url, time)

    async def passes(self, hours, *others):
        """Let hours pass, one by one, with time to look at each what is due."""
        for _ in range(hours):
            for time in (self.time, *others):
                time.pass_(HOUR)
            self.place.sandbox.advance(timedelta(hours=1))
            await asyncio.sleep(0.03)

    @property
    def sent(self):
        """Count the refunds that reached the provider, and those that it made."""
        return self.place.written(self.payment), len(self.place.refunds(self.payment))


@pytest.fixture
def machine(place):
    with Proxy(place.sandbox.url) as proxy:
        yield Machine(place, proxy)


# what waits for an approval within four hours


@pytest.mark.parametrize("set_", [-DAY, DAY])
async def test_set_while_it_runs_what_waits_expires_when_its_time_is_over(machine, set_):
    async with machine.running("lookup", "approved") as case:
        call_id, state = await case.ask()
        assert state is State.WAITING
        machine.time.set(set_)
        await machine.passes(3)
        assert (await case.runtime.get(call_id)).state is State.WAITING
        await machine.passes(2)
        assert (await case.runtime.get(call_id)).state is State.EXPIRED


async def test_set_back_between_runs_what_waits_does_not_expire_early_nor_much_later(machine):
    async with machine.running("lookup", "approved") as case:
        call_id, _ = await case.ask()
    machine.time.set(-DAY)
    async with machine.running("lookup", "approved") as case:
        await machine.passes(3)
        assert (await case.runtime.get(call_id)).state is State.WAITING
        await machine.passes(2)
        assert (await case.runtime.get(call_id)).state is State.EXPIRED


async def test_control_a_clock_that_is_believed_expires_what_waits_when_it_is_set_forward(machine):
    async with machine.running("lookup", "approved", clock=believing(machine.time)) as case:
        call_id, _ = await case.ask()
        machine.time.set(DAY)
        assert (await case.runtime.wait(call_id, 5)).state is State.EXPIRED


# a key that the provider honours for a day


async def sent_and_lost(machine, case):
    """Refund, lose the answer, and lose the way to the provider, so that nothing is found out for now."""
    await order(machine.place.sandbox.url, "answer_lost")
    call_id, state = await case.ask()
    assert state is State.UNKNOWN and machine.sent == (1, 1)
    machine.proxy.down()
    return call_id


async def test_control_within_the_life_of_its_key_it_is_sent_again(machine):
    async with machine.running() as case:
        call_id = await sent_and_lost(machine, case)
        await machine.passes(10)
        machine.proxy.up()
        assert await case.end(call_id, hurry=True) is State.SUCCEEDED and machine.sent == (2, 1)


@pytest.mark.parametrize("set_", [-DAY, DAY])
async def test_set_while_it_runs_no_key_is_used_beyond_its_life(machine, set_):
    async with machine.running() as case:
        call_id = await sent_and_lost(machine, case)
        machine.time.set(set_)
        await machine.passes(20)  # more than 0.8 of a day
        machine.proxy.up()
        await machine.passes(10)
        assert (await case.runtime.get(call_id)).state is State.UNKNOWN and machine.sent == (1, 1)


@pytest.mark.parametrize("set_", [-DAY, DAY])
async def test_set_between_runs_no_key_is_used_beyond_its_life(machine, set_):
    async with machine.running() as case:
        call_id = await sent_and_lost(machine, case)
    machine.time.set(set_)
    async with machine.running() as case:
        await machine.passes(20)
        machine.proxy.up()
        await machine.passes(10)
        assert (await case.runtime.get(call_id)).state is State.UNKNOWN and machine.sent == (1, 1)


async def test_control_a_clock_that_is_believed_uses_a_key_beyond_its_life_and_pays_twice(machine):
    async with machine.running(clock=believing(machine.time)) as case:
        call_id = await sent_and_lost(machine, case)
        machine.time.set(-DAY)
        await machine.passes(25)
        machine.proxy.up()
        machine.time.pass_(HOUR)
        assert await case.end(call_id, hurry=True) is State.SUCCEEDED and machine.sent == (2, 2)


# one of two processes on the file is a day off


@pytest.mark.parametrize("off", [-DAY, DAY])
async def test_what_a_process_that_is_a_day_off_has_sent_nobody_sends_again_beyond_the_life_of_its_key(machine, off):
    other = Steered(off)
    async with machine.running() as right:
        async with machine.running(time=other) as case:
            call_id = await sent_and_lost(machine, case)
        await machine.passes(25)
        machine.proxy.up()
        await machine.passes(30)
        call = await right.runtime.get(call_id)
        assert machine.sent[1] == 1, f"paid twice: {call.state}"


async def both_at_once(machine, first, second):
    """The request of the first is on its way when the second looks: it can't be found yet, and is applied a moment later."""
    await order(machine.place.sandbox.url, "late", seconds=0.7)
    call_id, _ = await first.ask()
    await asyncio.sleep(0.4)
    await first.end(call_id)
    await asyncio.sleep(0.8)
    return await compare(second.runtime, machine.place.refunds(machine.payment))


@pytest.mark.parametrize("off", [-DAY, 0, DAY])
async def test_a_process_that_is_a_day_off_leaves_what_another_is_doing(machine, off):
    async with machine.running("lookup") as right, machine.running("lookup", time=Steered(off)) as other:
        books = await both_at_once(machine, right, other)
    assert books.agree, books


@pytest.mark.parametrize("off", [0, -DAY])
async def test_what_a_process_does_that_was_started_with_its_clock_set_back_is_left_to_it(machine, off):
    """Nothing was recorded for hours, so that its clock, which never runs back behind that, is behind the other's."""
    async with machine.running("lookup") as right:
        other = Steered(off)
        await machine.passes(10, other)
        async with machine.running("lookup", time=other) as behind:
            books = await both_at_once(machine, behind, right)
    assert books.agree, books


async def sending(machine, case):
    """Begin to refund at a provider that takes its time to answer; gives the call, and who waits for it."""
    machine.proxy.order(NetworkFault(Kind.LATENCY, "client", seconds=0.8, on=b"POST /v1/refunds"))
    asking = asyncio.create_task(case.ask())
    async with asyncio.timeout(10):
        while not machine.proxy.met:
            await asyncio.sleep(0.01)
    return (await case.runtime.calls(state="executing"))[0].id, asking


async def test_who_starts_with_its_clock_set_forward_while_another_sends_leaves_the_lease_to_it(machine):
    async with machine.running("lookup", **PATIENT) as right:
        call_id, asking = await sending(machine, right)
        async with machine.running("lookup", time=Steered(DAY)) as ahead:
            await asking
            assert [event["kind"] for event in (await ahead.runtime.view(call_id)).events][-2:] == ["call.intended", "call.succeeded"]


async def test_control_a_clock_that_is_shared_whatever_is_under_way_takes_the_lease_for_over(machine, monkeypatch):
    monkeypatch.setitem(STATEMENTS, "meta.ahead", STATEMENTS["meta.ahead"].partition(" AND NOT EXISTS")[0] + ")")
    async with machine.running("lookup", **PATIENT) as right:
        call_id, asking = await sending(machine, right)
        async with machine.running("lookup", time=Steered(DAY)) as ahead:
            while (await ahead.runtime.get(call_id)).state is State.EXECUTING:
                await asyncio.sleep(0.02)
            assert not asking.done(), "it is taken from who sends it"
            await asking
