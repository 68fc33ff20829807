"""Pruning is killed at each of its steps: the log verifies as it then is, and the next run goes on to the same end."""

import asyncio
import sys
from dataclasses import replace

import pytest

from remit.runtime import pruning
from remit.runtime.journal import Conflict
from tests.audit.tampering.looking import verified
from tests.runtime.pruning_history import KEPT, busy, first_leaf, grown
from tests.runtime.pruning_process import POINTS

LEFT = {"before": 0, "recorded": 0, "placed": 0, "deleted 1": 10, "deleted 20": 200}
"""The first leaf that is there then."""


async def killed(world, point):
    command = [sys.executable, "-m", "tests.runtime.pruning_process", str(world.folder), str(world.time.nanos), point]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == -9, said.decode()


async def test_wherever_it_is_killed_the_log_verifies_and_the_next_run_goes_on(world):
    async with world.running(retention=KEPT) as runtime:
        await grown(runtime, world)
    assert list(LEFT) == list(POINTS)
    for point in POINTS:  # each goes on where the one before was killed
        await killed(world, point)
        report = verified(world)
        assert report.ok, (point, report.findings)
        assert first_leaf(world) >= LEFT[point]
        if point in {"before", "recorded"}:
            assert (report.begins, first_leaf(world)) == (0, 0), point
    async with world.running(people=False, retention=KEPT) as runtime:
        done = await runtime.retention.prune(by="fay")
        report = await runtime.verify()
        assert done.events == 0 and report.ok
        assert report.begins == first_leaf(world) > 0


async def test_others_write_meanwhile_and_two_may_prune_at_once(world, monkeypatch):
    monkeypatch.setattr(pruning, "TOGETHER", 20)
    async with world.running(retention=KEPT) as runtime, world.running(retention=KEPT, people=False) as other:
        await grown(runtime, world)
        done = await asyncio.gather(runtime.retention.prune(by="fay"), other.retention.prune(by="finn"), busy(runtime, 60), busy(other, 60))
        assert sum(one.events for one in done[:2]) == first_leaf(world) > 0
        report = await runtime.verify()
        assert report.ok, report.findings
        told = world.sql("SELECT count(*) FROM event WHERE kind = 'retention.pruned'")
        assert told == [(1,)], "one of them recorded it"


async def test_a_mark_whose_event_waits_for_its_place_is_not_moved_again(world):
    async with world.running(retention=KEPT) as runtime:
        await grown(runtime, world)
        plan = await runtime.retention.plan()
        await runtime.retention._record(plan, "fay")
        later = replace(plan, epoch=(await runtime.parts.store.control()).epoch)  # found out by another process since, while it waits
        with pytest.raises(Conflict):
            await runtime.retention._record(later, "finn")
        assert (await runtime.retention.prune(by="finn")).events == 0 and first_leaf(world) == plan.below
        assert world.sql("SELECT count(*) FROM event WHERE kind = 'retention.pruned'") == [(1,)]


@pytest.mark.parametrize("point", ["recorded", "deleted 1"])
async def test_what_holds_forbid_later_is_not_what_was_decided_before(world, point):
    async with world.running(retention=KEPT) as runtime:
        first, _ = await grown(runtime, world)
    await killed(world, point)
    async with world.running(people=False, retention=KEPT) as runtime:
        hold = await runtime.holds.place(by="fay", reason="too late", call=first)
        done = await runtime.retention.prune(by="fay")
        assert done.deleted > 0 and hold in await runtime.holds.list()
        assert (await runtime.verify()).ok
