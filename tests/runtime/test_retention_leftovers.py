"""What pruning leaves: every effect stays known by each of its keys, and nothing else that belonged to a pruned call is there."""

import asyncio
import threading
import time
from datetime import timedelta
from typing import ClassVar
from zlib import crc32

import psycopg
import pytest

from remit import Context, Injected, Refused, StepUp, action, keyed
from remit.actions import Keeping, Ledger, LedgerEntry, entered
from remit.audit import State
from remit.errors import CallError, DatabaseTooNew, KeyReused
from remit.runtime import postgres_writer, pruning, sqlite
from remit.runtime.searching_query import Query
from remit.runtime.statements import STATEMENTS
from tests.runtime.asking import PROVE, asking, waits
from tests.runtime.bank import ACTIONS, ALLOW, NOTES, Payment, altered, asks, says, session
from tests.runtime.pruning_history import KEPT, busy, first_leaf, grown
from tests.runtime.test_step_up import Pigeons

BY_KEY = "call.idempotency IS NOT NULL"


@pytest.fixture
async def running(world):
    async with world.running(retention=KEPT) as runtime:
        yield runtime


# keys


async def noted_and_pruned(running, world):
    """Write a note, which holds no effect key, under a key of the caller, and prune it."""
    first = await running.submit(says("hello", tag="t0"), session())
    await grown(running, world)
    assert (await running.retention.prune(by="fay")).events > 0
    return first.call_id


async def test_what_was_done_under_a_callers_key_is_not_done_again(running, world):
    first = await noted_and_pruned(running, world)
    effects = len(world.bank.effects)
    again = await running.submit(says("hello", tag="t0"), session())
    assert (again.call_id, again.state, again.erased) == (first, State.SUCCEEDED, True)
    assert len(world.bank.effects) == effects
    assert (await running.view(first)).arguments == {}
    assert (await running.verify()).ok


async def test_control_without_the_look_at_that_key_it_is_done_twice(running, world, monkeypatch):
    for statement in ("prune.calls", "prune.emptied"):
        assert BY_KEY in STATEMENTS[statement]
        altered(monkeypatch, statement, STATEMENTS[statement].replace(BY_KEY, "1 = 0"))
    first = await noted_and_pruned(running, world)
    effects = len(world.bank.effects)
    assert (await running.submit(says("hello", tag="t0"), session())).call_id != first
    assert len(world.bank.effects) == effects + 1


async def test_another_customer_with_the_same_key_is_told_nothing_of_it(running, world):
    first = await noted_and_pruned(running, world)
    with pytest.raises(KeyReused):
        await running.submit(says("hello"), session(subject="zoe"), idempotency_key="t0")
    other = await running.submit(says("hello", tag="t0"), session(subject="zoe"))
    assert other.error.code == "key_reused" and first not in str(other.to_json())


async def test_what_somebody_means_to_repeat_is_done_though_its_record_was_pruned(running, world):
    first, _ = await grown(running, world)
    await running.retention.prune(by="fay")
    effects = len(world.bank.effects)
    world.bank.payments["pay_1"].customer = "zoe"
    other = await running.submit(asks(euros="5.00", tag="t8"), session(subject="zoe"), repeat_of=first)
    assert (other.state, len(world.bank.effects)) == (State.DENIED, effects), "but for nobody else"
    world.bank.payments["pay_1"].customer = "kay"
    again = await running.submit(asks(euros="5.00", tag="t9"), session(), repeat_of=first)
    assert again.ok and again.call_id != first and len(world.bank.effects) == effects + 1
    assert (await running.verify()).ok


async def test_of_something_else_it_is_not_said_that_it_was_done(running, world):
    first, _ = await grown(running, world)
    await running.retention.prune(by="fay")
    other = await running.submit(asks(euros="5.00", tag="t9"), session())
    assert (other.call_id, other.erased) == (first, True)
    assert other.message().startswith("Nothing was done now: this, or something else in its place")


# what counted, or held, when its call went


async def test_what_was_taken_of_a_limit_goes_though_nobody_takes_of_it_again(world):
    limit = "limits:\n  - id: mine\n    per: subject.id\n    window: 1d\n    at_most: 1000\n    beyond: deny\n"
    world.policies(payments=ALLOW + limit, notes=NOTES)
    world.bank.payments["pay_z"] = Payment(customer="zoe")
    async with world.running(retention=KEPT) as running:
        only = await running.submit(asks("traced_refund", "pay_z", "1.00"), session(subject="zoe"))
        await grown(running, world)
        assert (await running.retention.prune(by="fay")).events > 0
        assert world.sql("SELECT call FROM reservation WHERE call = ?", (only.call_id,)) == []
        assert len(world.sql("SELECT * FROM usage")) == 1, "what was taken last, by somebody else"
        assert (await running.verify()).ok


