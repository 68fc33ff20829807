"""What was kept long enough is pruned from the front of the log, whatever comes after is proved as before, and holds stop it."""

from datetime import UTC, datetime, timedelta

import pytest

from remit import DefinitionError, Retention
from remit.audit import FolderLog, State, TileLog, folder_fetch, verify
from remit.errors import AuditError, CallError, CallNotFound, NoUndo, StoreError
from remit.runtime import pruning
from remit.runtime.pruning import NoRetention
from remit.runtime.searching_query import Query
from remit.runtime.sink import Sink, follow
from tests.audit.tampering.looking import verified
from tests.runtime.bank import ALLOW, NOTES, REFUSED, altered, asks, dropped, lost, session
from tests.runtime.pruning_history import KEPT, busy, first_leaf, grown
from tests.runtime.test_undoing import LENDING, lending


@pytest.fixture
async def running(world):
    async with world.running(retention=KEPT) as runtime:
        yield runtime


async def test_half_of_a_history_is_pruned_and_the_rest_is_proved(running, world, tmp_path):
    _, last = await grown(running, world)
    before = world.sql("SELECT count(*) FROM event")[0][0]
    done = await running.retention.prune(by="fay")
    assert done.below > 0 and done.below % 256 == 0 and done.events == done.deleted == done.below
    assert first_leaf(world) == done.below
    report = await running.verify()
    assert report.ok, report.findings
    assert report.begins == done.below and report.unchecked > 0 and report.uncovered == 0
    assert report.entries == before - done.below + 1
    (told,) = [event for event in await running.events(after=done.below, most=1000) if event["kind"] == "retention.pruned"]
    assert told["id"] == done.event and told["body"]["by"] == "fay" and told["body"]["below"] == done.below
    assert (await running.get(last)).result is not None
    again = await running.retention.prune(by="fay")
    assert (again.events, again.deleted) == (0, 0), "and there is nothing to prune a second time"
    await running.people.change_roles("sam", add=["reviewer"])
    report = await running.verify()
    await running.export(tmp_path / "out", disclose=True, by="sam", purpose="audit")
    carried = verify(FolderLog(tmp_path / "out"))
    assert carried.ok and (carried.begins, carried.entries) == (report.begins, report.entries)


async def test_what_belonged_to_it_goes_and_an_effect_is_remembered(running, world):
    first, last = await grown(running, world)
    notes = world.sql("SELECT id FROM call WHERE action = 'jot' ORDER BY created_at")
    await running.retention.prune(by="fay")
    with pytest.raises(CallNotFound, match="was pruned by retention"):
        await running.view(notes[0][0])
    kept = {call for (call,) in world.sql("SELECT call FROM event WHERE call IS NOT NULL")}
    for table, column in {"call": "id", "requirement": "call", "vote": "call", "excluded": "call", "term": "about"}.items():
        left = {one for (one,) in world.sql(f"SELECT {column} FROM {table}") if one.startswith("call_")}
        assert left <= kept | {first}, table
    events = {event for (event,) in world.sql("SELECT id FROM event")}
    assert {event for (event,) in world.sql("SELECT event FROM opening")} <= events
    outcome = await running.get(first)
    assert (outcome.state, outcome.erased, outcome.result) == (State.SUCCEEDED, True, None)
    effects = len(world.bank.effects)
    for again in (asks(tag="t1"), asks(tag="t3")):
        repeated = await running.submit(again, session())
        assert (repeated.call_id, repeated.state, repeated.erased) == (first, State.SUCCEEDED, True)
    assert len(world.bank.effects) == effects, "what was done is not done again because its record was pruned"
    seen = await running.view(first)
    assert (seen.arguments, seen.events) == ({}, ())
    assert "pruned" in (await running.story(first)).stands
    found = await running.search(Query())
    assert first not in {one.call for one in found.found} and last in {one.call for one in found.found}
    assert (await running.subjects.export("kay"))["calls"]
    assert (await running.verify()).ok


