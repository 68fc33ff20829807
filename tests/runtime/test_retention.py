"""What was kept long enough is pruned from the front of the log, whatever comes after is proved as before, and holds stop it."""

import pytest

from remit import Retention
from remit.audit import FolderLog, TileLog, folder_fetch, verify
from tests.audit.tampering.looking import verified
from tests.runtime.bank import asks, says, session

KEPT = Retention("200d")
MANY = 150
"""Notes, which are two blocks of leaves and more."""


async def busy(runtime, many=MANY, **more):
    for number in range(many):
        await runtime.submit(says(f"note {number}"), session(**more))


@pytest.fixture
async def running(world):
    async with world.running(retention=KEPT) as runtime:
        yield runtime


async def grown(runtime, world):
    """An old half and a young half of a log."""
    first = await runtime.submit(asks(tag="t1"), session())
    await busy(runtime)
    world.time.pass_(days=201)
    last = await runtime.submit(asks(payment="pay_2", tag="t2"), session())
    await runtime._sequencer.catch_up()
    return first.call_id, last.call_id


def first_leaf(world):
    return world.sql("SELECT min(leaf_index) FROM event")[0][0]


async def test_half_of_a_history_is_pruned_and_the_rest_is_proved(running, world, tmp_path):
    _, last = await grown(running, world)
    before = world.sql("SELECT count(*) FROM event")[0][0]
    done = await running.retention.prune(by="fay")
    assert done.below > 0 and done.below % 256 == 0 and done.events == done.deleted == done.below
    assert first_leaf(world) == done.below
    report = await running.verify()
    assert report.ok, report.findings
    assert report.begins == done.below and report.unchecked > 0
    assert report.entries == before - done.below + 1
    (told,) = [event for event in await running.events(after=done.below, most=1000) if event["kind"] == "retention.pruned"]
    assert told["id"] == done.event and told["body"]["by"] == "fay" and told["body"]["below"] == done.below
    assert (await running.get(last)).result is not None
    again = await running.retention.prune(by="fay")
    assert (again.events, again.deleted) == (0, 0)
    await running.export(tmp_path / "out", disclose=True)
    carried = verify(FolderLog(tmp_path / "out"))
    assert carried.ok and (carried.begins, carried.entries) == (report.begins, report.entries)
    await running.export(tmp_path / "tiles", tiles=True)
    carried = verify(TileLog(folder_fetch(tmp_path / "tiles")))
    assert carried.ok and carried.begins == done.below
    assert verified(world).ok
