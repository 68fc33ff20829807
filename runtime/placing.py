"""Give events their places and sign, and nothing else: for a process of its own, as a role of PostgreSQL that may do no more than that."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import cast

from ..errors import DatabaseUnavailable, StoreError
from . import telemetry
from .clock import Clock
from .opening import REVISION, refuse_newer
from .postgres import open_postgres
from .sequencer import PAUSE, Sequencer
from .store import Store
from .work import Parts

log = telemetry.logger("remit.sequencer")
LOOK_AGAIN = 20
"""Rounds after which it is looked whether the database was brought forward."""


@dataclass(frozen=True, slots=True)
class _InForce:
    outdated: None = None


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the sequencer needs of a runtime's parts."""

    store: Store
    log_id: str
    clock: Clock
    control: _InForce = _InForce()


async def place_events(
    url: str, keys: Path, *, tenant: str = "default", rounds: int | None = None, stop: asyncio.Event | None = None
) -> None:
    """Place and sign as the role that `url` names, again and again, until cancelled, for so many rounds, or until `stop` is set.

    A step that was begun is ended first. A runtime must have worked on the database before: it begins the log. Raises `StoreError` in
    the form that fits, also once the database was brought forward by a newer version.
    """
    stop = stop or asyncio.Event()
    store = Store(open_postgres(url, tenant, keys, only_places=True), tenant)
    try:
        clock = Clock(last_recorded=await store.last_recorded())
        await store.take_time(clock)
        sequencer = Sequencer(cast("Parts", _Parts(store, await _log_begun(store), clock)))
        log.info("giving events of %s their places, and signing", store.name)
        for number in count() if rounds is None else range(rounds):
            if number % LOOK_AGAIN == 0:
                with suppress(DatabaseUnavailable):  # the next step says so, and goes on once it is back
                    refuse_newer(await store.rows(REVISION), store.name)
            await sequencer.attempt()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PAUSE)
            if stop.is_set():
                return
    finally:
        await store.close()


async def _log_begun(store: Store) -> str:
    """Give the name of the log; raises `StoreError` where no runtime has begun it for this tenant."""
    if await store.row("SELECT 1 FROM log_head WHERE tenant = ?", (store.tenant,)) is None:
        raise StoreError(f"{store.name} has no log of the tenant {store.tenant!r} yet: a runtime begins it at its first start")
    return str((await store.row("SELECT value FROM store_meta WHERE key = 'log_id'"))[0])