async def test_what_else_is_asked_about_it_is_told_in_words(running, world, tmp_path):
    first, _ = await grown(running, world)
    await running.retention.prune(by="fay")
    with pytest.raises(CallNotFound, match="pruned by retention"):
        await running.wait_for_proof(first, 1)
    with pytest.raises(CallError, match="pruned by retention"):
        await running.explain(first)
    with pytest.raises(NoUndo):
        await running.undo(first, by="sam")
    assert (await running.replay(world.folder / "policies", since=timedelta(days=400))).decided > 0
    assert await running.export_events(tmp_path / "events.jsonl", form="jsonl") > 0
    sink = Sink(tmp_path / "sink", begins=await running.retention.begins())
    await follow(lambda after: running.events(after=after, most=50), sink, once=True)
    assert sink.upcoming > first_leaf(world) > 0
    behind = Sink(tmp_path / "behind")
    with pytest.raises(AuditError, match="follow into a new folder"):
        await follow(lambda after: running.events(after=after, most=50), behind, once=True)
    with pytest.raises(CallNotFound, match="pruned by retention"):
        await running.holds.place(by="fay", reason="too late", call=world.sql("SELECT id FROM call WHERE id = ?", (first,))[0][0] + "x")


async def test_the_provider_may_reverse_what_was_pruned_and_its_key_is_free_then(running, world):
    first, _ = await grown(running, world)
    await running.retention.prune(by="fay")
    reversed_ = await running.reversed(first, by="fay", reference="back_1")
    assert reversed_.taken_back == "reversed"
    report = await running.verify()
    assert report.ok, report.findings
    effects = len(world.bank.effects)
    assert (await running.submit(asks(tag="t9"), session())).ok
    assert len(world.bank.effects) == effects + 1, "it may be done again"
    world.time.pass_(days=201)
    await busy(running)
    await running.retention.prune(by="fay")
    assert (await running.verify()).ok


async def test_a_call_that_lies_on_both_sides_of_the_mark_is_seen_with_what_is_left(running, world):
    await grown(running, world)
    done = await running.retention.prune(by="fay")
    cut = "SELECT call FROM event WHERE call IS NOT NULL GROUP BY call HAVING min(sequence) > 1"
    ((call_id,),) = world.sql(cut)
    seen = await running.view(call_id)
    assert seen.pruned and seen.events and "pruned" in (await running.story(call_id)).stands
    assert min(event["place"] for event in seen.events) == done.below
    assert (await running.get(call_id)).result is not None, "it is there until its last event goes"


@pytest.mark.parametrize("first", ["erase", "prune"])
async def test_erasing_and_pruning_go_together(running, world, first):
    call_id, _ = await grown(running, world)
    why = {"reason": "asked", "legal_basis": "GDPR 17", "by": "fay"}
    if first == "prune":
        assert (await running.retention.prune(by="fay")).events > 0
    await running.subjects.erase("kay", **why)
    await running.subjects.complete()
    if first == "erase":
        assert (await running.retention.prune(by="fay")).events > 0
    report = await running.verify()
    assert report.ok, report.findings
    assert report.erased > 0
    assert (await running.get(call_id)).erased
    effects = len(world.bank.effects)
    back = await running.submit(asks(tag="t8"), session())
    assert (back.call_id, back.erased, len(world.bank.effects)) == (call_id, True, effects), "whoever comes back is told that it was done"
    assert "pruned" in (await running.story(call_id)).stands


async def test_nobody_else_is_told_of_what_was_pruned(running, world):
    first, _ = await grown(running, world)
    await running.retention.prune(by="fay")
    world.bank.payments["pay_1"].customer, effects = "zoe", len(world.bank.effects)
    other = await running.submit(asks(tag="t7"), session(subject="zoe"))
    assert other.call_id != first and other.state is State.DENIED and first not in str(other.to_json())
    assert len(world.bank.effects) == effects


@pytest.mark.parametrize("kind", ["subject", "call", "time"])
async def test_a_hold_of_each_kind_stops_it_until_it_is_lifted(running, world, kind):
    first, _ = await grown(running, world)
    told = datetime.fromtimestamp(world.sql("SELECT created_at FROM call WHERE id = ?", (first,))[0][0] / 1e6, UTC)
    on = {"subject": {"subject": "kay"}, "call": {"call": first}, "time": {"since": told, "until": told}}[kind]
    hold = await running.holds.place(by="fay", reason="case 12", **on)
    plan = await running.retention.plan()
    assert plan.events == 0 and (plan.kept_by.why, plan.kept_by.named) == ("hold", hold.id)
    assert (await running.retention.prune(by="fay")).events == 0
    assert first_leaf(world) == 0
    await running.holds.lift(hold.id, by="fay", reason="closed")
    assert (await running.retention.prune(by="fay")).events > 0


async def test_control_without_the_look_at_holds_it_is_pruned(running, world, monkeypatch):
    first, _ = await grown(running, world)
    await running.holds.place(by="fay", reason="case 12", call=first)
    monkeypatch.setattr("remit.runtime.pruning_plan._Keeping._held", lambda *_: None)
    assert (await running.retention.prune(by="fay")).events > 0


