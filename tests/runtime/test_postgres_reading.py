"""What is read from a server: one moment for a whole log, over connections that are made anew when they are lost; and what texts it takes."""

import asyncio

import psycopg
import pytest

from remit.audit import State, verify
from remit.errors import DatabaseUnavailable, RemitError, StoreError
from remit.runtime import postgres_reader, postgres_writer
from remit.runtime.logs import DatabaseLog
from remit.runtime.postgres import PostgresSnapshot
from remit.runtime.postgres_arrays import COLUMNS, SQL
from remit.runtime.postgres_writer import PostgresWriter
from remit.runtime.statements import CALL_COLUMNS, CALL_MUTABLE, inserted_columns
from tests.runtime.bank import Store, World, asks, says, session


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "server", True)
    return World.make(tmp_path)


# one moment


async def interrupted(runtime, log) -> list[int | None]:
    """Read a log, and let more be done and placed while its first entry is looked at; gives the places."""
    entries, places = log.entries(), []
    for entry in entries:
        places.append(entry.index)
        if len(places) == 1:
            await asyncio.gather(*(runtime.submit(says(f"more {number}"), session()) for number in range(5)))
            await runtime._sequencer.catch_up()
            await runtime.submit(says("and more"), session())
    return places


async def test_a_log_is_read_as_it_was_at_one_moment_whatever_is_done_meanwhile(runtime):
    await runtime.submit(asks(), session())
    await runtime._sequencer.catch_up()
    await runtime.submit(says("not yet placed"), session())
    sizes = await runtime.parts.store.rows("SELECT size, (SELECT count(*) FROM event) FROM log_head")
    with DatabaseLog(runtime.parts) as log:
        places = await interrupted(runtime, log)
        assert (len([one for one in places if one is not None]), len(places)) == tuple(sizes[0])
        assert verify(log).ok, "and again, the same moment"
    with DatabaseLog(runtime.parts) as log:
        assert len(list(log.entries())) > len(places), "the control: more was done"


async def test_control_moments_of_their_own_for_each_reading_tear_it(runtime, monkeypatch):
    await runtime.submit(asks(), session())
    await runtime._sequencer.catch_up()

    def each(snapshot, sql, values=()):
        other = PostgresSnapshot(snapshot._connection.info.dsn)
        rows = list(real(other, sql, values))
        other.close()
        yield from rows

    real = PostgresSnapshot.scan
    before = len(await runtime.parts.store.rows("SELECT 1 FROM event"))
    monkeypatch.setattr(PostgresSnapshot, "scan", each)
    with DatabaseLog(runtime.parts) as log:
        assert len(await interrupted(runtime, log)) != before


# connections


def killed(world) -> int:
    sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return world.sql(sql)[0][0]


async def test_reading_goes_on_over_new_connections(runtime, world):
    for _ in range(3):
        await asyncio.gather(*(runtime.calls() for _ in range(8)))
        assert killed(world) > 2
        assert await runtime.calls() == []


async def test_a_server_that_stays_away_is_said_to_be_unavailable(runtime, world, monkeypatch):
    monkeypatch.setattr(postgres_reader, "PATIENCE", (0.01, 0.01))
    reader = runtime.parts.store._database._reader

    async def away(*_):
        raise psycopg.OperationalError("no route to host")

    with monkeypatch.context() as patched:
        patched.setattr(reader, "_once", away)
        with pytest.raises(DatabaseUnavailable, match="no route to host"):
            await runtime.calls()
    assert await runtime.calls() == [], "and is there again"


async def test_what_can_not_be_read_spoils_no_other_reading(runtime):
    with pytest.raises(StoreError, match="nowhere"):
        await runtime.parts.store.rows("SELECT 1 FROM nowhere")
    assert await asyncio.gather(*(runtime.calls() for _ in range(8))) == [[]] * 8


async def test_whoever_stops_waiting_for_an_answer_leaves_no_answer_to_the_next(runtime):
    slow = [asyncio.create_task(runtime.parts.store.rows("SELECT 1, pg_sleep(0.2)")) for _ in range(8)]
    await asyncio.sleep(0.05)
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    assert await asyncio.gather(*(runtime.parts.store.rows("SELECT ?", (number,)) for number in range(8))) == [[(n,)] for n in range(8)]


