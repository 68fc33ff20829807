"""Every event gets its place, whoever commits late; and a sequencer that dies at any step leaves no checkpoint that is not true."""

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import psycopg
import pytest

from remit.audit import Event, write
from remit.errors import DatabaseUnavailable, RemitError
from remit.runtime.journal import CommitUnknown
from remit.runtime.sequencer import Sequencer
from remit.runtime.statements import STATEMENTS, numbered
from tests.audit.tampering.looking import verified
from tests.runtime.bank import asks, says, session

WRITERS, EACH = 8, 30
ADDS = STATEMENTS["event.add"]


def event_row(log_id, number):
    """Make the values of an event that belongs to no call."""
    told = Event("agent.added", "2026-03-01T11:00:00.000000Z", f"slow-{number}", "default", body={"agent": f"agent-{number}"})
    leaf = write(told, log_id, os.urandom)
    return ("default", told.id, None, 0, told.kind, 1_000_000, leaf.data, leaf.hash)


class Slow(threading.Thread):
    """Write event after event, each in a transaction that takes a while to commit: positions are given long before."""

    def __init__(self, url, log_id, numbers):
        super().__init__()
        self._url, self._log_id, self._numbers, self.failed = url, log_id, numbers, None
        self.start()

    def run(self):
        dice = random.Random(self._numbers[0])
        try:
            with psycopg.connect(self._url) as connection:
                for number in self._numbers:
                    psycopg.RawCursor(connection).execute(numbered(ADDS), event_row(self._log_id, number))
                    time.sleep(dice.random() * 0.03)
                    connection.commit()
        except psycopg.Error as error:
            self.failed = error


async def written_slowly(world, runtime):
    """Let all writers write while the sequencer places, as often as it can."""
    numbers = range(WRITERS * EACH)
    writers = [Slow(world.database, runtime.parts.log_id, numbers[number::WRITERS]) for number in range(WRITERS)]
    while any(writer.is_alive() for writer in writers):
        await runtime._sequencer.catch_up()
        await asyncio.sleep(0.002)
    assert not [writer.failed for writer in writers if writer.failed]
    await runtime._sequencer.catch_up()


def places(world):
    """Give (events, those with a place, different places, the last place and one)."""
    return world.sql("SELECT count(*), count(leaf_index), count(DISTINCT leaf_index), max(leaf_index) + 1 FROM event")[0]


@pytest.fixture
async def alone(world):
    """A runtime that places events only when it is told to."""
    async with world.running() as runtime:
        for task in runtime._background:
            task.cancel()
        await asyncio.gather(*runtime._background, return_exceptions=True)
        await runtime._sequencer.catch_up()
        yield runtime


@pytest.mark.on_servers  # a file has one writer at a time: positions are the order of commits
async def test_whoever_commits_late_gets_a_place_without_a_gap(world, alone):
    await written_slowly(world, alone)
    events, placed, different, last = places(world)
    assert events == placed == different == last >= WRITERS * EACH
    order = [position for (position,) in world.sql("SELECT position FROM event ORDER BY leaf_index")]
    assert order != sorted(order), "somebody did commit late"
    report = await alone.verify()
    assert report.ok and report.uncovered == 0


class ByPosition(Sequencer):
    """The control: go on from the last position that was seen, as a reader would who takes ids for the order of commits."""

    last = 0

    async def _waiting(self):
        sql = "SELECT position, hash, kind FROM event WHERE tenant = ? AND leaf_index IS NULL AND position > ? ORDER BY position LIMIT 2000"
        rows = await self._parts.store.rows(sql, ("default", self.last))
        self.last = rows[-1][0] if rows else self.last
        return rows


@pytest.mark.on_servers
async def test_control_whoever_goes_on_from_the_last_id_loses_events(world, alone):
    alone._sequencer = ByPosition(alone.parts)
    await written_slowly(world, alone)
    events, placed, *_ = places(world)
    assert placed < events
    alone._sequencer = Sequencer(alone.parts)


