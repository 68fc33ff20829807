"""What a deployment suffers from is found, on both databases, by reading alone."""

import asyncio
import time

import psycopg
import pytest

from remit import Retention, Runtime
from remit.audit import KeyFile
from remit.runtime.clock import Clock
from remit.runtime.doctor import examine
from tests.postgres import database
from tests.runtime.bank import ACTIONS, LARGE, asks, dropped, refund, session
from tests.runtime.further import served

itself = pytest.mark.on_files("it makes its database itself")


@pytest.fixture
def server(tmp_path):
    """A world whose database is served, and empty."""
    with database() as url:
        yield served(tmp_path, url)


def keys(world):
    return world.folder / "remit.keys"


def managed(world, actions):
    return Runtime(actions, policies="managed", database=world.database, keys=keys(world), resources=[world.bank])


async def filled(world):
    """Leave a call that waits, one that is unknown, and one that is done; gives the ids of the first two."""
    async with world.running(clock=Clock) as runtime:
        waiting = await runtime.submit(asks("transfer", "pay_1", LARGE), session())
        world.bank.plan.append(dropped)
        unknown = await runtime.submit(asks("cheque", "pay_2"), session())
        await runtime.submit(asks("refund", "pay_3"), session())
    assert (waiting.state, unknown.state) == ("waiting", "unknown")
    await world.change(
        "UPDATE call SET dead_at = updated_at, wake_at = NULL WHERE id = ?", unknown.call_id
    )  # as once its time to settle is over
    return waiting.call_id, unknown.call_id


def found(world, about):
    """Look, and give what was found that is not as it should be of one kind of thing."""
    return [one for one in examine(world.runtime()) if one.about == about and one.verdict != "ok"]


def micros(ago=0.0):
    return int((time.time() - ago) * 1_000_000)


async def test_a_deployment_that_is_well_gets_a_word_on_everything(world):
    async with world.running(clock=Clock) as runtime:
        await runtime.submit(asks("refund", "pay_3"), session())
        async with asyncio.timeout(20):
            while any(one.verdict != "ok" and one.about != "durability" for one in examine(world.runtime())):
                await asyncio.sleep(0.05)  # it has only just begun to work
        said = {one.about: one for one in examine(world.runtime())}
        more = {"rights", "durability", "queue"} if isinstance(world.database, str) else set()
        assert set(said) == {"database", "keys", "clock", "policies", "switches", "calls", "actions", "log"} | more
    assert "password" not in str(said)


async def test_calls_that_nobody_takes_up_are_named(world):
    waiting, unknown = await filled(world)
    await world.change("UPDATE call SET wake_at = ? WHERE id = ?", micros(30), waiting)
    late, left = found(world, "calls")
    assert (late.verdict, late.calls) == ("warn", (waiting,))
    assert "nobody ended what is past its deadline: 1 call, the longest for 3" in late.found
    assert left.calls == (unknown,)
    assert "remit calls resolve" in left.do

    for state, said in {"executing": "past its lease", "ready": "nobody took up", "unknown": "nobody looked up"}.items():
        await world.change("UPDATE call SET wake_at = ?, state = ? WHERE id = ?", micros(7_300), state, waiting)
        (late,) = (one for one in found(world, "calls") if waiting in one.calls)
        assert late.verdict == "bad"
        assert said in late.found and "2 h" in late.found


async def test_dead_letters_are_told_apart_from_what_nothing_looks_up(world):
    _, unknown = await filled(world)
    (dead,) = found(world, "calls")
    assert (dead.verdict, dead.calls) == ("warn", (unknown,)) and "dead letters" in dead.found
    await world.change("UPDATE call SET dead_at = NULL WHERE id = ?", unknown)
    (left,) = found(world, "calls")
    assert (left.verdict, left.calls) == ("bad", (unknown,)) and "nothing looks them up" in left.found


async def test_calls_of_actions_that_are_not_what_they_were_are_told(world):
    await filled(world)
    gone = [one for one in examine(managed(world, [refund])) if one.about == "actions"]
    assert [one.found.split()[0] for one in gone] == ["cheque", "transfer"]
    await world.change("UPDATE call SET action_version = '0' WHERE action = 'transfer'")
    (changed,) = found(world, "actions")
    assert "transfer has changed" in changed.found


async def test_events_that_nobody_places_are_told_by_their_age(world):
    await filled(world)
    await world.change("UPDATE event SET leaf_index = NULL, at = ? WHERE kind = 'call.succeeded'", micros(40))
    (old,) = found(world, "log")
    assert (old.verdict, old.found) == ("warn", "the oldest event without a place in the log is 40 s old")
    await world.change("UPDATE event SET at = ? WHERE kind = 'call.succeeded'", micros(4_000))
    assert found(world, "log")[0].verdict == "bad"