# texts and numbers


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "x" * 300_000, "Zoë \N{PILE OF POO}"])
@pytest.mark.parametrize("where", ["arguments", "id", "name", "conversation", "model", "principal"])
async def test_no_text_harms_anybody_else(runtime, where, text):
    """What a model sends is read before; what a host says of itself that a server can't store is refused, and nothing is done."""
    sent, who = says("x", tag="t"), session()
    match where:
        case "arguments":
            sent = says(text)
        case "id" | "name":
            sent[where] = text
        case _:
            who = session(**{where: text})
    others = asyncio.gather(*(runtime.submit(says(f"n{number}"), session()) for number in range(5)))
    try:
        outcome = await runtime.submit(sent, who)
    except RemitError:
        assert where not in {"arguments", "id", "name"}
    else:
        assert outcome.state in {State.SUCCEEDED, State.DENIED, State.REJECTED}
    assert {outcome.state for outcome in await others} == {State.SUCCEEDED}
    assert (await runtime.verify()).ok


async def beside_what_is_too_long(runtime, monkeypatch):
    """Write five calls in one group with one that no index can hold; gives what became of the five, and of that one."""
    entered, gate, begin = asyncio.Event(), asyncio.Event(), PostgresWriter.begin

    async def slowly(writer, group):
        entered.set()
        await gate.wait()
        await begin(writer, group)

    await runtime.submit(says("the customer is known"), session())
    monkeypatch.setattr(PostgresWriter, "begin", slowly)
    first = asyncio.create_task(runtime.submit(says("first"), session()))
    await entered.wait()
    others = [asyncio.create_task(runtime.submit(says(f"n{number}"), session())) for number in range(5)]
    harmful = asyncio.create_task(runtime.submit(says("x"), session(conversation="x" * 300_000)))
    try:
        async with asyncio.timeout(20):
            while runtime.parts.store.journal.depth < 6:
                await asyncio.sleep(0.01)
    finally:
        gate.set()
    await first
    return await asyncio.gather(*others, return_exceptions=True), (await asyncio.gather(harmful, return_exceptions=True))[0]


async def test_what_is_too_long_for_an_index_is_refused_alone(runtime, monkeypatch):
    others, harmful = await beside_what_is_too_long(runtime, monkeypatch)
    assert {outcome.state for outcome in others} == {State.SUCCEEDED}
    assert isinstance(harmful, StoreError) and not isinstance(harmful, DatabaseUnavailable)


async def test_control_taken_for_a_server_in_trouble_it_takes_the_others_with_it(runtime, monkeypatch):
    monkeypatch.setattr(postgres_writer, "_TOO_LARGE", "none")
    others, _ = await beside_what_is_too_long(runtime, monkeypatch)
    assert any(isinstance(outcome, DatabaseUnavailable) for outcome in others)


async def test_sums_and_times_beyond_four_bytes_are_kept(world):
    world.policies(
        payments="policy: p\nactions: [refund]\nrules:\n  - {id: any, then: allow}\nlimits:\n"
        "  - {id: budget, measure: arguments.amount, currency: EUR, window: 1h, at_most: 9000000000000}\n"
    )
    async with world.running() as runtime:
        for number in (1, 2, 3):
            assert (await runtime.submit(asks("refund", f"pay_{number}", "29999999999.99"), session())).ok
        assert (await runtime.submit(asks("refund", "pay_4", "29999999999.99"), session())).state is State.DENIED
        assert world.sql("SELECT sum(amount) FROM usage")[0][0] == 3 * 2_999_999_999_999
        assert (await runtime.verify()).ok


KINDS = {"character varying": "text", "text": "text", "bytea": "bytea", "integer": "bigint", "bigint": "bigint"}


def test_what_goes_over_as_arrays_has_the_kinds_of_its_columns(world):
    names = {"call.move": ("call", [*CALL_MUTABLE, "tenant", "id", "version"]), "event.place": ("event", ["leaf_index", "position"])}
    for statement in {*SQL} - {*names}:
        table, _, columns = inserted_columns(statement).removeprefix("INSERT INTO ").partition(" ")
        names[statement] = table, columns.strip("()").split(", ")
    assert names["call.add"] == ("call", list(CALL_COLUMNS)) and {*SQL} == {*COLUMNS}
    for statement, (table, columns) in names.items():
        there = dict(world.sql("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = ?", (table,)))
        kinds = [KINDS[there[name]] for name in columns]
        assert list(COLUMNS[statement]) == kinds, statement
