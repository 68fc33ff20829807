"""After a switch is thrown no intent is written, in any process; what was under way is listed; only a person lifts it."""

import asyncio
import contextlib
import sqlite3

import psycopg
import pytest

from remit import Context, Injected, action, keyed
from remit.audit import State
from remit.runtime import phases, statements
from remit.runtime.advance import FIRST
from remit.runtime.people import BadPerson
from remit.runtime.switches import BadSwitch
from tests.runtime.bank import ACTIONS, LARGE, Bank, Payment, Receipt, altered, asks, comes_to, dropped, gated, session, traced_refund


def look(payment="pay_1"):
    return {"name": "look_up", "arguments": {"payment_id": payment}}


@pytest.mark.parametrize(
    ("kind", "target", "stopped"),
    [
        ("action", "refund", {"refund"}),
        ("agent", "bot", {"refund", "look_up"}),
        ("tenant", "", {"refund", "look_up"}),
        ("all", "", {"refund", "look_up"}),
    ],
)
async def test_a_switch_stops_what_it_names_reads_too_and_nothing_else(runtime, world, kind, target, stopped):
    await runtime.switches.throw(kind, target, by="fay", reason="Something is odd.")
    outcomes = {call["name"]: await runtime.submit(call, session()) for call in (asks("refund"), look())}
    assert {name for name, outcome in outcomes.items() if outcome.error and outcome.error.code == "switched_off"} == stopped
    assert {outcome.state for name, outcome in outcomes.items() if name not in stopped} <= {State.SUCCEEDED}
    refused = outcomes["refund"]
    assert (refused.state, refused.error.retry) == (State.DENIED, "never")
    assert "odd" not in refused.message(), "the reason is for people"
    event = (await runtime.view(refused.call_id)).events[-1]
    assert event["body"] == {"code": "switched_off", "switch": f"{kind}:{target or {'tenant': 'default', 'all': '*'}[kind]}"}
    assert len(world.bank.attempts) == 2 - len(stopped) and (await runtime.health()).switches == 1

    assert await runtime.switches.lift(kind, target, person="fay", reason="It was nothing.")
    assert (await runtime.submit(asks("refund"), session())).ok and (await runtime.health()).switches == 0
    assert (await runtime.verify()).ok


async def test_another_agent_goes_on(runtime):
    await runtime.switches.throw("agent", "bot", by="fay", reason="It wanders.")
    assert (await runtime.submit(asks("refund"), session(principal="other"))).ok


async def test_a_call_that_waits_is_refused_when_it_is_agreed_to(runtime, world):
    call_id = (await runtime.submit(asks("transfer", euros=LARGE), session())).call_id
    await runtime.switches.throw("action", "transfer", by="fay", reason="Stop.")
    refused = await runtime.vote(call_id, person="fay", answer="approve")
    assert (refused.state, refused.error.code) == (State.DENIED, "switched_off") and world.bank.attempts == []


async def test_what_was_under_way_is_listed_with_what_became_of_it(runtime, world):
    gate, entered = asyncio.Event(), asyncio.Event()
    world.bank.plan.append(gated(gate, entered))
    under_way = asyncio.create_task(runtime.submit(asks("refund"), session()))
    await entered.wait()
    await runtime.submit(asks("jot", "pay_2") | {"name": "jot", "arguments": {"text": "before"}}, session())
    thrown = await runtime.switches.throw("all", by="fay", reason="Stop.")
    assert [(one.action, one.state) for one in thrown.calls] == [("refund", State.EXECUTING)]
    gate.set()
    assert (await under_way).ok, "what has begun ends"
    assert (await runtime.view(thrown.calls[0].id)).state is State.SUCCEEDED


async def test_an_unknown_effect_is_looked_up_but_not_sent_again(runtime, world):
    world.bank.plan.append(dropped)
    call_id = (await runtime.submit(asks("transfer"), session())).call_id
    thrown = await runtime.switches.throw("action", "transfer", by="fay", reason="Stop.")
    assert [one.id for one in thrown.calls] == [call_id]
    world.time.pass_(seconds=31)
    refused = await comes_to(runtime, call_id, State.DENIED)
    assert refused.error.code == "switched_off" and world.bank.looks == 1 and len(world.bank.attempts) == 1
    assert (await runtime.verify()).ok


async def test_an_effect_that_nobody_can_look_up_is_replayed_once_the_switch_is_lifted(runtime, world):
    world.bank.plan.append(dropped)
    call_id = (await runtime.submit(asks("refund"), session())).call_id
    await runtime.switches.throw("action", "refund", by="fay", reason="Stop.")
    for _ in range(3):
        world.time.pass_(seconds=31)
        await asyncio.sleep(0.05)
    assert (await runtime.get(call_id)).state is State.UNKNOWN and len(world.bank.attempts) == 1
    await runtime.switches.lift("action", "refund", person="fay", reason="Go.")
    world.time.pass_(seconds=31)
    assert (await comes_to(runtime, call_id, State.SUCCEEDED)).ok and len(world.bank.attempts) == 2