async def test_what_still_counts_stays_until_its_window_is_over(world):
    limit = "limits:\n  - id: mine\n    per: subject.id\n    window: 300d\n    at_most: 3\n    beyond: deny\n"
    world.policies(payments=ALLOW + limit, notes=NOTES)
    async with world.running(retention=KEPT) as running:
        first, _ = await grown(running, world)
        assert (await running.retention.prune(by="fay")).events > 0
        assert world.sql("SELECT call FROM reservation WHERE call = ?", (first,)) == [(first,)]
        assert (await running.submit(asks("traced_refund", "pay_3"), session())).ok
        assert (await running.submit(asks("traced_refund", "pay_4"), session())).state is State.DENIED, "what was pruned counts"
        world.time.pass_(days=120)
        assert (await running.retention.prune(by="fay")).events == 0
        assert world.sql("SELECT call FROM reservation WHERE call = ?", (first,)) == []


@pytest.mark.parametrize("held", [False, True])
async def test_what_was_proved_in_a_conversation_goes_with_its_last_call(world, held):
    pigeons = Pigeons()
    async with asking(world, PROVE).running(step_up=StepUp(codes=pigeons), retention=KEPT) as running:
        call_id = await waits(running)
        await running.send_code(call_id, subject="kay")
        assert (await running.step_up(call_id, subject="kay", code=pigeons.codes[0])).ok
        assert world.sql("SELECT conversation FROM raised") == [("c1",)]
        await busy(running, 100, conversation="c2")
        world.time.pass_(days=201)
        await busy(running, 1, conversation="c2")
        if held:
            await running.holds.place(by="fay", reason="case 12", subject="kay")
        await running.retention.prune(by="fay")
        assert world.sql("SELECT conversation FROM raised") == ([("c1",)] if held else [])


# the file itself


@pytest.mark.on_files
@pytest.mark.parametrize("judged", ["as it is", "control"])
async def test_what_was_pruned_is_overwritten_in_the_file(running, world, monkeypatch, judged):
    if judged == "control":
        monkeypatch.setattr(sqlite, "OVERWRITTEN", ("erase.",))
    await grown(running, world)
    below = (await running.retention.plan()).below
    # As a leaf has it: of an id alone an index may keep a copy, from when it moved a row to another page.
    gone = [f'"id":"{event}"'.encode() for (event,) in world.sql("SELECT id FROM event WHERE leaf_index < ?", (below,))]
    assert (await running.retention.prune(by="fay")).deleted == len(gone) > 0
    there = world.bytes()
    assert any(event in there for event in gone) is (judged == "control")


# on a server


@pytest.mark.on_servers
@pytest.mark.parametrize("judged", ["as it is", "control"])
async def test_a_call_that_somebody_moves_is_not_deleted_under_them(running, world, monkeypatch, judged):
    noted = (await running.submit(says("hello"), session())).call_id
    await grown(running, world)
    name, deleting = postgres_writer._name, pruning.Pruning._deleting
    if judged == "control":
        monkeypatch.setattr(postgres_writer, "_name", lambda write: 0 if write.statement == "prune.calls" else name(write))
    copied = "INSERT INTO event (tenant, id, call, sequence, kind, at, leaf, hash) SELECT tenant, id || 'x', call, 99, kind, at, leaf, hash"
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with psycopg.connect(world.database) as other:

        def committed():
            with psycopg.connect(world.database, autocommit=True) as looking:
                while not looking.execute(waits).fetchall():
                    time.sleep(0.01)
            other.commit()

        def moved(self, rows, later):
            if rows[0][0] == 0:  # as a reversal of it does, of which the server has everything but the commit
                other.execute("SELECT pg_advisory_xact_lock(%s)", (postgres_writer._CALL | crc32(noted.encode()),))
                other.execute("UPDATE call SET version = version + 1 WHERE id = %s", (noted,))
                other.execute(f"{copied} FROM event WHERE call = %s LIMIT 1", (noted,))
                threading.Thread(target=committed).start()
            return deleting(self, rows, later)

        monkeypatch.setattr(pruning.Pruning, "_deleting", moved)
        assert (await running.retention.prune(by="fay")).events > 0
    there = world.sql("SELECT id FROM call WHERE id = ?", (noted,))
    assert there == ([(noted,)] if judged == "as it is" else [])


# beside the providers


class Plans(Ledger):
    """Keeps of each subscription its plan, who changed it last, and no time."""

    kept: ClassVar = {"plan": Keeping.LATEST}

    def __init__(self) -> None:
        self.now: dict[str, LedgerEntry] = {}

    async def entries_about(self, effect, about):
        if about in self.now:
            yield self.now[about]

    async def entries_since(self, effect, since):
        for entry in ():  # never asked
            yield entry


