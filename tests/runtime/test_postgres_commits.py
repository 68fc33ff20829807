"""A COMMIT that is cut off: what happened is found out by the mark that it leaves, and told as it was; nothing is lost, nothing done twice."""

import asyncio

import psycopg
import pytest

from remit.audit import State
from remit.runtime.journal import CommitUnknown, Conflict
from remit.runtime.postgres_writer import PostgresWriter
from tests.runtime.bank import LARGE, Store, World, asks, kinds, says, session

LIVES = ["call.received", "approval.voted", "call.intended", "call.succeeded"]
"""What is committed on the way of a call that waits for an approval: each of these in a transaction of its own."""


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "server", True)
    return World.make(tmp_path)


class Cut:
    """Cut the connection at the COMMIT that an event is in: before the server hears of it, or after it has committed."""

    def __init__(self, monkeypatch) -> None:
        self.when: dict[str, str] = {}
        self.cut: list[str] = []
        self._kinds: set[str] = set()
        self._begin, self._commit = PostgresWriter.begin, PostgresWriter.commit
        monkeypatch.setattr(PostgresWriter, "begin", lambda writer, group: self.begin(writer, group))
        monkeypatch.setattr(PostgresWriter, "commit", lambda writer: self.commit(writer))

    async def begin(self, writer: PostgresWriter, group) -> None:
        await self._begin(writer, group)
        self._kinds = {write.values[4] for one in group for write in one.writes if write.statement == "event.add"}

    async def commit(self, writer: PostgresWriter) -> None:
        if due := self._kinds & self.when.keys():
            when, connection = self.when.pop(kind := due.pop()), writer._connection
            self.cut.append(kind)
            if when == "after":
                await connection.execute("COMMIT")
            if when == "terminated":
                with psycopg.connect(connection.info.dsn, autocommit=True) as other:
                    other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
            else:
                connection.pgconn.finish()  # the server notices by itself, later
        await self._commit(writer)


@pytest.fixture
def cut(monkeypatch):
    return Cut(monkeypatch)


async def told(runtime, kind: str) -> int:
    return len(await runtime.parts.store.rows("SELECT 1 FROM event WHERE kind = ?", (kind,)))


@pytest.mark.parametrize("when", ["before", "after", "terminated"])
async def test_a_change_is_there_once_wherever_it_was_cut(runtime, cut, when):
    before = await told(runtime, "person.added")
    cut.when["person.added"] = when
    await runtime.people.add("ann", roles=["finance"])
    assert cut.cut == ["person.added"] and await runtime.people.get("ann")
    assert await told(runtime, "person.added") == before + 1


@pytest.mark.parametrize("when", ["before", "after", "terminated"])
@pytest.mark.parametrize("kind", LIVES)
async def test_a_call_goes_through_once_wherever_it_was_cut(runtime, world, cut, kind, when):
    cut.when[kind] = when
    call_id = (await runtime.submit(asks("transfer", euros=LARGE), session())).call_id
    outcome = await runtime.vote(call_id, person="fay", answer="approve")
    assert outcome.state is State.SUCCEEDED and world.bank.effects == ["pay_1"] and cut.cut == [kind]
    seen = kinds(await runtime.view(call_id))
    assert [seen.count(one) for one in LIVES] == [1] * len(LIVES)
    assert (await runtime.verify()).ok


async def test_control_to_take_a_cut_commit_for_a_failure_says_so_of_what_was_done(runtime, cut, monkeypatch):
    async def failed(_writer):
        return False

    monkeypatch.setattr(PostgresWriter, "_was_committed", failed)
    cut.when["person.added"] = "after"
    with pytest.raises(Conflict, match="event_id_key"):  # a second time, were its event not known by an id
        await runtime.people.add("ann", roles=["finance"])
    assert await runtime.people.get("ann")


async def test_control_to_take_it_for_done_loses_it(runtime, cut, monkeypatch):
    async def done(_writer):
        return True

    monkeypatch.setattr(PostgresWriter, "_was_committed", done)
    cut.when["person.added"] = "before"
    await runtime.people.add("ann", roles=["finance"])
    assert await runtime.people.get("ann") is None


async def test_a_commit_that_the_server_is_still_at_is_waited_for(runtime, world, cut, monkeypatch):
    """The old session is not gone yet: to look at once would take its commit for a failure."""
    waiting = asyncio.Event()
    real = PostgresWriter._was_committed

    async def looking(writer):
        waiting.set()
        return await real(writer)

    monkeypatch.setattr(PostgresWriter, "_was_committed", looking)
    old = []

    async def commit(writer):
        if not old:
            old.append(writer._connection)
            writer._connection = await writer._connect()  # as if it had been lost; the old one goes on
            writer._connection.pgconn.finish()
        await cut._commit(writer)

    monkeypatch.setattr(PostgresWriter, "commit", commit)
    adding = asyncio.create_task(runtime.people.add("ann", roles=["finance"]))
    await waiting.wait()
    await asyncio.sleep(0.1)
    assert not adding.done()
    await old[0].execute("COMMIT")
    await adding
    await old[0].close()
    assert await runtime.people.get("ann") and await told(runtime, "person.added") == 5


async def unmarked(runtime, monkeypatch) -> None:
    """Let a mark be gone, as after a failover to a server that never had it."""
    real = PostgresWriter._was_committed

    async def without(writer):
        async with writer._answering(connecting=True) as connection:
            await connection.execute("DELETE FROM commit_mark")
        return await real(writer)

    monkeypatch.setattr(PostgresWriter, "_was_committed", without)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_where_nobody_can_tell_it_is_read_back_by_id(runtime, world, cut, monkeypatch, when):
    await unmarked(runtime, monkeypatch)
    cut.when["call.succeeded"] = when
    outcome = await runtime.submit(says("x"), session())
    (call,) = await runtime.calls()
    assert outcome.state is call.state is State.SUCCEEDED and world.bank.effects == ["x"]
    assert kinds(await runtime.view(call.id)).count("call.succeeded") == 1
    cut.when["person.added"] = when
    with pytest.raises(CommitUnknown):
        await runtime.people.add("ann", roles=["finance"])


async def test_marks_of_writers_that_are_gone_are_swept_away(world):
    async with world.running():
        pass
    await world.change("UPDATE commit_mark SET at = now() - interval '2 days'")
    async with world.running():
        assert len(world.sql("SELECT * FROM commit_mark")) == 1


async def test_backends_that_are_killed_under_load_lose_nothing(runtime, world):
    """Connections that read, write, lead and wake are killed at any time, while sixteen callers ask."""
    going, killed = True, 0

    async def kills():
        nonlocal killed
        while going:
            await asyncio.sleep(0.15)
            sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            killed += (await asyncio.to_thread(world.sql, sql))[0][0]

    async def asking(number):
        told, turn = [], 0
        while killed < 40:
            turn += 1
            told.append(await runtime.submit(says(f"{number}-{turn}"), session(conversation=f"c{number}")))
        return told

    killing = asyncio.create_task(kills())
    outcomes = [one for some in await asyncio.gather(*(asking(number) for number in range(16))) for one in some]
    going = False
    await killing
    assert {one.state for one in outcomes} == {State.SUCCEEDED}
    assert len(set(world.bank.effects)) == len(world.bank.effects) == len(outcomes) > 16
    report = await runtime.verify()
    assert report.ok, report.findings
    assert not any(task.done() for task in runtime._background)