async def test_throwing_twice_and_lifting_twice_leave_one_event_each(runtime):
    first, second = await asyncio.gather(*(runtime.switches.throw("action", "refund", by=who, reason=who) for who in ("fay", "sam")))
    assert sorted([first.new, second.new]) == [False, True] and first.switch == second.switch
    assert not (await runtime.switches.throw("action", "refund", by="fay", reason="again")).new
    assert sorted(await asyncio.gather(*(runtime.switches.lift("action", "refund", person="fay", reason="") for _ in range(2)))) == [
        False,
        True,
    ]
    assert await recorded(runtime, "switch.thrown", "switch.lifted") == ["switch.thrown", "switch.lifted"]
    assert await runtime.switches.list() == ()


@pytest.mark.parametrize("who", ["bot", "nobody", "sam"])
async def test_only_an_active_person_lifts(runtime, who):
    await runtime.people.disable("sam")
    await runtime.switches.throw("all", by="local operator", reason="Stop.")
    with pytest.raises(BadPerson):
        await runtime.switches.lift("all", person=who, reason="")
    assert len(await runtime.switches.list()) == 1


@pytest.mark.parametrize(("kind", "target"), [("action", "refnd"), ("action", ""), ("agent", ""), ("tenant", "other"), ("colour", "red")])
async def test_what_is_not_there_cannot_be_stopped(runtime, kind, target):
    with pytest.raises(BadSwitch):
        await runtime.switches.throw(kind, target, by="fay", reason="")


async def test_a_switch_outlives_the_process_and_reaches_another_without_a_call_that_writes(world):
    async with world.running() as one, world.running(people=False) as other:
        await other.switches.throw("action", "look_up", by="fay", reason="Stop.")
        async with asyncio.timeout(10):
            while one.parts.control.epoch != other.parts.control.epoch:
                await asyncio.sleep(0.005)
        assert (await one.submit(look(), session())).error.code == "switched_off"
    async with world.running() as later:
        assert (await later.submit(look(), session())).error.code == "switched_off"


async def test_all_stops_every_tenant_of_the_database_and_a_tenant_only_itself(world, monkeypatch):
    monkeypatch.setattr("remit.runtime.wakeups.POLL", 3_600)  # the other tenant hears of it by the epoch alone
    async with world.running() as one, world.running(tenant="other") as other:
        theirs = session(tenant="other")
        await one.switches.throw("tenant", by="fay", reason="Stop.")
        assert (await other.submit(asks(), theirs)).ok
        await one.switches.throw("all", by="fay", reason="Stop.")
        assert (await other.submit(asks(payment="pay_2"), theirs)).error.code == "switched_off"
        assert [one.kind for one in await other.switches.list()] == ["all"]
        assert await other.switches.lift("all", person="fay", reason="Go.")
        assert (await other.submit(asks(payment="pay_3"), theirs)).ok
        assert (await one.submit(asks(payment="pay_4"), session())).error.code == "switched_off", "its own still stands"


async def recorded(runtime, *wanted) -> list[str]:
    return [kind for (kind,) in await runtime.parts.store.rows("SELECT kind FROM event ORDER BY position") if kind in wanted]


def after_the_switch(world) -> int:
    """Count the intents that were committed behind the first switch, by the database's own order."""
    sql = "SELECT count(*) FROM event WHERE kind = 'call.intended' AND position > (SELECT min(position) FROM event WHERE kind = 'switch.thrown')"
    return world.sql(sql)[0][0]


async def race(world, monkeypatch) -> tuple[int, int]:
    """Let 64 callers ask again and again while two others who share the file throw two switches at once."""
    monkeypatch.setattr("remit.runtime.wakeups.POLL", 3_600)  # the callers' process hears of it by the epoch alone
    async with world.running() as one, world.running(people=False) as two, world.running(people=False) as three:
        done = 0

        async def caller(number):
            nonlocal done
            for again in range(20):
                asked = {"name": "jot", "arguments": {"text": f"{number} {again}"}}
                outcome = await one.submit(asked, session(conversation=f"c{number}"))
                done += outcome.ok

        callers = [asyncio.create_task(caller(number)) for number in range(64)]
        while done < 100:
            await asyncio.sleep(0.001)
        await asyncio.gather(
            two.switches.throw("action", "jot", by="fay", reason="race"), three.switches.throw("agent", "bot", by="sam", reason="race")
        )
        await asyncio.gather(*callers)
        assert await recorded(one, "switch.thrown") == ["switch.thrown"] * 2 and (await one.verify()).ok
        return done, after_the_switch(world)


async def test_no_intent_comes_after_a_switch_however_many_ask_at_once(world, monkeypatch):
    done, late = await race(world, monkeypatch)
    assert done >= 100 and late == 0


