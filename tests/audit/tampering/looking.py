"""Verify what is in a database as it is: nothing is placed or signed meanwhile."""

from __future__ import annotations

from types import SimpleNamespace

from remit.audit import KeyFile, Report, verify
from remit.runtime.logs import DatabaseLog, Reproduction
from remit.runtime.postgres import PostgresSnapshot
from remit.runtime.sqlite import SqliteSnapshot, sqlite3
from remit.runtime.vault import Vault
from tests.runtime.bank import World


def verified(world: World, tenant: str = "default") -> Report:
    """Give the verifier's report on a world's database."""
    place = world.database

    def snapshot() -> PostgresSnapshot | SqliteSnapshot:
        if isinstance(place, str):
            return PostgresSnapshot(place)
        return SqliteSnapshot(sqlite3.connect(f"{place.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False))

    store = SimpleNamespace(tenant=tenant, keys=KeyFile.load(world.folder / "remit.keys"), snapshot=snapshot)
    ((log_id,),) = world.sql("SELECT value FROM store_meta WHERE key = 'log_id'")
    with DatabaseLog(SimpleNamespace(store=store, vault=Vault(store), log_id=log_id)) as log:
        return verify(log, decide=Reproduction(log.bundles(), world.runtime()._shapes))
