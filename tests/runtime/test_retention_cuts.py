"""A log in which all kinds of things happened has no false finding wherever it begins, and a forged one is found there, too."""

from dataclasses import replace

import orjson
import pytest

from remit.audit import RightEdge, leaf_hash, verify
from remit.runtime.logs import DatabaseLog
from tests.runtime.bank import asks, lost, session
from tests.runtime.limited import limited
from tests.runtime.test_undoing import BUDGET, LENDING, lending

LARGE = "60.00"


class Cut:
    """A log that begins behind the first so many leaves."""

    def __init__(self, log, rows, below):
        self.origin, self.log_id, self.public_key = log.origin, log.log_id, log.public_key
        self._rows, self._below, self._notes, self._bundles = rows, below, [*log.checkpoints()], log.bundles()

    @property
    def begins(self):
        edge = RightEdge()
        for row in self._rows[: self._below]:
            edge.append(leaf_hash(row.leaf))
        return edge

    def entries(self):
        return iter(self._rows[self._below :])

    def checkpoints(self):
        return iter(self._notes)

    def bundles(self):
        return self._bundles


async def rich(world, runtime):
    """Let calls be done, undone, reversed, denied for a limit, lost; people be held and erased; policies change."""
    for number in range(1, 6):
        await runtime.submit(asks("lend", f"pay_{number}", "9.00"), session())
    first, second, third, *_ = [one.id for one in await runtime.calls(action="lend")]
    await runtime.undo(first, by=session())
    await runtime.submit(asks("lend", "pay_5", "9.00"), session())
    await runtime.reversed(second, by="sam", reference="back_1")
    await runtime.submit(asks("lend", "pay_7", "99.00"), session())
    hold = await runtime.holds.place(by="fay", reason="case 12", call=third)
    world.policies(payments=limited(BUDGET, actions="[lend, keep, transfer]", rules="  - {id: further, then: allow}\n"))
    await runtime.reload_policies(by="fay")
    world.bank.plan.append(lost)
    unsure = await runtime.submit(asks("keep", "pay_8", "2.00"), session())
    await runtime.people.change_roles("sam", add=["operator"])
    world.time.pass_(minutes=5)
    await runtime.resolve(unsure.call_id, applied=False, by="sam", reason="looked")
    await runtime.holds.lift(hold.id, by="fay", reason="closed")
    await runtime.submit(asks("transfer", "pay_9", "1.00"), session())
    await runtime.subjects.erase("kay", reason="asked", legal_basis="GDPR 17", by="fay")
    if runtime.parts.store.queue is not None:
        await runtime.subjects.complete()
    world.time.pass_(hours=2)
    world.bank.payments["pay_20"].customer = "zoe"
    await runtime.submit(asks("lend", "pay_20", "9.00"), session(subject="zoe"))
    await runtime._sequencer.catch_up()


@pytest.fixture
async def told(world):
    async with lending(world).running(LENDING) as runtime:
        await rich(world, runtime)
        report = await runtime.verify()
        assert report.ok, report.findings
        with DatabaseLog(runtime.parts) as log:
            yield log, [*log.entries()]


@pytest.mark.on_files
async def test_wherever_it_begins_nothing_is_found_but_that_no_event_says_so(told):
    log, rows = told
    kinds = {orjson.loads(row.leaf)["kind"] for row in rows}
    assert {"call.undone", "effect.reversed", "limit.released", "hold.lifted", "erasure.completed", "policy.activated"} <= kinds
    for below in range(1, len(rows)):
        report = verify(Cut(log, rows, below))
        assert [one.code for one in report.findings] == ["pruning_unrecorded"], (below, report.findings)
        assert report.begins == below and report.uncovered == 0


@pytest.mark.on_files
async def test_control_it_is_for_where_it_begins_that_nothing_is_found(told):
    log, rows = told
    found = set()

    for below in range(1, len(rows), 3):
        whole = Cut(log, [replace(row, index=place) for place, row in enumerate(rows[below:])], 0)
        found |= {one.code for one in verify(whole).findings}
    assert {"event_missing", "series_gap", "undo_unrecorded", "hold_unknown", "log_truncated"} <= found


@pytest.mark.on_files
async def test_a_leaf_that_was_changed_is_found_wherever_it_begins(told):
    log, rows = told
    for below in range(1, len(rows) - 1, 5):
        changed = [*rows]
        changed[-1] = replace(changed[-1], leaf=changed[-1].leaf.replace(b'"at":"2', b'"at":"1'))
        assert {"leaf_changed", "root_differs"} <= {one.code for one in verify(Cut(log, changed, below)).findings}