async def test_a_log_that_nobody_prunes_is_told(world):
    await filled(world)
    kept = {"retention": Retention("200d", {"effects": "400d"})}
    (fine,) = (one for one in examine(world.runtime(**kept)) if one.about == "retention")
    assert fine.verdict == "ok" and fine.found.endswith("at most 400 days are kept")
    await world.change("UPDATE event SET at = ? WHERE leaf_index = 0", micros(432 * 24 * 3_600))
    (old,) = (one for one in examine(world.runtime(**kept)) if one.about == "retention")
    assert old.verdict == "warn" and old.found.startswith("the oldest event is 432 d old") and "remit retention prune" in old.do
    assert not found(world, "retention"), "nothing is declared, so nothing is too old"


async def test_switches_and_policies_that_differ_are_told(world):
    async with world.running(clock=Clock) as runtime:
        await runtime.switches.throw("action", "refund", by="fay", reason="paid twice")
    world.policies(payments=(world.folder / "policies" / "payments.yaml").read_text().replace("More than fifty", "Fifty"))
    assert found(world, "switches")[0].found == "action refund is switched off by fay: paid twice"
    (differs,) = found(world, "policies")
    assert "is refused" in differs.found and "remit policy reload" in differs.do
    assert [one.verdict for one in examine(managed(world, ACTIONS)) if one.about == "policies"] == ["ok"]


async def test_keys_that_are_missing_anothers_or_open_to_others_are_told(world):
    await filled(world)
    keys(world).chmod(0o644)
    assert found(world, "keys")[0].verdict == "warn"
    keys(world).unlink()
    assert found(world, "keys")[0].verdict == "bad"
    KeyFile.create(keys(world))
    assert "another database" in found(world, "keys")[0].found


async def test_another_revision_is_said_and_nothing_else_is_looked_at(world):
    await filled(world)
    for revision, verdict, word in (("9999", "bad", "upgrade Remit"), ("0001", "warn", "remit db upgrade")):
        await world.change("UPDATE alembic_version SET version_num = ?", revision)
        said = examine(world.runtime())
        assert [one.about for one in said] == ["schema", "keys"]
        assert said[0].verdict == verdict and word in said[0].do and revision in said[0].found


async def test_clocks_that_disagree_are_told(world, monkeypatch):
    await filled(world)
    real = time.time_ns
    monkeypatch.setattr("remit.runtime.doctor.time.time_ns", lambda: real() - 3_600_000_000_000)
    (skew,) = found(world, "clock")
    assert skew.verdict == "bad"
    assert "60 min" in skew.found or "59 min" in skew.found


async def test_a_database_that_is_not_there_yet_or_out_of_reach_is_said(tmp_path, world):
    runtime = world.runtime()
    runtime.database = world.folder / "none.db"
    (one,) = examine(runtime)
    assert (one.about, one.verdict) == ("database", "warn")
    assert not runtime.database.exists()
    runtime.database = f"postgresql://nobody:s3cret@/none?host={tmp_path}"
    (one,) = examine(runtime)
    assert (one.about, one.verdict) == ("database", "bad")
    assert "s3cret" not in str(one)


@itself
async def test_an_empty_database_of_a_server_stays_empty(server):
    first, second = examine(server.runtime())
    assert (first.verdict, second.verdict) == ("warn", "ok")
    with psycopg.connect(server.database) as connection:
        assert connection.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").fetchone() == (0,)


@itself
async def test_a_server_that_may_forget_is_told(server):
    async with server.running():
        pass
    ((name,),) = server.sql("SELECT current_database()")
    for value, told in (("off", True), ("on", False)):
        server.sql(f"ALTER DATABASE {name} SET synchronous_commit = {value}")
        (one,) = (one for one in examine(server.runtime()) if one.about == "durability")
        assert ("synchronous_commit" in one.found) is told
        assert one.verdict == "bad" or not told


@itself
async def test_wake_ups_that_nobody_works_at_are_told(server):
    await filled(server)
    await server.change("DELETE FROM procrastinate_workers")
    (idle,) = found(server, "workers")
    assert (idle.verdict, idle.found) == ("warn", "none is alive; 0 wake-ups are due")
    await server.change("UPDATE procrastinate_jobs SET scheduled_at = now() - interval '5 minutes'")
    assert {one.verdict for one in found(server, "workers") + found(server, "queue")} == {"bad"}
    await server.change("UPDATE procrastinate_jobs SET status = 'doing'")
    assert any("are with workers that are dead" in one.found for one in found(server, "queue"))
    await server.change("UPDATE procrastinate_jobs SET status = 'failed'")
    assert any("have failed" in one.found for one in found(server, "queue"))


@pytest.mark.on_files("bytes of files are compared")
async def test_it_only_reads(world, tmp_path):
    await filled(world)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    world.database.chmod(0o444)
    examine(world.runtime(activate=True))
    assert {
        path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file() and path.suffix not in {".db-wal", ".db-shm"}
    } == before
    assert keys(world).exists()


def test_control_whatever_would_write_is_refused(world):
    from remit.errors import StoreError
    from remit.runtime.stored import reading

    with pytest.raises(StoreError, match=r"read-?only"), reading(world.database) as ask:
        ask("CREATE TABLE more (id integer)")
