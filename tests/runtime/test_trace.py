"""No state changes without an event in the same transaction, and no event without its place in its call's chain."""

import asyncio
import random
import re
from collections import defaultdict

import orjson
import pytest

from remit import Refused, Retryable, Unsure
from remit.audit import FINAL, State, leaf_hash
from remit.errors import CallError
from tests.runtime.bank import LARGE, Store, asks, dropped, good, lost, raising, says, session


class Watch:
    """Follow every statement of a connection, and note each committed change of a state that came without its event."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.wrong: list[str] = []
        self.changes = 0
        self._changed: dict[str, str] = {}
        self._told: dict[str, int] = defaultdict(int)

    def __call__(self, sql: str) -> None:
        if found := re.match(r"INSERT INTO call \(.*?\) VALUES \('default', '(call_\w+)', \d+, '(\w+)'", sql):
            self._changed[found[1]] = found[2]
        elif sql.startswith("UPDATE call SET version"):
            call = re.search(r"WHERE tenant = 'default' AND id = '(call_\w+)' AND version = \d+$", sql)
            state = re.search(r", state = '(\w+)'", sql)
            assert call and state, sql
            self._changed[call[1]] = state[1]
        elif found := re.match(r"INSERT INTO event \(.*?\) VALUES \('default', 'evt_\w+', '(call_\w+)'", sql):
            self._told[found[1]] += 1
        elif sql == "COMMIT":
            for call_id, state in self._changed.items():
                if self.states.get(call_id) != state:
                    self.changes += 1
                    if not self._told[call_id]:
                        self.wrong.append(f"{call_id}: {self.states.get(call_id)} -> {state}")
                self.states[call_id] = state
        if sql in {"COMMIT", "ROLLBACK"}:
            self._changed, self._told = {}, defaultdict(int)


HOW = [
    good,
    good,
    lost,
    dropped,
    raising(Refused("no", definite=True)),
    raising(Retryable("429")),
    raising(Unsure("?")),
    raising(ValueError()),
]


async def anything(runtime, world, chance: random.Random) -> None:
    """Do one thing that a model, a member of staff, a customer or time may do."""
    calls = await runtime.calls(most=60)
    some = chance.choice(calls).id if calls else "call_none"
    name, payment = chance.choice(["refund", "traced_refund", "transfer", "cheque"]), f"pay_{chance.randint(1, 12)}"
    euros = chance.choice(["10.00", "11.00", LARGE, "2000.00"])
    world.bank.plan.append(chance.choice(HOW))
    try:
        match chance.randint(0, 9):
            case 0 | 1 | 2:
                await runtime.submit(asks(name, payment, euros), session(subject=chance.choice(["kay", "kay", "zoe"])))
            case 3:
                await runtime.submit(says("note", tag=chance.choice([None, "t1", "t2"])), session())
            case 4:
                await runtime.submit(
                    chance.choice([{"name": "none"}, asks(payment=5), {"name": "look_up", "arguments": {"payment_id": payment}}]), session()
                )
            case 5:
                await runtime.vote(
                    some, person=chance.choice(["fay", "sam", "boss"]), answer=chance.choice(["approve", "approve", "reject"]), reason="so"
                )
            case 6:
                await runtime.confirm(some, subject=chance.choice(["kay", "zoe"]), answer=chance.choice(["approve", "reject"]))
            case 7:
                await runtime.cancel(some, by="fay", reason="enough")
            case 8:
                world.time.pass_(seconds=chance.choice([1, 5, 31, 3_600]))
            case 9:
                world.bank.payments[payment].disputed = chance.random() < 0.3
    except CallError:
        pass


async def busy(runtime, world, seed: int, steps: int = 120) -> None:
    chance = random.Random(seed)
    for _ in range(steps):
        await asyncio.gather(*(anything(runtime, world, chance) for _ in range(chance.choice([1, 1, 3]))))


@pytest.mark.on_files("what a connection runs is watched through sqlite's own trace")
@pytest.mark.parametrize("seed", range(4))
async def test_every_change_of_a_state_is_an_event_in_the_same_transaction(world, seed):
    async with world.running() as runtime:
        watch = Watch()
        runtime.parts.store.journal._writer._connection.set_trace_callback(watch)
        await busy(runtime, world, seed)
        await runtime._journeys.rest()
        runtime.parts.store.journal._writer._connection.set_trace_callback(None)
        assert watch.wrong == [] and watch.changes > 60
        assert {call.id: call.state for call in await runtime.calls(most=1_000)} == watch.states
        await told_by_events(runtime)
        report = await runtime.verify()
        assert report.ok, report.findings
        assert report.calls == len(watch.states) and report.reproduced > 30


async def told_by_events(runtime) -> None:
    """Hold every call's row against the chain of its events."""
    store = runtime.parts.store
    for call_id, state, sequence, last_leaf in await store.rows("SELECT id, state, sequence, last_leaf FROM call"):
        events = await store.rows("SELECT sequence, leaf, hash FROM event WHERE call = ? ORDER BY sequence", (call_id,))
        assert [number for number, _, _ in events] == list(range(1, sequence + 1))
        now, previous = "new", None
        for _, leaf, stored in events:
            members = orjson.loads(leaf)
            assert members.get("previous") == previous and leaf_hash(leaf) == stored
            if change := members.get("change"):
                assert change[0] == now
                now = change[1]
            previous = stored.hex()
        assert (now, previous) == (state, last_leaf.hex())


