"""Give events their places and sign, and nothing else: for a process of its own, as a role of PostgreSQL that may do no more than that."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import cast

from .clock import Clock
from .opening import REVISION, refuse_newer
from .postgres import open_postgres
from .sequencer import PAUSE, Sequencer
from .store import Store
from .work import Parts

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


async def place_events(url: str, keys: Path, *, tenant: str = "default", rounds: int | None = None) -> None:
    """Place and sign as the role that `url` names, again and again, until cancelled or for so many rounds.

    A runtime must have worked on the database before: it begins the log. Raises `StoreError` in the form that fits, also once the
    database was brought forward by a newer version.
    """
    store = Store(open_postgres(url, tenant, keys, only_places=True), tenant)
    try:
        clock = Clock(last_recorded=await store.last_recorded())
        await store.take_time(clock)
        log_id = (await store.row("SELECT value FROM store_meta WHERE key = 'log_id'"))[0]
        sequencer = Sequencer(cast("Parts", _Parts(store, log_id, clock)))
        for number in count() if rounds is None else range(rounds):
            if number % LOOK_AGAIN == 0:
                refuse_newer(await store.rows(REVISION), store.name)
            await sequencer.attempt()
            await asyncio.sleep(PAUSE)
    finally:
        await store.close()
