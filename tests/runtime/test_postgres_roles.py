"""The roles of docs/postgresql-roles.sql: the application can't touch what was recorded, the sequencer can do nothing else."""

import asyncio
import re
import secrets
from pathlib import Path

import psycopg
import pytest

from remit.audit import KeyFile, State
from remit.errors import DatabaseUnavailable, StoreError
from remit.runtime.doctor import examine
from remit.runtime.opening import REVISION
from remit.runtime.placing import place_events
from tests.postgres import server
from tests.runtime.bank import Store, World, asks, session
from tests.runtime.pruning_history import KEPT, busy
from tests.runtime.test_postgresql_page import as_role

SCRIPT = (Path(__file__).parents[2] / "docs" / "postgresql-roles.sql").read_text()
NAMES = ("remit_app", "remit_sequencer", "remit_retention")


class Roles:
    """A world whose database has the roles, under names of this test alone."""

    def __init__(self, world):
        self.world, self.owner = world, world.database
        self.names = {name: f"{name}_{secrets.token_hex(4)}" for name in NAMES}

    def grant(self, script=SCRIPT):
        with psycopg.connect(self.owner, autocommit=True) as connection:
            connection.execute(re.sub("|".join(NAMES), lambda found: self.names[found[0]], script))

    def url(self, role):
        return as_role(self.owner, self.names[role])

    def refused(self, role, sql):
        with psycopg.connect(self.url(role), autocommit=True) as connection:
            try:
                connection.execute(sql)
            except psycopg.errors.InsufficientPrivilege:
                return True
        return False

    def running(self, role, **settings):
        (self.world.folder / "server").write_text(self.url(role))
        return World(self.world.folder, self.world.bank, self.world.time).running(**settings)


@pytest.fixture
def roles(tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "server", True)
    roles = Roles(World.make(tmp_path))
    with psycopg.connect(server(), autocommit=True) as connection:
        for role in roles.names.values():
            connection.execute(f"CREATE ROLE {role} LOGIN")
    roles.grant()
    yield roles
    Store.made.close()
    with psycopg.connect(server(), autocommit=True) as connection:
        for role in roles.names.values():
            connection.execute(f"DROP ROLE {role}")


async def test_the_application_works_and_the_sequencer_places_what_it_does(roles):
    async with roles.running("remit_app") as runtime:
        done = await runtime.submit(asks(), session())
        assert done.state is State.SUCCEEDED
        assert not await runtime.parts.store.leads(), "it leaves that to the sequencer"
        assert await runtime.wait_for_proof(done.call_id, 0.6) is None
        await place_events(roles.url("remit_sequencer"), roles.world.folder / "remit.keys", rounds=1)
        assert (await runtime.wait_for_proof(done.call_id, 10)).size > 0
        report = await runtime.verify()
        assert report.ok and report.uncovered == 0
        (rights,) = [found for found in examine(runtime) if found.about == "rights"]
        assert "the sequencer's process must run" in rights.found


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE event SET leaf = hash",
        "UPDATE event SET leaf_index = 1",
        "DELETE FROM event",
        "TRUNCATE event",
        "INSERT INTO checkpoint VALUES ('default', 1000, 'nothing', 0)",
        "UPDATE checkpoint SET note = 'nothing'",
        "DELETE FROM checkpoint",
        "UPDATE bundle SET sources = '{}'",
        "UPDATE access SET who = 'nobody'",
        "DELETE FROM access",
        "UPDATE log_head SET size = 0",
        "DELETE FROM log_head",
        "INSERT INTO pruned VALUES ('default', 1000, 0)",
        "DROP TRIGGER event_unchanged ON event",
        "ALTER TABLE event DISABLE TRIGGER ALL",
    ],
)
async def test_the_application_can_not_touch_what_was_recorded(roles, sql):
    assert roles.refused("remit_app", sql)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO event (tenant, id, call, sequence, kind, at, leaf, hash) VALUES ('default', 'x', NULL, 0, 'k', 0, '', '')",
        "UPDATE event SET leaf = hash",
        "DELETE FROM event",
        "UPDATE checkpoint SET note = 'nothing'",
        "DELETE FROM checkpoint",
        "SELECT * FROM opening",
        "SELECT * FROM call",
        "SELECT * FROM subject",
        "SELECT * FROM access",
        "UPDATE tenant_control SET epoch = 0",
        "DELETE FROM bundle",
        "INSERT INTO pruned VALUES ('default', 1000, 0)",
    ],
)
async def test_the_sequencer_only_places_and_signs(roles, sql):
    assert roles.refused("remit_sequencer", sql)


