"""The database and its keys: the first run, what is refused and why, a full disk, a lock, a commit whose answer is lost."""

import asyncio
import re
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from remit import Runtime
from remit.audit import State
from remit.errors import DatabaseLocked, DatabaseReadOnly, DatabaseTooNew, KeysMismatch, KeysMissing, PolicyChanged, PolicyError, StoreError
from remit.runtime.background import ended
from remit.runtime.database import open_database
from remit.runtime.sqlite import PRAGMAS, keys_path
from tests.runtime.bank import ACTIONS, ALLOW, World, asks, comes_to, gated, says, session, shut


@pytest.fixture
def bare(tmp_path):
    """A folder with policies and nothing else: the first run is still to come."""
    world = World.make(tmp_path)
    world.database.unlink()
    keys_path(world.database).unlink()
    return world


def left(world) -> set[str]:
    return {re.sub(r"\.\w{8}\.signed$", ".signed", path.name) for path in world.folder.iterdir()} - {"policies"}


# the first run


async def test_the_first_run_makes_the_database_and_its_keys(bare):
    async with bare.running(people=False, activate=False) as runtime:
        assert (await runtime.submit(asks(), session())).state is State.SUCCEEDED
        assert stat.S_IMODE(keys_path(bare.database).stat().st_mode) == 0o600
        assert (await runtime.verify()).ok
    async with bare.running(people=False, activate=False) as runtime:
        assert (await runtime.submit(asks(), session())).repeated, "and the second finds it"
    assert left(bare) == {"remit.db", "remit.keys", "remit.signed"}


async def test_the_keys_of_a_database_are_made_once(bare):
    async with bare.running(people=False):
        first = keys_path(bare.database).read_bytes()
    async with bare.running(people=False):
        assert keys_path(bare.database).read_bytes() == first


FIRST = """
import asyncio, sys
from pathlib import Path
from tests.runtime.bank import World, asks, session
world = World(Path(sys.argv[1]))
world.bank.payments["pay_1"] = __import__("tests.runtime.bank", fromlist=["Payment"]).Payment(customer="kay")
async def main():
    async with world.running(people=False, activate=False) as runtime:
        outcome = await runtime.submit(asks(), session())
        print(outcome.state, outcome.repeated, (await runtime.verify()).ok)
sys.stdin.read()
asyncio.run(main())
"""


def test_two_processes_may_make_the_same_database_at_once(bare):
    command = [sys.executable, "-c", FIRST, str(bare.folder)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        process.stdin.close()
    told = sorted(process.stdout.read().split() for process in both)
    for process in both:
        process.stdout.close()
        process.wait()
    assert told == [["succeeded", "False", "True"], ["succeeded", "True", "True"]]


# what is refused


async def refused(world, error, *words: str):
    with pytest.raises(error) as found:
        async with world.running(people=False):
            pass
    message = str(found.value)
    assert "\n" not in message and all(word in message for word in words), message
    return message


async def test_a_database_without_its_keys_is_refused_and_gets_no_new_ones(world):
    keys = keys_path(world.database)
    before = keys.read_bytes()
    keys.unlink()
    await refused(world, KeysMissing, "remit.keys", "restore")
    assert not keys.exists()
    keys.write_bytes(before)
    async with world.running():
        pass


async def test_a_database_with_anothers_keys_is_refused_untouched(world, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "other.db"
    database = open_database(other)
    shut(database)
    before = world.database.read_bytes()
    shutil.copy(keys_path(other), keys_path(world.database))
    await refused(world, KeysMismatch, "remit.keys", "another database")
    assert world.database.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"{}", b"not a key file", b'{"v": 1, "signing_seed": "00", "tenant_keys": {}, "lookup_key": ""}'])
async def test_a_key_file_that_is_none_is_refused(world, content):
    keys_path(world.database).write_bytes(content)
    await refused(world, StoreError, "remit.keys")


