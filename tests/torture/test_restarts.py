"""PostgreSQL is stopped as by a crash and started again, under load: nothing that was acknowledged is lost, and no process must be restarted."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from datetime import timedelta

import pytest

from remit.audit import State
from remit.errors import DatabaseUnavailable, StoreError
from remit.runtime import postgres_reader, postgres_writer
from remit.runtime.clock import Clock
from remit.runtime.journal import CommitUnknown
from tests.postgres import own_server
from tests.runtime.bank import LARGE, World, asks, comes_to, says, session
from tests.torture.figures import keep
from tests.torture.sizes import size

RESTARTS = size(3, 50)
CALLERS = 16


@pytest.fixture
def served(tmp_path):
    """A world on a server of its own."""
    with own_server() as server:
        yield World.on(tmp_path, server.url), server


class Callers:
    """Ask for one effect after the other, and keep what each was told."""

    def __init__(self, *runtimes) -> None:
        self.runtimes, self.going = runtimes, True
        self.acknowledged: dict[str, str] = {}
        self.refused: Counter[str] = Counter()

    async def ask(self, number: int) -> None:
        turn = 0
        while self.going:
            turn += 1
            text = f"{number}-{turn}"
            try:
                outcome = await self.runtimes[number % len(self.runtimes)].submit(says(text, tag=text), session(conversation=f"c{number}"))
            except StoreError as error:
                self.refused[type(error).__name__] += 1
                await asyncio.sleep(0.01)
            else:
                if outcome.state is State.SUCCEEDED:
                    self.acknowledged[text] = outcome.call_id

    @contextlib.asynccontextmanager
    async def asking(self):
        tasks = [asyncio.create_task(self.ask(number)) for number in range(CALLERS)]
        try:
            yield
        finally:
            self.going = False
            await asyncio.gather(*tasks)


async def settled(runtime) -> None:
    """Wait until no attempt is under way: one whose outcome could not be written has become unknown when its lease is over."""
    async with asyncio.timeout(60):
        while await runtime.calls(state="executing") or await runtime.calls(state="new"):
            await asyncio.sleep(0.1)


@pytest.mark.timeout(600)
async def test_a_server_that_crashes_under_load_loses_nothing_that_was_acknowledged(served):
    world, server = served
    dice, began = random.Random(11), time.monotonic()
    margin = timedelta(seconds=1)
    async with (
        world.running(clock=Clock, lease_margin=margin) as runtime,
        world.running(people=False, clock=Clock, lease_margin=margin) as other,
    ):
        waiting = [(await runtime.submit(asks("transfer", f"pay_{number}", LARGE), session())).call_id for number in range(1, 5)]
        callers = Callers(runtime, other)
        async with callers.asking():
            for _ in range(RESTARTS):
                await asyncio.sleep(dice.uniform(0.1, 1.0))
                before = len(callers.acknowledged)
                await asyncio.to_thread(server.restart)
                async with asyncio.timeout(30):
                    while len(callers.acknowledged) <= before + CALLERS:
                        await asyncio.sleep(0.02)
        await settled(runtime)
        stored = {call.id: call for call in await runtime.calls(most=1_000_000)}
        assert {stored[call_id].state for call_id in callers.acknowledged.values()} == {State.SUCCEEDED}, "nothing acknowledged is lost"
        done = Counter(about for about in world.bank.effects)
        assert max(done.values()) == 1, "nothing is done twice"
        states = Counter(call.state for call in stored.values() if call.action == "jot")
        assert sum(done.values()) == states[State.SUCCEEDED] + states[State.UNKNOWN], states
        # What runs beside the calls has survived as well: the queue, the clock, the sequencer.
        for call_id in waiting:
            await runtime.vote(call_id, person="fay", answer="approve")
            await comes_to(runtime, call_id, State.SUCCEEDED)
        report = await runtime.verify()
        assert report.ok, report.findings
        health = await runtime.health()
        assert health.queued == 0 and not any(task.done() for each in (runtime, other) for task in each._background)
        keep("a server that crashes under load", began, kills=RESTARTS, refunds=len(done), doubles=0, lost=0, unknown=states[State.UNKNOWN])


async def asked_while_away(world, server, seconds: float) -> list[object]:
    """Ask for ten effects while the server is away for so long; gives what was told."""
    async with world.running(clock=Clock) as runtime:
        await runtime.submit(says("the customer is known"), session())
        await asyncio.to_thread(server.stop)
        asking = asyncio.gather(*(runtime.submit(says(f"n{number}"), session()) for number in range(10)), return_exceptions=True)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(server.start)
        told = await asking
        assert (await runtime.submit(says("it is there again"), session())).state is State.SUCCEEDED
        assert len(set(world.bank.effects)) == len(world.bank.effects)
        assert (await runtime.verify()).ok
        return told


async def test_while_a_server_is_away_for_a_moment_calls_wait_for_it(served):
    told = await asked_while_away(*served, 1)
    assert {outcome.state for outcome in told} == {State.SUCCEEDED}


async def test_where_it_stays_away_they_are_told_so_and_later_ones_go_through(served, monkeypatch):
    monkeypatch.setattr(postgres_writer, "RECONNECT_WITHIN", 0.2)
    monkeypatch.setattr(postgres_writer, "ANSWER_WITHIN", 0.5)
    monkeypatch.setattr(postgres_reader, "PATIENCE", (0.1, 0.1))
    told = await asked_while_away(*served, 2)
    assert {type(error) for error in told} <= {DatabaseUnavailable, CommitUnknown} and served[0].bank.effects[-1] == "it is there again"