def test_control_the_watch_sees_a_state_that_changed_in_silence():
    watch = Watch()
    for sql in (
        "BEGIN IMMEDIATE",
        "UPDATE call SET version = 2, state = 'succeeded' WHERE tenant = 'default' AND id = 'call_1' AND version = 1",
        "COMMIT",
    ):
        watch(sql)
    assert watch.wrong == ["call_1: None -> succeeded"]


async def test_control_a_row_that_was_changed_by_hand_is_found_out(world):
    async with world.running() as runtime:
        await runtime.submit(asks(), session())
        assert await world.change("UPDATE call SET state = 'failed'") == 1
        with pytest.raises(AssertionError):
            await told_by_events(runtime)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE event SET leaf = blob(replace(text(leaf), 'succeeded', 'succeedec')) WHERE kind = 'call.succeeded'",
        "UPDATE event SET leaf = blob(replace(text(leaf), 'EUR', 'USD')) WHERE kind = 'call.received'",
        "UPDATE event SET hash = x'00' WHERE kind = 'call.received'",
        "UPDATE event SET leaf_index = 'first' WHERE kind = 'call.received'",
        "UPDATE event SET leaf_index = NULL WHERE kind = 'call.intended'",
        "DELETE FROM event WHERE kind = 'call.intended'",
        "DELETE FROM checkpoint",
        "UPDATE checkpoint SET note = 'nothing'",
        "UPDATE opening SET blob = x'00'",
        "UPDATE opening SET blob = 'text'",
        "UPDATE bundle SET sources = '{'",
        "UPDATE bundle SET sources = replace(sources, '100000', '200000')",
    ],
)
async def test_control_what_was_changed_by_hand_is_a_finding_and_never_an_exception(world, sql):
    async with world.running() as runtime:
        await runtime.submit(asks(), session())
        before = await runtime.verify()
        assert before.ok and before.reproduced == 1
    assert await world.change(sql.replace("'first'", "99") if Store.server else sql)  # a server takes no text for a number
    async with world.running() as runtime:
        after = await runtime.verify()
        assert not after.ok or after.reproduced == 0, "found out, or said not to have been checked"


async def test_what_has_ended_never_moves_again(world):
    async with world.running() as runtime:
        await busy(runtime, world, seed=9, steps=60)
        ended = {call.id: call.version for call in await runtime.calls(most=1_000) if call.state in FINAL}
        world.time.pass_(days=3)
        await asyncio.sleep(0.1)
        for call_id in ended:
            await runtime._journeys.advance(call_id)
        after = {call.id: call.version for call in await runtime.calls(most=1_000)}
        assert {call_id: after[call_id] for call_id in ended} == ended and len(ended) > 20


async def test_nothing_is_left_in_between_once_time_has_passed(world):
    """Whatever happened, every call ends, waits for a person, or is said to be unknown."""
    async with world.running() as runtime:
        await busy(runtime, world, seed=11)
        world.bank.plan.clear()
        for _ in range(12):
            world.time.pass_(hours=5)
            await asyncio.sleep(0.03)
        async with asyncio.timeout(10):
            while {call.state for call in await runtime.calls(most=1_000)} - FINAL - {State.UNKNOWN}:
                world.time.pass_(hours=5)
                await asyncio.sleep(0.03)
        unknown = [call for call in await runtime.calls(most=1_000) if call.state is State.UNKNOWN]
        assert {call.action for call in unknown} <= {"refund", "cheque", "jot"}, "those that nobody can look up"