async def test_a_newer_database_is_refused(world):
    with sqlite3.connect(world.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    await refused(world, DatabaseTooNew, "9999", "upgrade Remit")


async def test_a_file_that_is_no_database_is_refused_and_left_alone(world):
    world.database.write_bytes(b"This is a letter, not a database. " * 100)
    await refused(world, StoreError, "remit.db", "not a SQLite database")
    assert world.database.read_bytes().startswith(b"This is a letter")


async def test_a_folder_that_is_not_there_is_refused(bare):
    runtime = Runtime(ACTIONS, policies=bare.folder / "policies", database=bare.folder / "none" / "remit.db", resources=[bare.bank])
    with pytest.raises(StoreError, match="does not exist; make it first"):
        await runtime.start()
    assert left(bare) == set()


@pytest.mark.parametrize("how", ["EXCLUSIVE", "IMMEDIATE"])
async def test_a_database_that_another_process_holds_locked_is_refused(world, monkeypatch, how):
    monkeypatch.setattr("remit.runtime.sqlite.LOCK_WAIT", 0.05)
    holder = sqlite3.connect(world.database, isolation_level=None)
    holder.execute(f"BEGIN {how}")
    try:
        await refused(world, DatabaseLocked, "locked", "find it and stop it")
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    async with world.running() as runtime:
        assert (await runtime.submit(asks(), session())).state is State.SUCCEEDED


async def test_a_lock_that_goes_in_time_is_waited_for_beside_the_loop(world):
    async with world.running() as runtime:
        holder = sqlite3.connect(world.database, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        caller = asyncio.create_task(runtime.submit(asks(), session()))
        await asyncio.sleep(0.1)
        assert not caller.done() and world.bank.attempts == []
        assert (await runtime.health()).running <= 1, "the loop is free meanwhile"
        holder.execute("ROLLBACK")
        holder.close()
        assert (await caller).state is State.SUCCEEDED


READ_ONLY = """
import asyncio, os, sys
from pathlib import Path
from remit.runtime.database import open_database
import remit.runtime, remit.audit, cryptography.hazmat.primitives.ciphers.aead
folder = Path(sys.argv[1])
if os.getuid() == 0:
    os.setuid(65534)
try:
    open_database(folder / sys.argv[2])
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("name", ["remit.db", "new.db"])
def test_what_cannot_be_written_is_said_in_one_line_and_nothing_is_left(name):
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        world = World.make(folder)
        for path in (world.database, keys_path(world.database)):
            path.chmod(0o444)
        folder.chmod(0o555)
        try:
            done = subprocess.run([sys.executable, "-c", READ_ONLY, made, name], capture_output=True, text=True, check=True)
        finally:
            folder.chmod(0o755)
        kind, _, message = done.stdout.strip().partition(" ")
        assert (kind, "writable" in message, "\n" in message) == (DatabaseReadOnly.__name__, True, False), done
        assert {path.name for path in folder.iterdir()} == {"policies", "remit.db", "remit.keys"}


# a start that fails


async def test_a_broken_policy_leaves_nothing_behind(bare):
    bare.policies(payments="policy: p\nactions: [refund]\nrules: [{id: a, then: alow}]\n")
    with pytest.raises(PolicyError):
        bare.runtime()
    assert left(bare) == set()


async def test_policies_that_differ_are_refused_until_somebody_activates_them(world):
    async with world.running():
        pass
    world.policies(payments=ALLOW + "# changed\n")
    with pytest.raises(PolicyChanged, match="remit policy reload"):
        async with world.running(activate=False):
            pass
    async with world.running(activate=True) as runtime:
        kept = [event["body"]["by"] for event in await runtime.events(most=1_000) if event["kind"] == "policy.activated"]
        assert kept[0] == "the folder at start"
    async with world.running(activate=False):
        pass


async def test_who_reloads_the_policies_is_recorded_even_before_the_start(world):
    async with world.running():
        pass
    world.policies(payments=ALLOW + "# changed\n")
    runtime = world.runtime(activate=False)
    await runtime.reload_policies(by="fay")
    await runtime._sequencer.catch_up()
    activations = [event["body"]["by"] for event in await runtime.events(most=1_000) if event["kind"] == "policy.activated"]
    await runtime.close()
    assert activations == ["the folder at start", "fay"]


async def test_a_broken_folder_changes_nothing_when_it_is_reloaded(runtime, world):
    before = runtime.parts.control.policies.digest
    world.policies(payments="policy: [")
    with pytest.raises(PolicyError):
        await runtime.reload_policies(by="fay")
    assert runtime.parts.control.policies.digest == before
    assert (await runtime.submit(asks(), session())).state is State.SUCCEEDED


async def test_a_migration_that_fails_leaves_no_half_made_tables_and_the_next_start_makes_them(bare, monkeypatch):
    from remit.runtime import tables  # noqa: F401 - imported before the failure is ordered

    real = sqlite3.connect

    class Failing(sqlite3.Connection):
        def cursor(self, *args):
            return super().cursor(*args or (FailingCursor,))

    class FailingCursor(sqlite3.Cursor):
        def execute(self, sql, *args):
            if "CREATE TABLE opening" in sql:
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *args)

    monkeypatch.setattr("sqlite3.connect", lambda *args, **settings: real(*args, **{**settings, "factory": Failing}))
    monkeypatch.setattr("sqlite3.dbapi2.connect", sqlite3.connect)
    with pytest.raises(StoreError, match="disk I/O error"):
        await bare.runtime().start()
    monkeypatch.undo()
    connection = sqlite3.connect(bare.database)
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
    async with bare.running(people=False) as runtime:
        assert (await runtime.submit(asks(), session())).state is State.SUCCEEDED


async def test_a_start_that_failed_can_be_made_again(world):
    keys = keys_path(world.database)
    keys.rename(keys.with_suffix(".away"))
    runtime = world.runtime()
    for _ in range(2):
        with pytest.raises(KeysMissing):
            await runtime.submit(asks(), session())
    await runtime.close()
    keys.with_suffix(".away").rename(keys)
    assert (await runtime.submit(asks(), session())).state is State.SUCCEEDED
    await runtime.close()


async def test_a_path_with_odd_letters_is_a_path(tmp_path):
    folder = tmp_path / "50%25 #1 ? ö"
    folder.mkdir()
    async with World.make(folder).running() as runtime:
        assert (await runtime.submit(asks(payment="pay_x"), session())).state is State.DENIED
        assert (await runtime.verify()).ok


# what is in force


def test_every_commit_waits_for_the_disk(world, monkeypatch):
    monkeypatch.undo()
    assert "synchronous = FULL" in PRAGMAS
    database = open_database(world.database)
    assert database.writer._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert database.writer._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        database._reader.execute("DELETE FROM event")
    shut(database)


# the disk is full


def pages(runtime, most: int | None) -> None:
    writer = runtime.parts.store.journal._writer._connection
    writer.execute(f"PRAGMA max_page_count = {most or writer.execute('PRAGMA page_count').fetchone()[0]}")


async def test_on_a_full_disk_there_is_no_effect_without_an_intent(world):
    async with world.running() as runtime:
        pages(runtime, None)
        done, failed = 0, 0
        for number in range(200):
            try:
                outcome = await runtime.submit(says("x" * 5_000, tag=str(number)), session())
            except StoreError as error:
                assert "full" in str(error)
                failed += 1
            else:
                done += outcome.state is State.SUCCEEDED
            assert len(world.bank.effects) == len(world.bank.attempts) == done
        assert failed > 100
        pages(runtime, 1_000_000)
        assert (await runtime.submit(says("after", tag="0"), session())).error is None
        assert (await runtime.verify()).ok


async def test_an_effect_that_cannot_be_settled_on_a_full_disk_is_settled_later_and_once(world, monkeypatch):
    monkeypatch.setattr("remit.runtime.phases.SETTLE_PAUSES", (0.01,))
    gate, entered = asyncio.Event(), asyncio.Event()
    async with world.running() as runtime:
        world.bank.plan.append(gated(gate, entered))
        world.bank.replied = "x" * 20_000
        caller = asyncio.create_task(runtime.submit(asks(), session()))
        await entered.wait()
        pages(runtime, None)
        gate.set()
        with pytest.raises(StoreError, match="full"):
            await caller
        call_id = (await runtime.calls())[0].id
        assert (await runtime.get(call_id)).state is State.EXECUTING, "nobody is told that it failed"
        pages(runtime, 1_000_000)
        world.time.pass_(seconds=16)
        await comes_to(runtime, call_id, State.UNKNOWN)
        world.time.pass_(seconds=2)
        await comes_to(runtime, call_id, State.SUCCEEDED)
        assert world.bank.effects == ["pay_1"] and (await runtime.verify()).ok


async def test_a_moment_without_space_is_waited_out_where_an_effect_is_to_be_settled(world, monkeypatch):
    monkeypatch.setattr("remit.runtime.phases.SETTLE_PAUSES", (0.05, 5, 5))
    gate, entered = asyncio.Event(), asyncio.Event()
    async with world.running() as runtime:
        world.bank.plan.append(gated(gate, entered))
        world.bank.replied = "x" * 20_000
        caller = asyncio.create_task(runtime.submit(asks(), session()))
        await entered.wait()
        pages(runtime, None)
        gate.set()
        await asyncio.sleep(0.01)
        pages(runtime, 1_000_000)
        assert (await caller).state is State.SUCCEEDED and world.bank.effects == ["pay_1"]


async def test_a_commit_that_the_system_cuts_off_loses_nothing_that_was_promised(world):
    """The write-ahead log reaches the largest size that the system lets a file have: COMMIT itself fails."""
    async with world.running() as runtime:
        await runtime.submit(says("before"), session())
        wal = world.database.with_name("remit.db-wal").stat().st_size
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (wal + 30_000, before[1]))
        try:
            outcomes = []
            for number in range(10):
                outcomes += await asyncio.gather(
                    *(runtime.submit(says("x" * 3_000, tag=f"{number}-{one}"), session()) for one in range(3)), return_exceptions=True
                )
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        failed = [one for one in outcomes if isinstance(one, BaseException)]
        assert failed and all(isinstance(one, StoreError) for one in failed), failed[:3]
        states = {call.id: call.state for call in await runtime.calls(most=1_000)}
        done = [one for one in outcomes if not isinstance(one, BaseException)]
        assert all(states[one.call_id] == one.state for one in done)
        assert len(world.bank.attempts) <= len(states), "no effect without an intent"
        assert (await runtime.submit(says("after"), session())).state is State.SUCCEEDED
        assert (await runtime.verify()).ok
    async with world.running() as runtime:
        assert {call.id for call in await runtime.calls(most=1_000)} >= states.keys()
        assert (await runtime.verify()).ok


# a commit whose answer is lost


class Losing:
    """A connection whose COMMIT may be carried out and reported as failed."""

    def __init__(self, connection):
        self.connection, self.lose, self.lost = connection, 0, 0

    def __getattr__(self, name):
        return getattr(self.connection, name)

    def commit(self):
        self.connection.commit()
        if self.lose:
            self.lose, self.lost = self.lose - 1, self.lost + 1
            raise sqlite3.OperationalError("disk I/O error")


def stop(runtime) -> None:
    """Let nothing else commit meanwhile."""
    for task in runtime._background:
        task.cancel()


@pytest.mark.parametrize("which", [1, 2, 3])
async def test_a_commit_error_is_read_back_and_not_taken_for_a_failure(world, which):
    async with world.running() as runtime:
        await runtime.submit(asks(payment="pay_2"), session())
        stop(runtime)
        writer = runtime.parts.store.journal._writer
        writer._connection = losing = Losing(writer._connection)
        losing.lose = which
        outcome = await runtime.submit(asks(), session())
        assert losing.lost == min(which, 2) and outcome.state is State.SUCCEEDED
        losing.lose = 0
        assert world.bank.effects == ["pay_2", "pay_1"] and (await runtime.verify()).ok
        waiting = await runtime.submit(asks("transfer", euros="99.00"), session())
        losing.lose = 1
        assert (await runtime.vote(waiting.call_id, person="fay", answer="approve")).state is State.SUCCEEDED
        assert (await runtime.verify()).ok


async def test_the_first_call_of_a_customer_survives_a_lost_commit_too(world):
    async with world.running() as runtime:
        stop(runtime)
        world.bank.payments["pay_1"].customer = "newcomer"
        writer = runtime.parts.store.journal._writer
        writer._connection = losing = Losing(writer._connection)
        losing.lose = 3
        assert (await runtime.submit(asks(), session(subject="newcomer"))).state is State.SUCCEEDED


async def test_a_value_that_no_database_takes_fails_alone(runtime, world):
    many = [runtime.submit(says(f"note {number}"), session()) for number in range(5)]
    *done, failed = await asyncio.gather(*many, runtime.people.add("odd", name="\ud800"), return_exceptions=True)
    assert {one.state for one in done} == {State.SUCCEEDED} and isinstance(failed, StoreError)
    assert (await runtime.submit(asks(), session())).state is State.SUCCEEDED, "the journal goes on"


# background work


async def test_the_sequencer_and_the_wakeups_survive_an_error(world):
    async with world.running() as runtime:
        writer = runtime.parts.store.journal._writer
        real = writer._connection

        class Broken(Losing):
            def execute(self, *_):
                raise sqlite3.OperationalError("disk I/O error")

        writer._connection = Broken(real)
        await asyncio.sleep(0.4)
        writer._connection = real
        outcome = await runtime.submit(asks("transfer", euros="99.00"), session())
        world.time.pass_(hours=5)
        assert (await runtime.wait(outcome.call_id, 30)).state is State.EXPIRED
        async with asyncio.timeout(10):
            while (await runtime.health()).oldest_unsequenced:
                await asyncio.sleep(0.02)


async def test_the_write_ahead_log_is_emptied_between_two_transactions_and_not_in_one(world):
    async with world.running() as runtime:
        await ended(runtime._background)
        await runtime.submit(asks("transfer"), session())
        writer, kept = runtime.parts.store._database.writer, world.database.with_name("remit.db-wal")
        await writer.begin(())
        emptied = asyncio.create_task(writer.scrub())
        await asyncio.sleep(0.1)
        assert not emptied.done() and kept.stat().st_size
        await writer.rollback()
        await emptied
        assert kept.stat().st_size == 0