async def hold_meanwhile(running, monkeypatch, first):
    """Place a hold between what was found out and what is recorded."""
    found = pruning.planned

    async def planned(parts, retention):
        plan = await found(parts, retention)
        if not await running.holds.list():
            await running.holds.place(by="fay", reason="case 12", call=first)
        return plan

    monkeypatch.setattr(pruning, "planned", planned)


async def test_a_hold_that_is_placed_meanwhile_is_heard(running, world, monkeypatch):
    first, _ = await grown(running, world)
    await hold_meanwhile(running, monkeypatch, first)
    assert (await running.retention.prune(by="fay")).events == 0
    assert first_leaf(world) == 0


async def test_control_without_the_fence_it_is_not_heard(running, world, monkeypatch):
    first, _ = await grown(running, world)
    await hold_meanwhile(running, monkeypatch, first)
    altered(monkeypatch, "prune.begin", "UPDATE tenant_control SET epoch = epoch + 1 WHERE tenant = ? AND epoch <= ? + 1")
    assert (await running.retention.prune(by="fay")).events > 0


async def test_a_call_under_way_keeps_all_that_came_after_it(running, world):
    await running.people.change_roles("sam", add=["operator"])
    world.bank.plan.append(lost)
    unsure = await running.submit(asks("cheque", "pay_9"), session())
    assert unsure.state is State.UNKNOWN
    await grown(running, world)
    plan = await running.retention.plan()
    assert (plan.events, plan.kept_by.why, plan.kept_by.named) == (0, "under_way", unsure.call_id)
    await running.resolve(unsure.call_id, applied=True, by="sam", reason="looked")
    plan = await running.retention.plan()
    assert (plan.events, plan.kept_by.why, plan.kept_by.call) == (0, "class", unsure.call_id), "it has just ended"
    world.time.pass_(days=201)
    assert (await running.retention.prune(by="fay")).events > 0


@pytest.mark.parametrize("judged", ["as it is", "control"])
async def test_what_is_being_undone_is_kept_however_old_it_is(world, monkeypatch, judged):
    if judged == "control":
        monkeypatch.setattr("remit.runtime.pruning_plan._UNDONE", "SELECT undoes, id FROM call WHERE tenant = ? AND 1 = 0")
    async with lending(world).running(LENDING, retention=KEPT) as running:
        first = await running.submit(asks("lend"), session())
        world.time.pass_(days=201)
        world.bank.plan.append(dropped)
        world.bank.look_fails = ConnectionError("nobody answers")
        undoing = await running.undo(first.call_id, by=session())
        assert undoing.state is State.UNKNOWN
        kept = (await running.retention.plan()).kept_by
        expected = (
            ("under_way", undoing.call_id, first.call_id) if judged == "as it is" else ("under_way", undoing.call_id, undoing.call_id)
        )
        assert (kept.why, kept.named, kept.call) == expected


async def test_the_longest_period_of_what_is_in_front_rules(world):
    async with world.running(retention=Retention("200d", {"people": "400d"})) as running:
        await grown(running, world)
        plan = await running.retention.plan()
        assert (plan.events, plan.kept_by.why, plan.kept_by.named) == (0, "class", "people")
        world.time.pass_(days=200)
        assert (await running.retention.plan()).events > 0


@pytest.mark.on_files
@pytest.mark.parametrize(("default", "periods"), [("182d", {}), ("400d", {"log": "30d"}), ("1h", {})])
def test_less_than_half_a_year_is_refused(default, periods):
    with pytest.raises(DefinitionError, match="the floor is 183"):
        Retention(default, periods)


@pytest.mark.on_files
def test_what_is_no_class_is_refused_and_half_a_year_is_enough():
    with pytest.raises(DefinitionError, match="no class cats"):
        Retention("400d", {"cats": "400d"})
    assert Retention("183d").of("calls").days == 183


async def test_nothing_is_pruned_where_nothing_is_declared(world):
    async with world.running() as running:
        with pytest.raises(NoRetention):
            await running.retention.prune(by="fay")


# cut off