@contextlib.contextmanager
def sequencers(world):
    """Start the process; gives what lets a child die at a step, and says how it ended."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    command = [sys.executable, "-m", "tests.runtime.sequencer_process", str(world.folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:

        def dies(at):
            print(at, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield dies
        process.stdin.close()


def add(world, log_id, numbers):
    """Write a few events that wait for their place."""
    for number in itertools.islice(numbers, 3):
        world.sql(ADDS, event_row(log_id, number))


SEEN = {
    "before signing",
    "after signing",
    "before commit",
    "after commit",
    "before fsync",
    "before replacing the file",
    "after remembering",
}


@pytest.mark.timeout(120)
async def test_killed_at_any_step_no_checkpoint_is_untrue_and_the_next_one_goes_on(world):
    async with world.running() as runtime:
        log_id = runtime.parts.log_id
        await runtime.submit(asks(), session())
    numbers = itertools.count()
    with sequencers(world) as dies:
        for at in itertools.count(1):
            add(world, log_id, numbers)
            ended = await asyncio.to_thread(dies, at)
            report = await looked_at(world)
            assert report.ok, (at, report.findings)
            assert placed_is_signed(world), at
            if ended == 0:
                break
            assert ended == -signal.SIGKILL
    passed = json.loads((world.folder / "steps").read_text())
    assert at - 1 == len(passed) and set(passed) >= SEEN, passed
    events, placed, different, last = places(world)
    assert events == placed == different == last


def placed_is_signed(world):
    """Say whether the head, the places and the checkpoints tell one thing: they are one transaction."""
    ((size,),) = world.sql("SELECT size FROM log_head")
    ((signed,),) = world.sql("SELECT max(size) FROM checkpoint")
    return size == signed == places(world)[1] == places(world)[3]


async def looked_at(world):
    """Verify without placing or signing anything."""
    return await asyncio.to_thread(verified, world)


# a disk that fails


@pytest.mark.on_files
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_commit_that_the_disk_refuses_or_cuts_off_leaves_no_untrue_checkpoint(world, alone, when):
    await alone.submit(says("a note"), session())
    before = places(world)[1]
    thread = alone.parts.store.journal._writer._thread
    real, failed = thread.run, []

    async def broken(commit):
        if failed:
            return await real(commit)
        failed.append(True)
        if when == "after":
            await real(commit)
        raise sqlite3.OperationalError("disk I/O error")

    thread.run = broken
    with contextlib.suppress(Exception):
        await alone._sequencer.catch_up()
    assert failed and placed_is_signed(world)
    assert places(world)[1] > before if when == "after" else places(world)[1] == before
    assert (await looked_at(world)).ok
    await alone._sequencer.catch_up()
    assert places(world)[0] == places(world)[1] and placed_is_signed(world)
    assert (await alone.verify()).ok


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["begin", "run", "commit"])
async def test_whichever_step_of_the_transaction_fails_there_is_no_untrue_checkpoint(world, alone, monkeypatch, step, when):
    await alone.submit(says("a note"), session())
    kind, failed = type(alone.parts.store.journal._writer), []
    real = getattr(kind, step)

    async def broken(writer, *given):
        if failed:
            return await real(writer, *given)
        failed.append(True)
        if when == "after":
            await real(writer, *given)
        elif step == "commit":
            await writer.rollback()  # as it does itself when the disk refuses
        raise (CommitUnknown if step == "commit" else DatabaseUnavailable)("disk I/O error")

    monkeypatch.setattr(kind, step, broken)
    with contextlib.suppress(RemitError):
        await alone._sequencer.catch_up()
    assert failed and placed_is_signed(world)
    assert (await looked_at(world)).ok
    await alone._sequencer.catch_up()
    assert places(world)[0] == places(world)[1] and placed_is_signed(world)
    assert (await alone.verify()).ok


@pytest.mark.on_files
async def test_control_a_checkpoint_that_is_signed_apart_from_the_places_is_noticed(world, alone):
    """Killed between two transactions, a sequencer that places in one and signs in another would leave this."""
    await alone.submit(says("a note"), session())
    await alone._sequencer.catch_up()
    await world.change("DELETE FROM checkpoint WHERE size = (SELECT max(size) FROM checkpoint)")
    assert not placed_is_signed(world)


# the age of the oldest event, and the proof of a call


async def test_while_events_wait_too_long_nothing_is_let_in_that_writes_and_it_is_said_when_to_come_back(world, alone, monkeypatch):
    monkeypatch.setattr("remit.runtime.admission.LONGEST_UNPROVED", 0.0)
    done = await alone.submit(asks(payment="pay_1"), session(), idempotency_key="first")
    assert done.ok, "nothing waits yet"
    await alone._sequencer._look()
    refused = await alone.submit(asks(payment="pay_2"), session())
    assert (refused.error.code, refused.error.retry, refused.retry_after) == ("unproved", "later", 10)
    assert "audit log is behind" in refused.error.message and "Come back in 10 seconds" in refused.error.message
    assert world.bank.effects == ["pay_1"], "nothing was done"
    looked = await alone.submit({"name": "look_up", "arguments": {"payment_id": "pay_1"}}, session())
    assert looked.error is None or looked.error.code != "unproved", "reading goes on"
    assert (await alone.submit(asks(payment="pay_1"), session(), idempotency_key="first")).repeated, "and what was done is told"
    await alone._sequencer.catch_up()
    alone._sequencer._looked = 0.0
    await alone._sequencer._look()
    assert (await alone.submit(asks(payment="pay_2"), session())).ok


async def test_control_without_a_look_at_it_what_writes_is_let_in(alone, monkeypatch):
    monkeypatch.setattr("remit.runtime.admission.LONGEST_UNPROVED", 0.0)
    assert (await alone.submit(asks(payment="pay_1"), session())).ok
    assert (await alone.submit(asks(payment="pay_2"), session())).ok


async def test_whoever_wants_a_proof_waits_for_the_checkpoint_that_covers_the_call(world, alone):
    call_id = (await alone.submit(asks(), session())).call_id
    assert await alone.wait_for_proof(call_id, 0.05) is None
    waiting = asyncio.create_task(alone.wait_for_proof(call_id, 10))
    await asyncio.sleep(0.01)
    await alone._sequencer.catch_up()
    proof = await waiting
    ((last,),) = world.sql("SELECT max(leaf_index) FROM event WHERE call = ?", (call_id,))
    assert proof.leaf == last < proof.size and proof.call_id == call_id
    assert [(proof.size, proof.note)] == world.sql("SELECT size, note FROM checkpoint WHERE size > ? ORDER BY size LIMIT 1", (last,))


async def steps_while_more_comes(runtime, monkeypatch, catch_up):
    """Let more be written during each step, ten times at most; gives how many steps are taken before it is content."""
    step, taken = Sequencer._step, 0

    async def busily(sequencer):
        nonlocal taken
        taken += 1
        count = await step(sequencer)
        if taken < 10:
            await runtime.submit(says(f"meanwhile {taken}"), session())
        return count

    monkeypatch.setattr(Sequencer, "_step", busily)
    await runtime.submit(says("before"), session())
    await catch_up(runtime._sequencer)
    return taken


async def test_what_is_written_meanwhile_waits_for_the_next_checkpoint(alone, monkeypatch):
    assert await steps_while_more_comes(alone, monkeypatch, Sequencer.catch_up) == 1


async def test_control_until_nothing_is_left_it_signs_without_a_pause(alone, monkeypatch):
    async def until_nothing_is_left(sequencer):
        while await sequencer._step():
            pass

    assert await steps_while_more_comes(alone, monkeypatch, until_nothing_is_left) > 9
