"""A call that rests on a server is woken by a job, which is there exactly if what it rests for is."""

import asyncio
import contextlib

import pytest

from remit.audit import State
from remit.errors import DatabaseUnavailable, StoreError
from remit.runtime import votes
from remit.runtime.clock import Clock
from remit.runtime.postgres_writer import PostgresWriter
from remit.runtime.queue import Queue
from tests.runtime.asking import approve, asking, waits
from tests.runtime.bank import LARGE, Store, World, comes_to, says, session

APPROVE = approve("finance", "finance")


@pytest.fixture
def served(tmp_path, monkeypatch, store):
    monkeypatch.setattr(Store, "server", True)
    return World.make(tmp_path)


@pytest.fixture
async def runtime(served):
    async with served.running(clock=Clock) as running:
        yield running


def jobs(world) -> int:
    return world.sql("SELECT count(*) FROM procrastinate_jobs")[0][0]


async def test_what_runs_at_once_leaves_no_job_and_what_waits_leaves_one(runtime, served):
    await asyncio.gather(*(runtime.submit(says(f"note {number}"), session()) for number in range(10)))
    assert jobs(served) == 0
    asking(served, APPROVE)
    await runtime.reload_policies(by="fay")
    await waits(runtime)
    assert jobs(served) == 1


async def test_a_job_goes_with_the_transaction_that_deferred_it(runtime, served, monkeypatch):
    asking(served, APPROVE)
    await runtime.reload_policies(by="fay")
    await runtime.submit(says("the customer is known"), session())
    before, deferred, honest = jobs(served), [], Queue.defer

    async def seen(queue, connection, rows):
        deferred.extend(rows)
        await honest(queue, connection, rows)

    async def broken(writer):
        await writer.rollback()
        raise DatabaseUnavailable("the disk is full")

    monkeypatch.setattr(runtime.parts.store._database.writer, "_defer", seen.__get__(runtime.parts.store.queue))
    monkeypatch.setattr(PostgresWriter, "commit", broken)
    with pytest.raises(StoreError):
        await waits(runtime)
    monkeypatch.undo()
    assert deferred and jobs(served) == before


async def agreed(served, monkeypatch, *, deaf: bool) -> State:
    """Let one process count the last vote and do nothing more; another has the queue alone to hear of it."""
    monkeypatch.setattr("remit.runtime.wakeups.LEFT_LYING", 10**15)  # no sweep
    asking(served, APPROVE)
    if deaf:

        async def nothing(_queue, call):
            return None

        monkeypatch.setattr(Queue, "_wake", nothing)
    async with served.running(clock=Clock, wakeups=False) as one, served.running(clock=Clock, people=False):
        call_id = await waits(one, euros=LARGE)
        said = {"person": "fay", "answer": "approve", "reason": "", "digest": None, "via": "test"}
        await votes.vote(one.parts, one.people, call_id, **said)
        with contextlib.suppress(TimeoutError):
            await comes_to(one, call_id, State.SUCCEEDED, within=2 if deaf else 60)
        return (await one.get(call_id)).state


async def test_another_process_hears_of_the_last_vote_by_the_queue(served, monkeypatch):
    assert await agreed(served, monkeypatch, deaf=False) is State.SUCCEEDED


async def test_control_a_worker_that_does_nothing_leaves_it_waiting(served, monkeypatch):
    assert await agreed(served, monkeypatch, deaf=True) is State.WAITING