async def test_what_was_cut_off_between_batches_goes_on(running, world, monkeypatch):
    await grown(running, world)
    monkeypatch.setattr(pruning, "TOGETHER", 100)
    deleting = pruning.Pruning._deleting
    calls = []

    def cut_off(self, *rows):
        calls.append(rows)
        if len(calls) == 3:
            raise RuntimeError("the process ends here")
        return deleting(self, *rows)

    monkeypatch.setattr(pruning.Pruning, "_deleting", cut_off)
    with pytest.raises(RuntimeError):
        await running.retention.prune(by="fay")
    assert first_leaf(world) == 200
    report = await running.verify()
    assert report.ok and report.begins > 200, "what lies before the mark is of no account"
    done = await running.retention.prune(by="fay")
    assert (done.events, done.deleted) == (0, report.begins - 200)
    assert first_leaf(world) == report.begins
    assert (await running.verify()).ok


async def test_what_was_cut_off_before_the_event_has_its_place_is_all_there(running, world, monkeypatch):
    await grown(running, world)

    async def cut_off(_self, _event):
        raise RuntimeError("the process ends here")

    with monkeypatch.context() as patched:
        patched.setattr(pruning.Pruning, "_placed", cut_off)
        with pytest.raises(RuntimeError):
            await running.retention.prune(by="fay")
    assert first_leaf(world) == 0
    done = await running.retention.prune(by="fay")
    assert done.events == 0 and done.deleted == first_leaf(world) > 0
    assert (await running.verify()).ok


async def nothing():
    """Be a sequencer that finds nothing to place."""
    return []


async def test_the_log_begins_at_the_mark_once_that_is_signed_and_not_before(running, world, monkeypatch):
    await grown(running, world)
    before = verified(world)
    plan = await running.retention.plan()
    with monkeypatch.context() as patched:
        patched.setattr(running._sequencer, "_waiting", nothing)
        await running.retention._record(plan, "fay")
        report = verified(world)
        assert report.ok and report.begins == 0 and report.entries == before.entries + 1
    await running._sequencer.catch_up()
    report = verified(world)
    assert report.ok and report.begins == plan.below


async def test_nothing_is_deleted_where_the_sequencer_does_not_come(running, world, monkeypatch):
    await grown(running, world)
    plan = await running.retention.plan()
    monkeypatch.setattr(running._sequencer, "_waiting", nothing)
    await running.retention._record(plan, "fay")
    monkeypatch.setattr(pruning, "PLACED_WITHIN", 0.3)
    with pytest.raises(StoreError, match="nothing is deleted yet"):
        await running.retention.prune(by="fay")
    assert first_leaf(world) == 0


async def test_a_second_time_it_goes_further(running, world, tmp_path):
    await grown(running, world)
    first = await running.retention.prune(by="fay")
    await busy(running)
    world.time.pass_(days=201)
    await running.submit(asks(payment="pay_3"), session())
    second = await running.retention.prune(by="fay")
    assert second.below > first.below and second.plan.former == first.below
    report = await running.verify()
    assert report.ok, report.findings
    assert report.begins == second.below == first_leaf(world)
    await running.export(tmp_path / "tiles", tiles=True)
    assert verify(TileLog(folder_fetch(tmp_path / "tiles"))).ok


async def test_the_guards_stand_at_the_mark(running, world):
    await grown(running, world)
    done = await running.retention.prune(by="fay")
    with pytest.raises(REFUSED, match="never changed or deleted"):
        world.sql("DELETE FROM event WHERE leaf_index = ?", (done.below,))
    await world.change("DELETE FROM event WHERE leaf_index = ?", done.below)
    assert not verified(world).ok, "the control: it can be deleted where they are put aside, and is found"


async def test_what_does_not_verify_is_not_pruned(running, world):
    await grown(running, world)
    await world.change("UPDATE event SET leaf = hash WHERE leaf_index = 20")
    with pytest.raises(AuditError, match="not those that were signed"):
        await running.retention.prune(by="fay")
    assert first_leaf(world) == 0


async def test_a_log_of_limits_and_calls_across_the_mark_has_no_false_finding(world):
    limit = "limits:\n  - id: mine\n    per: subject.id\n    window: 1d\n    at_most: 1000\n    beyond: deny\n"
    world.policies(payments=ALLOW + limit, notes=NOTES)
    async with world.running(retention=KEPT) as running:
        await busy(running, 10)
        for number in range(1, 50):
            await running.submit(asks("traced_refund", f"pay_{number}", "1.00"), session())
        world.time.pass_(days=201)
        for number in range(50, 60):
            await running.submit(asks("traced_refund", f"pay_{number}", "1.00"), session())
        done = await running.retention.prune(by="fay")
        report = await running.verify()
        assert done.events and report.ok, report.findings
        assert report.unchecked > 1
        left = world.sql("SELECT count(*) FROM reservation")[0][0]
        assert 10 <= left < 59