async def grown(roles):
    """Let the application fill two blocks of leaves, let them be old, and let the sequencer place them."""
    async with roles.running("remit_app") as runtime:
        await busy(runtime)
        roles.world.time.pass_(days=201)
        await runtime.submit(asks(), session())
    await place_events(roles.url("remit_sequencer"), roles.world.folder / "remit.keys", rounds=1)


async def test_who_prunes_needs_the_sequencer_and_no_more_rights(roles):
    await grown(roles)
    async with roles.running("remit_retention", retention=KEPT) as runtime:
        pruning = asyncio.create_task(runtime.retention.prune(by="fay"))
        while not await runtime.parts.store.row("SELECT 1 FROM pruned"):
            await asyncio.sleep(0.02)
        assert roles.world.sql("SELECT min(leaf_index) FROM event") == [(0,)], "not before it has its place"
        await place_events(roles.url("remit_sequencer"), roles.world.folder / "remit.keys", rounds=1)
        done = await pruning
        assert done.deleted == done.below > 0
        assert (await runtime.verify()).ok
    for sql in ("UPDATE event SET leaf_index = 1", "UPDATE checkpoint SET note = ''", "DELETE FROM pruned", "UPDATE log_head SET size = 0"):
        assert roles.refused("remit_retention", sql)


async def test_the_application_can_not_prune(roles):
    await grown(roles)
    async with roles.running("remit_app", retention=KEPT) as runtime:
        assert (await runtime.retention.plan()).events > 0
        with pytest.raises(StoreError, match="permission denied for table pruned"):
            await runtime.retention.prune(by="fay")


async def test_control_with_rights_to_every_row_nothing_of_it_is_refused_by_rights(roles):
    roles.grant("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO remit_app")
    assert not roles.refused("remit_app", "INSERT INTO checkpoint VALUES ('default', 1000, 'nothing', 0)")
    with pytest.raises(psycopg.errors.CheckViolation, match="never changed or deleted"):
        roles.refused("remit_app", "DELETE FROM checkpoint")


async def test_half_of_the_rights_to_place_are_said_to_be_half(roles):
    roles.grant("GRANT INSERT ON checkpoint TO remit_app")
    with pytest.raises(StoreError, match="lacks UPDATE on event, UPDATE on log_head"):
        async with roles.running("remit_app"):
            pass


async def test_a_sequencer_without_its_rights_is_told_which(roles):
    roles.grant("REVOKE UPDATE (leaf_index) ON event FROM remit_sequencer")
    with pytest.raises(StoreError, match=r"lacks UPDATE \(leaf_index\) on event"):
        await place_events(roles.url("remit_sequencer"), roles.world.folder / "remit.keys", rounds=1)


async def test_the_application_rotates_the_signing_key_and_the_sequencer_signs_by_both(roles):
    async with roles.running("remit_app") as runtime:
        rotated = await runtime.rotate_signing_key(by="eve", reason="yearly", patience=0)
        assert rotated.waiting == ("default",)
        await place_events(roles.url("remit_sequencer"), roles.world.folder / "remit.keys", rounds=1)
        await runtime.submit(asks(), session())
        await place_events(roles.url("remit_sequencer"), roles.world.folder / "remit.keys", rounds=1)
        report = await runtime.verify()
        assert (report.findings, report.uncovered) == ([], 0)
        assert KeyFile.load(roles.world.folder / "remit.keys").next_signing_seed is None


async def test_the_sequencer_goes_on_once_a_server_that_was_away_is_back(roles, monkeypatch):
    async with roles.running("remit_app") as runtime:
        await runtime.submit(asks(), session())
        looked = []

        async def away(store, sql, values=()):
            """Be away for all of the first round, also when it is looked whether the database was brought forward."""
            looked.append(sql)
            if sql == REVISION and len([one for one in looked if one == REVISION]) == 1:
                raise DatabaseUnavailable("the server is restarted")
            return await store._database.rows(sql, values)

        monkeypatch.setattr("remit.runtime.store.Store.rows", away)
        monkeypatch.setattr("remit.runtime.placing.LOOK_AGAIN", 1)
        await place_events(roles.url("remit_sequencer"), roles.world.folder / "remit.keys", rounds=2)
        monkeypatch.undo()
        assert looked.count(REVISION) == 2
        assert (await runtime.verify()).uncovered == 0