async def test_control_without_the_assertion_of_the_epoch_intents_come_after_the_switch(world, monkeypatch):
    altered(monkeypatch, "control.hold", "UPDATE tenant_control SET epoch = epoch WHERE tenant = ? AND ? >= 0")
    assert (await race(world, monkeypatch))[1] > 0


def asking_others(meanwhile):
    """An action whose fact and whose look-up take their time, in which something else happens."""

    async def load(payment_id: str, bank: Injected[Bank]) -> Payment | None:
        await meanwhile()
        return bank.payments.get(payment_id)

    async def look(ctx: Context, bank: Injected[Bank]) -> Receipt | None:
        await meanwhile()
        return bank.find(ctx)

    how = {"effect": keyed("24h", lookup=look, settle="30s"), "key": "traced:{payment_id}", "deadline": "5s", "name": "traced_refund"}
    slow = action(**how, facts={"payment": load}, owns="facts.payment.customer == subject.id")(traced_refund.handler)
    return [slow, *(one for one in ACTIONS if one is not traced_refund)]


@pytest.mark.parametrize("attempts", [0, 2], ids=["while a fact is loaded", "while it is looked up before a replay"])
async def test_a_switch_that_the_process_hears_of_meanwhile_stops_what_was_under_way(world, attempts):
    async def meanwhile():
        if len(world.bank.attempts) == attempts and not await runtime.switches.list():
            await runtime.switches.throw("action", "traced_refund", by="fay", reason="Stop.")
            assert ("action", "traced_refund") in runtime.parts.control.switches

    async with world.running(asking_others(meanwhile)) as runtime:
        world.bank.plan += [dropped, dropped]
        outcome = await runtime.submit(asks("traced_refund"), session())
        while not await runtime.switches.list():
            world.time.pass_(seconds=1)
            await asyncio.sleep(0.01)
        await runtime._journeys.rest()
        assert (await runtime.get(outcome.call_id)).state is (State.UNKNOWN if attempts else State.DENIED)
        assert len(world.bank.attempts) == attempts and after_the_switch(world) == 0
        assert (await runtime.verify()).ok


async def test_control_an_intent_that_holds_the_epoch_of_its_own_moment_passes_such_a_switch(world, monkeypatch):
    altered(monkeypatch, "control.hold", "UPDATE tenant_control SET epoch = epoch WHERE tenant = ? AND ? >= 0")
    with pytest.raises(AssertionError):
        await test_a_switch_that_the_process_hears_of_meanwhile_stops_what_was_under_way(world, 2)


async def test_control_nor_may_a_decision_take_facts_that_were_loaded_under_another_epoch(world, monkeypatch):
    altered(monkeypatch, "control.hold", "UPDATE tenant_control SET epoch = epoch WHERE tenant = ? AND ? >= 0")
    real = phases.judge

    async def unaware(parts, work):
        return await real(parts, work.evolve(epoch=parts.control.epoch))

    monkeypatch.setattr("remit.runtime.journeys.FIRST", tuple(unaware if phase is real else phase for phase in FIRST))
    with pytest.raises(AssertionError):
        await test_a_switch_that_the_process_hears_of_meanwhile_stops_what_was_under_way(world, 0)


@contextlib.contextmanager
def standing_still(world):
    """Keep every transaction of a world's database from beginning."""
    if isinstance(world.database, str):
        with psycopg.connect(world.database, autocommit=True) as other:
            other.execute("SELECT pg_advisory_lock(1::bigint << 32)")  # what each of them shares
            yield
    else:
        with contextlib.closing(sqlite3.connect(world.database)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield


async def side_by_side(runtime, world) -> int:
    """Queue a switch and, behind it, intents that know nothing of it, while the database is locked: they go in one transaction."""
    await runtime.submit({"name": "jot", "arguments": {"text": "makes the customer's key"}}, session())
    journal = runtime.parts.store.journal

    async def queued(number):
        async with asyncio.timeout(4):
            while journal.depth != number:
                await asyncio.sleep(0.001)

    with standing_still(world):
        tasks = [asyncio.create_task(runtime.people.add("ann"))]
        await asyncio.sleep(0.01)
        tasks.append(asyncio.create_task(runtime.switches.throw("action", "jot", by="fay", reason="Stop.")))
        await queued(1)
        texts = [{"name": "jot", "arguments": {"text": str(number)}} for number in range(20)]
        tasks += [asyncio.create_task(runtime.submit(text, session())) for text in texts]
        await queued(21)
    await asyncio.gather(*tasks)
    return after_the_switch(world)


async def test_a_switch_and_an_intent_in_one_group_do_not_pass_side_by_side(runtime, world):
    assert await side_by_side(runtime, world) == 0


async def test_control_were_the_epoch_asserted_before_it_is_raised_they_would(runtime, world, monkeypatch):
    monkeypatch.setitem(statements.ORDER, "control.hold", -1)
    assert await side_by_side(runtime, world) > 0
