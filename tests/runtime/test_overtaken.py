"""A process that a newer Remit has overtaken begins nothing more, and says why; one that starts later is refused."""

import asyncio

import pytest

from remit.audit import State
from remit.errors import DatabaseTooNew, StoreError
from remit.runtime import opening
from remit.runtime.migrating import LATEST, upgrade
from tests.runtime.bank import asks, session
from tests.runtime.further import ADDS, address, one_more, rows, write

PAYMENTS = [f"pay_{number}" for number in range(1, 60)]


async def until(true):
    async with asyncio.timeout(60):
        while not await true():
            await asyncio.sleep(0.01)


async def _overtaken(world, forward):
    """Ask for one payment after another while the database is brought forward; gives the refusal, what was told, and the intents since."""
    said = []

    async def asking(runtime):
        for payment in PAYMENTS:
            try:
                said.append((await runtime.submit(asks("refund", payment), session())).state)
            except StoreError as error:
                return error
            await asyncio.sleep(0.1)  # else all would be done before a busy machine has brought it forward
        return None

    async def begun():
        return len(said) > 5

    async with world.running() as runtime:
        task = asyncio.create_task(asking(runtime))
        await until(begun)
        await asyncio.to_thread(forward)
        before = _intents(world)
        return await task, said, _intents(world) - before


def _intents(world):
    return rows(world.database, "SELECT count(*) FROM event WHERE kind = 'call.intended'")[0][0]


async def test_it_notices_and_begins_nothing_more(world, monkeypatch, tmp_path):
    monkeypatch.setattr("remit.runtime.wakeups.POLL", 3_600)  # the intent itself is what notices
    one_more(tmp_path, monkeypatch, ADDS)
    refused, said, intents = await _overtaken(world, lambda: upgrade(address(world.database)))
    assert isinstance(refused, DatabaseTooNew)
    assert "while this process ran" in str(refused) and "revision 9999" in str(refused) and "upgrade Remit" in str(refused)
    assert intents == 0
    monkeypatch.setattr(opening, "LATEST", "9999")
    async with world.running(people=False) as runtime:
        assert len(world.bank.effects) == len(said) == _intents(world)
        assert {call.state for call in await runtime.calls(most=100)} == {State.SUCCEEDED}
        assert (await runtime.verify()).ok


async def test_control_without_the_epoch_it_would_go_on(world, monkeypatch):
    monkeypatch.setattr("remit.runtime.wakeups.POLL", 3_600)
    refused, _, intents = await _overtaken(world, lambda: write(world.database, "UPDATE alembic_version SET version_num = '9999'"))
    assert refused is None
    assert intents > 0


async def test_it_refuses_everything_from_then_on_and_another_process_gives_events_their_places(world, monkeypatch, tmp_path):
    one_more(tmp_path, monkeypatch, ADDS)

    async def noticed():
        return runtime.parts.control.outdated is not None

    async def placed():
        return await newest.parts.store.row("SELECT 1 FROM event WHERE leaf_index IS NULL") is None

    async with world.running() as runtime:
        waiting = await runtime.submit(asks("refund", "pay_1", "99.00"), session())
        await asyncio.to_thread(upgrade, address(world.database))
        await until(noticed)
        for refused in (runtime.health(), runtime.vote(waiting.call_id, person="fay", answer="approve"), runtime.submit(asks(), session())):
            with pytest.raises(DatabaseTooNew):
                await refused
        monkeypatch.setattr(opening, "LATEST", "9999")
        async with world.running(people=False) as newest:
            assert (await newest.vote(waiting.call_id, person="fay", answer="approve")).state is State.SUCCEEDED
            await until(placed)


async def test_one_that_starts_later_is_refused(world):
    write(world.database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseTooNew, match=f"revision 9999, this one knows {LATEST}"):
        await world.runtime().start()
