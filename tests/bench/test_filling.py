"""A history that was written is what the runtime would have left: the verifier accepts it, and the runtime and its sequencer go on from it."""

from __future__ import annotations

import pytest

from bench import filling
from bench.server import database
from bench.workload import open_runtime, submit_many
from remit.runtime.statements import Write


@pytest.fixture(autouse=True)
def _few_people(monkeypatch):
    monkeypatch.setattr(filling, "PEOPLE", 10)


async def accepted(folder, url, calls):
    """Fill, go on, and see what the verifier says; gives how large the placed part of the log is, before and after."""
    await filling.fill(folder, calls, url)
    runtime = await open_runtime(folder, url=url)
    try:
        head = "SELECT size FROM log_head"
        (before,) = await runtime.parts.store.row(head)
        await submit_many(runtime, 5, 2)
        report = await runtime.verify()
        (after,) = await runtime.parts.store.row(head)
        waiting = await runtime.parts.store.row("SELECT count(*) FROM event WHERE leaf_index IS NULL")
    finally:
        await runtime.close()
    assert report.ok and (report.calls, report.open_calls) == (calls + 5, 0) and waiting == (0,)
    return before, after


async def test_the_verifier_accepts_it_and_the_sequencer_goes_on_on_sqlite(tmp_path):
    before, after = await accepted(tmp_path, "", 120)
    assert before >= 4 * 120 and after >= before + 4 * 5


async def test_the_verifier_accepts_it_and_the_sequencer_goes_on_on_postgresql(tmp_path):
    with database() as url:
        before, after = await accepted(tmp_path, url, 120)
    assert before >= 4 * 120 and after >= before + 4 * 5


async def test_processes_build_what_is_long_and_several_checkpoints_are_signed(tmp_path, monkeypatch):
    monkeypatch.setattr(filling, "FEW", 10)
    monkeypatch.setattr(filling, "AT_ONCE", 20)
    monkeypatch.setattr(filling, "TOGETHER", 40)
    await accepted(tmp_path, "", 90)
    runtime = await open_runtime(tmp_path)
    (signed,) = await runtime.parts.store.row("SELECT count(*) FROM checkpoint")
    people = await runtime.parts.store.row("SELECT count(DISTINCT subject) FROM call")
    await runtime.close()
    assert signed >= 3 and people[0] >= 10


async def test_a_written_call_can_be_read_by_whoever_reads_calls(tmp_path):
    await filling.fill(tmp_path, 3)
    runtime = await open_runtime(tmp_path)
    call = (await runtime.calls(most=1))[0]
    view, outcome = await runtime.view(call.id), await runtime.get(call.id)
    await runtime.close()
    assert [event["kind"] for event in view.events] == ["call.received", "call.decided", "call.intended", "call.succeeded"]
    assert outcome.ok and outcome.result["id"]


async def test_control_a_history_with_one_leaf_in_the_wrong_place_is_not_accepted(tmp_path, monkeypatch):
    rows = filling.Pattern.rows

    def swapped(self, calls):
        built = rows(self, calls)
        first, second, *others = built["event.add"]
        built["event.add"] = [(*first[:-1], second[-1]), (*second[:-1], first[-1]), *others]
        return built

    monkeypatch.setattr(filling.Pattern, "rows", swapped)
    with pytest.raises(AssertionError):
        await accepted(tmp_path, "", 10)


async def test_control_a_history_whose_keys_are_still_free_is_noticed(tmp_path):
    """The effect keys of a history are held: else every later call would find an index that is smaller than a real one."""
    await filling.fill(tmp_path, 10)
    runtime = await open_runtime(tmp_path)
    (held,) = await runtime.parts.store.row("SELECT count(*) FROM effect e JOIN call c ON c.id = e.call AND c.effect_key = e.key")
    row = await runtime.parts.store.row("SELECT tenant, key, ordinal, call FROM effect")
    await runtime.parts.store.commit([Write("effect.free", tuple(row))])
    (left,) = await runtime.parts.store.row("SELECT count(*) FROM effect e JOIN call c ON c.id = e.call AND c.effect_key = e.key")
    await runtime.close()
    assert (held, left) == (10, 9)
