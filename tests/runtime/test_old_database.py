"""A database of the first revision, with calls that wait and votes, is brought forward and goes on."""

import asyncio
import sqlite3

import pytest
from alembic import command
from sqlalchemy import create_engine

from remit.audit import State
from remit.errors import AlreadyVoted
from remit.runtime.migrating import migration_config
from tests.runtime.asking import approve, asking, said, waits
from tests.runtime.bank import asks, lost, session

TWO = approve("large", "finance", 2)


def made_old(world) -> None:
    """Turn a database into one of revision 0001: its tables, and of each row what they had."""
    old = world.folder / "old.db"
    engine = create_engine(f"sqlite:///{old}")
    with engine.begin() as connection:
        config = migration_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    with sqlite3.connect(old) as connection:
        connection.execute("ATTACH ? AS now", (str(world.database),))
        tables = [name for (name,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
        for table in {*tables} - {"alembic_version", "sqlite_sequence"}:
            columns = ", ".join(f'"{row[1]}"' for row in connection.execute(f"PRAGMA main.table_info({table})"))
            connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
    connection.close()
    for left in world.folder.glob("remit.db*"):
        left.unlink()
    old.rename(world.database)


@pytest.fixture
def _sealed_as_before(monkeypatch):
    """What was sealed with a call did not say how sure the host is, or what it was told."""
    from remit.runtime import work

    real = work.request
    monkeypatch.setattr(work, "request", lambda of: {name: kept for name, kept in real(of).items() if name not in {"facts", "assurance"}})


@pytest.mark.usefixtures("_sealed_as_before")
async def test_what_waited_in_the_first_revision_goes_on_with_its_votes(world):
    async with asking(world, TWO).running() as runtime:
        call_id = await waits(runtime)
        await runtime.vote(call_id, person="fay", answer="approve")
        gone = await waits(runtime, payment="pay_2")
    made_old(world)
    async with world.running(people=False) as runtime:
        with pytest.raises(AlreadyVoted):
            await runtime.vote(call_id, person="fay", answer="approve")
        assert (await runtime.vote(call_id, person="finn", answer="approve")).state is State.SUCCEEDED
        assert world.bank.effects == ["pay_1"]
        world.time.pass_(hours=5)
        assert (await runtime.wait(gone, 10)).state is State.EXPIRED
        assert (await runtime.verify()).ok


@pytest.mark.usefixtures("_sealed_as_before")
async def test_a_customer_who_was_asked_in_the_first_revision_may_answer(world):
    async with asking(world).running() as runtime:
        await runtime.submit(asks(euros="10.00"), session())
        call_id = (await runtime.submit(asks(euros="5.00"), session())).call_id
    made_old(world)
    async with world.running(people=False) as runtime:
        assert (await runtime.confirm(call_id, subject="kay")).state is State.SUCCEEDED
        assert world.bank.effects == ["pay_1", "pay_1"] and (await runtime.verify()).ok


async def test_of_one_persons_votes_on_one_call_the_first_is_kept(world):
    """The first revision let one person answer several approvals of a call; now each counts once."""
    async with asking(world, approve("a", "finance", 2), approve("b", "finance")).running() as runtime:
        await runtime.people.add("frida", roles=["finance"])
        call_id = await waits(runtime)
        await runtime.vote(call_id, person="fay", answer="approve")
        first, second = (row.id for row in await runtime.parts.store.requirements(call_id))
    made_old(world)
    with sqlite3.connect(world.database) as connection:
        sql = "INSERT INTO vote SELECT tenant, ?, person, answer, role, digest, at + 1 FROM vote WHERE requirement IN (?, ?)"
        voted = connection.execute("SELECT requirement FROM vote").fetchone()[0]
        assert connection.execute(sql, (second if voted == first else first, first, second)).rowcount == 1
    connection.close()
    async with world.running(people=False) as runtime:
        assert said(await runtime.vote(call_id, person="finn", answer="approve")) == ["approval"]
        assert (await runtime.vote(call_id, person="frida", answer="approve")).state is State.SUCCEEDED


@pytest.mark.usefixtures("_sealed_as_before")
async def test_what_nobody_would_have_woken_any_more_is_said_to_be_dead(world):
    """An effect that nothing can look up had no wake-up before there were dead letters."""
    async with world.running() as runtime:
        world.bank.plan.append(lost)
        call_id = (await runtime.submit(asks("cheque"), session())).call_id
    with sqlite3.connect(world.database) as connection:
        connection.execute("UPDATE call SET wake_at = NULL")
    connection.close()
    made_old(world)
    async with world.running(people=False) as runtime:
        world.time.pass_(seconds=31)
        async with asyncio.timeout(10):
            while not await runtime.dead():
                await asyncio.sleep(0.005)
        await runtime.people.add("olga", roles=["operator"])
        assert (await runtime.resolve(call_id, applied=True, by="olga", reason="x")).ok and (await runtime.verify()).ok