@action(
    effect=keyed("24h"),
    key="plan:{of}:{to}",
    owns=None,
    owns_reason="a test",
    ledger=entered("plan", about="arguments.of", detail="arguments.to"),
)
async def change_plan(ctx: Context, of: str, to: str, plans: Injected[Plans]) -> None:
    """Change a plan."""
    if to == "dear":
        raise Refused("The card was declined.")
    ctx.reference(of)
    plans.now[of] = LedgerEntry("plan", of, of, call=ctx.call_id, detail=to)


def plan(to):
    return {"name": "change_plan", "arguments": {"of": "sub_1", "to": to}}


async def test_what_a_pruned_call_has_left_at_a_provider_was_not_made_past_the_log(world):
    world.policies(notes=NOTES.replace("[jot, look_up]", "[jot, look_up, change_plan]"))
    plans = Plans()
    settings = {"retention": KEPT, "resources": [world.bank, plans]}
    async with world.running([*ACTIONS, change_plan], **settings) as running:
        first = await running.submit(plan("basic"), session())
        await grown(running, world)
        assert (await running.retention.prune(by="fay")).events > 0
        refused = await running.submit(plan("dear"), session())
        assert (first.ok, refused.state) == (True, State.FAILED)
        await running.people.change_roles("sam", add=["reviewer"])
        report = await running.reconcile(since=timedelta(minutes=1), by="sam")
        assert report.found == 0, report.differences
        plans.now["sub_1"] = LedgerEntry("plan", "sub_1", "sub_1", call=f"{first.call_id}0", detail="basic")
        report = await running.reconcile(since=timedelta(minutes=1), by="sam")
        assert [one.code for one in report.differences] == ["unknown_to_log"], "the control: of that nothing was ever known"


# after an upgrade


async def test_a_process_that_a_newer_version_has_overtaken_prunes_nothing(running, world):
    await grown(running, world)
    world.sql("UPDATE alembic_version SET version_num = '9999'")
    world.sql("UPDATE tenant_control SET epoch = epoch + 1")
    async with asyncio.timeout(20):
        while running.parts.control.outdated is None:
            await asyncio.sleep(0.01)
    with pytest.raises(DatabaseTooNew):
        await running.retention.prune(by="fay")
    assert first_leaf(world) == 0


# in words


async def test_a_decision_that_was_pruned_from_a_call_cut_in_two_is_not_called_none(running, world):
    number = 0
    while world.sql("SELECT count(*) FROM event")[0][0] % 4 != 1:  # a note has four events: let the mark come after a decision
        await running.people.add(f"p{(number := number + 1)}", roles=["support"])
    await busy(running)
    world.time.pass_(days=201)
    await busy(running, 1)
    await running.retention.prune(by="fay")
    ((call_id,),) = world.sql("SELECT call FROM event WHERE call IS NOT NULL GROUP BY call HAVING min(sequence) > 2")
    with pytest.raises(CallError, match="pruned by retention"):
        await running.explain(call_id)


@pytest.mark.parametrize("judged", ["as it is", "control"])
async def test_a_call_cut_in_two_is_found_by_what_is_left_of_it(running, world, monkeypatch, judged):
    async def nothing(_self, _rows):
        return ()

    if judged == "control":
        monkeypatch.setattr(pruning.Pruning, "_later", nothing)
    await running.people.change_roles("sam", add=["operator"])

    async def filled(many):
        for _ in range(many):
            await running.people.add_agent("bot", owner="boss")

    await filled(256 - 6 - world.sql("SELECT count(*) FROM event")[0][0])  # the mark comes between the two that say sam
    waiting = (await running.submit(asks(euros="99.00"), session())).call_id
    await running.amend(waiting, by="sam", arguments={"note": "sorry"})
    await running.cancel(waiting, by="sam")
    await filled(100)
    world.time.pass_(days=201)
    await filled(1)
    assert (await running.retention.prune(by="fay")).below == 256
    left = [event["kind"] for event in (await running.view(waiting)).events]
    assert "call.amended" not in left and left[-1] == "call.cancelled"
    found = [one.call for one in (await running.search(Query(by="sam"))).found if one.call]
    assert found == ([waiting] if judged == "as it is" else [])


async def test_what_a_shadow_has_decided_is_counted_from_where_the_log_begins(running, world):
    tight = {"payments.yaml": ALLOW.replace("minor <= 100000", "minor <= 2000"), "notes.yaml": NOTES}
    await running.bundles.shadow(await running.bundles.propose(tight, author="fay"), by="sam")
    await grown(running, world)
    await running.retention.prune(by="fay")
    found = await running.shadowed()
    assert 0 < found.decided < 152 and found.days > 200
