"""Several processes on one server, all at one limit: what fits passes, nothing is done twice, and whoever was in the way is tried again."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections import Counter

import psycopg
import pytest

from remit.audit import State
from remit.errors import StoreError
from remit.runtime import journal, postgres_writer
from remit.runtime.clock import Clock
from remit.runtime.statements import Write
from tests.runtime.asking import approve
from tests.runtime.bank import LARGE, NOTES, Store, World, asks, session
from tests.runtime.limited import CAP, held, limited
from tests.runtime.rushing_process import world_of
from tests.runtime.test_processes import Other, effects
from tests.runtime.test_switches import standing_still

LARGER = approve("large", "finance", when='arguments.amount.currency == "EUR" && arguments.amount.minor > 5000')
BUDGET, MOST = "payments/budget:EUR", 10_000
RUSHES = 8


@pytest.fixture(autouse=True)
def _on_a_server(monkeypatch):
    monkeypatch.setattr(Store, "server", True)


@contextlib.asynccontextmanager
async def processes(folder, count, variant=""):
    """Run so many processes that are ready to rush at one limit, beside one that looks on."""
    World.make(folder, payments=limited(CAP, rules=LARGER), notes=NOTES)
    async with world_of(folder).running(clock=Clock) as runtime:
        for number in range(12):
            await runtime.submit(asks("transfer", f"large_{number}", "60.00"), session())
        with contextlib.ExitStack() as running:
            others = []
            for number in range(count):
                command = [sys.executable, "-m", "tests.runtime.rushing_process", str(folder), str(number), variant]
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
                others.append(Other(running.enter_context(subprocess.Popen(command, **pipes))))
            assert {await other.says() for other in others} == {"ready"}
            yield runtime, others
            for other in others:
                other.told("end")


async def rushed(others) -> Counter[str]:
    """Let all of them rush at once; gives what they were told."""
    for other in others:
        other.told("go")
    told: Counter[str] = Counter()
    for other in others:
        told += Counter(json.loads(await other.says()))
    return told


async def spent(runtime) -> int:
    """Add up in cents what was done."""
    done = await runtime.calls(state="succeeded", most=10_000)
    amounts = [(await runtime.view(call.id)).arguments["amount"]["minor"] for call in done]
    return sum(amounts)


@pytest.mark.parametrize("count", [2, 4])
async def test_processes_that_rush_at_one_limit_keep_it_exactly(tmp_path, count):
    async with processes(tmp_path, count) as (runtime, others):
        told = await rushed(others)
        async with asyncio.timeout(20):
            while await runtime.calls(state="executing"):
                await asyncio.sleep(0.05)
        assert {told[f"ask {state}"] > 0 for state in ("succeeded", "denied")} == {True}, told
        assert {name.split()[0] for name in told if " " in name} >= {"ask", "vote", "amend", "cancel"}, told
        assert max(effects(tmp_path).values()) == 1, "nothing is done twice"
        assert len(effects(tmp_path)) == len(await runtime.calls(state="succeeded", most=10_000))
        assert await spent(runtime) == (await held(runtime))[BUDGET] <= MOST
        assert MOST - (await held(runtime))[BUDGET] < 100 * 51, "what was left did not fit"
        report = await runtime.verify()
        assert report.ok, report.findings


async def test_control_without_the_locks_of_a_series_they_pass_it_and_the_verifier_sees_it(tmp_path):
    for number in range(RUSHES):  # whether two of them meet is theirs
        (folder := tmp_path / str(number)).mkdir()
        async with processes(folder, 4, "unlocked") as (runtime, others):
            await rushed(others)
            if not (await runtime.verify()).ok:
                return
    raise AssertionError(f"the limit was kept in {RUSHES} rushes")


# whoever is in the way


@pytest.fixture
def world(tmp_path):
    return World.make(tmp_path)


async def two_waiting(runtime) -> list[str]:
    """Let two calls wait; gives them in the order of their locks."""
    calls = [(await runtime.submit(asks("transfer", payment, LARGE), session())).call_id for payment in ("pay_1", "pay_2")]
    return sorted(calls, key=lock_of)


def lock_of(call_id: str) -> int:
    return postgres_writer._name(Write("call.move", (call_id, 0)))


async def crossed(runtime, world) -> list[object]:
    """Cancel two calls in one group, while another session takes their locks in the other order."""
    first, second = await two_waiting(runtime)
    async with await psycopg.AsyncConnection.connect(world.database) as other:
        await other.execute("SELECT pg_advisory_xact_lock(%s)", (lock_of(second),))
        with standing_still(world):
            before = asyncio.create_task(runtime.people.add("ann"))
            await until(lambda: waits_for_locks(world) >= 1)
            cancelling = asyncio.gather(*(runtime.cancel(one, by="fay") for one in (first, second)), return_exceptions=True)
            await until(lambda: runtime.parts.store.journal.depth >= 2)
        await before
        await until(lambda: waits_for_locks(world) >= 1)
        await other.execute("SELECT pg_advisory_xact_lock(%s)", (lock_of(first),))  # now each waits for the other
        await other.commit()
    return await cancelling


async def until(true) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


def waits_for_locks(world) -> int:
    here = "JOIN pg_database d ON d.oid = database AND d.datname = current_database()"
    return world.sql(f"SELECT count(*) FROM pg_locks {here} WHERE locktype = 'advisory' AND NOT granted")[0][0]


async def test_a_group_that_meets_a_deadlock_is_run_again_one_by_one(runtime, world, monkeypatch):
    seen, honest = [], postgres_writer._refused

    def noted(error):
        seen.append(type(error).__name__)
        return honest(error)

    monkeypatch.setattr(postgres_writer, "_refused", noted)
    outcomes = await crossed(runtime, world)
    assert seen == ["DeadlockDetected"], "the control: there was one, and it befell us"
    assert [outcome.state for outcome in outcomes] == [State.CANCELLED] * 2
    assert (await runtime.verify()).ok


async def test_control_taken_for_a_refusal_it_would_be_lost(runtime, world, monkeypatch):
    honest = postgres_writer._refused
    deadlock = psycopg.errors.DeadlockDetected
    monkeypatch.setattr(postgres_writer, "_refused", lambda error: StoreError() if isinstance(error, deadlock) else honest(error))
    monkeypatch.setattr(journal.Journal, "_commit_group", alone)
    assert [type(outcome) for outcome in await crossed(runtime, world)] == [StoreError] * 2


async def alone(self, group):
    """Tell a whole group of its error, instead of running it one by one."""
    try:
        await self._transact([member.change for member in group])
    except StoreError as error:
        journal._tell(group, error)
    else:
        journal._tell(group, None)


SERIALIZE = """
CREATE SEQUENCE refusals;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('refusals') <= 3 THEN RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON call FOR EACH ROW EXECUTE FUNCTION refuse();
"""


async def test_what_can_not_be_serialized_is_run_again(runtime, world):
    with psycopg.connect(world.database, autocommit=True) as connection:
        connection.execute(SERIALIZE)
    outcomes = await asyncio.gather(*(runtime.submit(asks("transfer", f"pay_{number}"), session()) for number in range(1, 5)))
    assert {outcome.state for outcome in outcomes} == {State.SUCCEEDED} and sorted(world.bank.effects) == [f"pay_{n}" for n in range(1, 5)]
    assert world.sql("SELECT last_value FROM refusals")[0][0] >= 3 + 4
    assert (await runtime.verify()).ok


async def test_control_without_further_tries_it_is_refused(runtime, world, monkeypatch):
    monkeypatch.setattr(journal, "TRIES", 0)
    with psycopg.connect(world.database, autocommit=True) as connection:
        connection.execute(SERIALIZE)
    with pytest.raises(StoreError):
        await runtime.submit(asks("transfer"), session())
