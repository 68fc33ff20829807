"""The worker of the queue: it wakes what is due, goes on after whatever ends it, takes over from the dead, and leaves nothing behind."""

import asyncio
import contextlib
import dataclasses
import subprocess
import sys
import time
from datetime import timedelta

import psycopg
import pytest

from remit import Retryable
from remit.actions import lookup
from remit.audit import State
from remit.runtime import votes
from remit.runtime.clock import Clock
from remit.runtime.journal import Conflict
from remit.runtime.queue import Queue
from remit.runtime.queue_names import LONGEST, queue_name, queue_prefix
from remit.runtime.statements import WAKE, Write
from tests.runtime.asking import approve, asking, waits
from tests.runtime.bank import (
    ACTIONS,
    LARGE,
    Store,
    World,
    asks,
    comes_to,
    dropped,
    find,
    kinds,
    lost,
    raising,
    says,
    session,
    transfer,
)
from tests.runtime.test_processes import Other


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "server", True)
    monkeypatch.setattr("remit.runtime.queue.FETCH_EVERY", 0.1)
    monkeypatch.setattr("remit.runtime.wakeups.LEFT_LYING", 10**15)  # no sweep: only the queue wakes
    return World.make(tmp_path)


SOON = timedelta(milliseconds=300)
QUICK = dataclasses.replace(transfer, effect=lookup(find, settle=SOON))
QUICKLY = [QUICK, *(one for one in ACTIONS if one.name != "transfer")]


def jobs(world, status: str = "%") -> int:
    return world.sql("SELECT count(*) FROM procrastinate_jobs WHERE status::text LIKE ?", (status,))[0][0]


async def none_left(world) -> None:
    """Wait until every job is gone: one that came to late, or for nothing, as well."""
    async with asyncio.timeout(20):
        while jobs(world):
            await asyncio.sleep(0.05)


# what is due


async def test_a_retry_is_woken(world):
    async with world.running(clock=Clock) as runtime:
        world.bank.plan.append(raising(Retryable("busy", after=0.3)))
        call_id = (await runtime.submit(asks("transfer"), session())).call_id
        assert (await runtime.get(call_id)).state is State.READY and jobs(world) == 1
        await comes_to(runtime, call_id, State.SUCCEEDED)
        await none_left(world)


@pytest.mark.parametrize(("how", "state", "attempts"), [(lost, State.SUCCEEDED, 1), (dropped, State.SUCCEEDED, 2)])
async def test_a_look_up_is_woken_and_what_it_finds_undone_is_done(world, how, state, attempts):
    async with world.running(QUICKLY, clock=Clock) as runtime:
        world.bank.plan.append(how)
        call_id = (await runtime.submit(asks("transfer"), session())).call_id
        assert (await runtime.get(call_id)).state is State.UNKNOWN
        await comes_to(runtime, call_id, state)
        assert len(world.bank.attempts) == attempts and len(world.bank.effects) == 1
        await none_left(world)


async def test_the_end_of_its_time_is_woken(world):
    async with asking(world, approve("large", "finance", within="1s")).running(clock=Clock) as runtime:
        call_id = await waits(runtime)
        await comes_to(runtime, call_id, State.EXPIRED)
        assert world.bank.effects == []
        await none_left(world)


async def test_an_escalation_is_woken(world):
    escalate = "{after: 1s, to: leads}"
    async with asking(world, approve("large", "finance", escalate=escalate)).running(clock=Clock) as runtime:
        await runtime.people.add("lee", roles=["leads"])
        call_id = await waits(runtime)
        async with asyncio.timeout(20):
            while "approval.escalated" not in kinds(await runtime.view(call_id)):
                await asyncio.sleep(0.05)
        assert (await runtime.vote(call_id, person="lee", answer="approve")).state is State.SUCCEEDED


async def test_control_without_a_worker_nothing_is_woken(world):
    async with world.running(clock=Clock, wakeups=False) as runtime:
        world.bank.plan.append(raising(Retryable("busy", after=0)))
        call_id = (await runtime.submit(asks("transfer"), session())).call_id
        await asyncio.sleep(1)
        assert (await runtime.get(call_id)).state is State.READY and jobs(world) == 1


# in the transaction


@pytest.mark.parametrize("refused", [True, False])
async def test_a_job_is_there_exactly_if_the_transaction_is(world, refused):
    async with world.running(clock=Clock, wakeups=False) as runtime:
        writes = [Write(WAKE, ("transfer", "call_1", runtime.parts.clock.now()), expect=None)]
        if refused:
            writes.append(Write("event.place", (1, 10**9)))  # touches no row: the whole change is refused
        with pytest.raises(Conflict) if refused else contextlib.nullcontext():
            await runtime.parts.store.commit(writes)
        assert jobs(world) == (0 if refused else 1)


# who works


async def test_a_job_waits_for_a_process_that_has_its_action(world):
    taken = []

    async def advance(call_id):
        taken.append(call_id)

    async with world.running(clock=Clock, wakeups=False) as runtime:
        await runtime.parts.store.commit([Write(WAKE, ("transfer", "call_1", runtime.parts.clock.now()), expect=None)])
        for actions in (["refund", "jot"], ["transfer"]):
            queue = Queue(str(world.database), "default")
            working = asyncio.create_task(queue.run(advance, actions))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(20 if actions == ["transfer"] else 1):
                    while not taken or jobs(world):
                        await asyncio.sleep(0.02)
            assert taken == (["call_1"] if actions == ["transfer"] else [])
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


@pytest.mark.parametrize("recovers", [True, False], ids=["", "control: nobody looks for the dead"])
async def test_the_jobs_of_a_worker_that_was_killed_are_taken_over(world, monkeypatch, recovers):
    monkeypatch.setattr("remit.runtime.queue.DEAD_AFTER", 1.0 if recovers else 3_600.0)
    asking(world, approve("large", "finance"))
    async with world.running(clock=Clock, wakeups=False) as serving:
        command = [sys.executable, "-m", "tests.runtime.stuck_process", str(world.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            other = Other(process)
            assert await other.says() == "ready"
            call_id = await waits(serving, euros=LARGE)
            said = {"person": "fay", "answer": "approve", "reason": "", "digest": None, "via": "test"}
            await votes.vote(serving.parts, serving.people, call_id, **said)
            assert await other.says() == f"taken {call_id}"
            process.kill()
        assert jobs(world, "doing") == 1
        async with world.running(people=False, clock=Clock):
            with contextlib.suppress(TimeoutError):
                await comes_to(serving, call_id, State.SUCCEEDED, within=60 if recovers else 2)
            assert (await serving.get(call_id)).state is (State.SUCCEEDED if recovers else State.WAITING)


async def test_a_worker_that_ends_by_itself_is_told_of_and_begun_again(world, monkeypatch, caplog):
    monkeypatch.setattr("remit.runtime.queue.PAUSE", 0.05)
    honest, ends = Queue._work, 3

    async def ending(queue, names, stop):
        nonlocal ends
        if ends := ends - 1:
            raise OSError("Ada Lovelace")
        await honest(queue, names, stop)

    monkeypatch.setattr(Queue, "_work", ending)
    async with world.running(clock=Clock) as runtime:
        world.bank.plan.append(raising(Retryable("busy", after=0.1)))
        call_id = (await runtime.submit(asks("transfer"), session())).call_id
        await comes_to(runtime, call_id, State.SUCCEEDED)
    told = [one.getMessage() for one in caplog.records if one.name == "remit.queue"]
    assert len(told) == 2 and all("OSError" in one for one in told) and "Ada" not in caplog.text


async def test_what_a_job_raises_ends_no_worker_and_no_word_of_it_is_logged(world, monkeypatch, caplog):
    async with world.running(clock=Clock) as runtime:
        honest, fails = runtime.parts.store.queue._advance, [1]

        async def failing(call_id):
            if fails:
                fails.pop()
                raise ValueError("Ada Lovelace")
            return await honest(call_id)

        async with asyncio.timeout(10):
            while (honest := runtime.parts.store.queue._advance) is None:
                await asyncio.sleep(0.01)
        runtime.parts.store.queue._advance = failing
        for payment in ("pay_1", "pay_2"):
            world.bank.plan.append(raising(Retryable("busy", after=0.1)))
            call_id = (await runtime.submit(asks("transfer", payment), session())).call_id
            if payment == "pay_1":
                async with asyncio.timeout(20):
                    while fails:
                        await asyncio.sleep(0.02)
        await comes_to(runtime, call_id, State.SUCCEEDED)
    assert "Ada" not in caplog.text and "ValueError" in caplog.text


# who leads


async def test_one_process_gives_events_their_places_and_another_takes_over(world):
    async with world.running(clock=Clock) as one, world.running(people=False, clock=Clock) as two:
        lead = [await each.parts.store.leads() for each in (one, two)]
        assert sorted(lead) == [False, True]
        leading, other = (one, two) if lead[0] else (two, one)
        await asyncio.gather(*(each.submit(says(f"note {number}"), session()) for number in range(10) for each in (one, two)))
        for task in leading._background:
            task.cancel()  # it would take the lead again
        await leading.parts.store.yield_lead()
        async with asyncio.timeout(20):
            while not await other.parts.store.leads():
                await asyncio.sleep(0.05)
        await asyncio.gather(*(each.submit(says(f"more {number}"), session()) for number in range(10) for each in (one, two)))
        assert (await other.verify()).ok
        (places,) = world.sql("SELECT count(*), count(DISTINCT leaf_index), max(leaf_index) + 1 FROM event")
        assert len(set(places)) == 1, "each event has its place, without gaps"


async def test_whoever_asks_for_the_lead_at_the_same_time_holds_one_lock(world):
    async with world.running(clock=Clock) as runtime:
        await runtime.parts.store.yield_lead()
        assert await asyncio.gather(*(runtime.parts.store.leads() for _ in range(8))) == [True] * 8
        lease = runtime.parts.store._database._lease
        sql = "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database AND d.datname = current_database() WHERE locktype = 'advisory' AND classid::bigint << 32 | objid::bigint = ?"
        assert world.sql(sql, (lease,))[0][0] == 1


# names


@pytest.mark.parametrize("tenant", ["default", "a-tenant-with-a-name-that-is-rather-long", "mandant-ö" * 5])
def test_the_names_of_queues_fit_and_differ(tenant):
    names = [queue_name(tenant, action) for action in ("a", "b", "r" * 64, "r" * 63 + "s", "refund_payment")]
    assert len(set(names)) == len(names) and all(len(name.encode()) <= LONGEST and name.startswith(queue_prefix(tenant)) for name in names)
    assert queue_name("default", "refund_payment") == "remit.default.refund_payment"


async def test_a_job_of_an_action_with_the_longest_name_is_deferred(world):
    async with world.running(clock=Clock, wakeups=False) as runtime:
        await runtime.parts.store.commit([Write(WAKE, ("r" * 64, "call_1", runtime.parts.clock.now()), expect=None)])
        assert jobs(world) == 1
        with pytest.raises(psycopg.Error, match="channel name too long"):  # the control
            sql = "SELECT pg_notify('procrastinate_queue_v1#remit.default.' || ?, '')"
            world.sql(sql, ("r" * 64,))


# the end


def connections(world) -> int:
    return world.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")[0][0]


async def test_closing_leaves_no_task_and_no_connection(world):
    before = asyncio.all_tasks()
    async with world.running(clock=Clock) as runtime:
        await runtime.submit(asks("transfer"), session())
        assert connections(world) > 2, "the control"
    assert asyncio.all_tasks() == before
    async with asyncio.timeout(10):  # the server notices a moment later
        while connections(world):
            await asyncio.sleep(0.05)
    assert world.sql("SELECT count(*) FROM procrastinate_workers")[0][0] == 0


async def test_closing_waits_for_what_a_job_has_begun(world):
    gate, entered = asyncio.Event(), asyncio.Event()

    async def slowly(bank, ctx, about, key):
        entered.set()
        await gate.wait()
        return bank.apply(ctx, about, key)

    async with world.running(clock=Clock) as runtime:
        world.bank.plan += [raising(Retryable("busy", after=0.1)), slowly]
        call_id = (await runtime.submit(asks("transfer"), session())).call_id
        await entered.wait()
        asyncio.get_running_loop().call_later(0.3, gate.set)
    async with world.running(clock=Clock, wakeups=False) as runtime:
        assert (await runtime.get(call_id)).state is State.SUCCEEDED
    assert jobs(world) == 0


UNCLOSED = """
import asyncio, sys
from pathlib import Path
from remit.runtime.clock import Clock
from tests.runtime.bank import World, says, session
async def main():
    runtime = await World(Path(sys.argv[1])).runtime(clock=Clock).start()
    print((await runtime.submit(says("x"), session())).state, flush=True)
    await asyncio.sleep(float(sys.argv[2]))
asyncio.run(main())
"""


@pytest.mark.parametrize("after", ["0", "0.5"])
def test_a_program_that_never_closes_it_ends_all_the_same(world, after):
    command = [sys.executable, "-W", "ignore", "-c", UNCLOSED, str(world.folder), after]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "succeeded\n"), ended.stderr


# time


@pytest.fixture
def a_day_off(monkeypatch):
    """Let the machine's clock be wrong by so many days, for whoever believes it."""

    def off(days: int) -> None:
        monkeypatch.setitem(Clock.__init__.__kwdefaults__, "wall", lambda: time.time_ns() + days * 86_400 * 10**9)

    return off


@pytest.mark.parametrize("days", [-1, 0, 1])
async def test_a_process_whose_clock_is_a_day_off_goes_by_the_servers(world, a_day_off, days):
    async with world.running(clock=Clock) as right:
        call_id = await waits(right, euros=LARGE)
        a_day_off(days)
        async with world.running(people=False, clock=Clock) as wrong:
            now = (await wrong.parts.store.time()) / 1e6
            assert abs(Clock().now() / 1e6 - now) > 80_000 or not days, "the control: its own clock is off"
            assert abs(wrong.parts.clock.now() / 1e6 - now) < 60
            world.bank.plan.append(dropped)
            sent = (await wrong.submit(asks("refund", "pay_2"), session())).call_id
            await comes_to(wrong, sent, State.SUCCEEDED)  # under the same key: its life is not over
            assert [attempt for _, attempt in world.bank.attempts] == [1, 2]
            assert (await wrong.vote(call_id, person="fay", answer="approve")).state is State.SUCCEEDED, "it did not expire early"
        rows = world.sql("SELECT at FROM event")
        assert all(abs(at / 1e6 - now) < 600 for (at,) in rows), "every event has the server's time"
        assert (await right.verify()).ok


async def test_control_a_process_that_believes_its_own_clock_expires_what_waits(world, a_day_off):
    async with world.running(clock=Clock) as right:
        call_id = await waits(right, euros=LARGE)
        a_day_off(1)

        def believing(*, last_recorded):
            return Clock(last_recorded=last_recorded)

        async with world.running(people=False, clock=believing) as wrong:
            assert (await wrong._journeys.advance(call_id)).state is State.EXPIRED
