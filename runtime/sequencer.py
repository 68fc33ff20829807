"""Give committed events their place in the tree, and sign the head within a second.

One fenced step of whichever process gets there first: the head's version is a compare-and-set, so two sequencers never both
place a row. Rows are taken `WHERE leaf_index IS NULL`, never by `id > last`: ids are not commit order.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ..audit import RightEdge, sign
from . import telemetry
from .journal import Conflict
from .statements import Write
from .work import Parts, apart

BATCH = 2_000
PAUSE = 0.25

log = telemetry.logger("remit.sequencer")


class Sequencer:
    """Build the tree over the event table."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def open(self) -> None:
        """Begin the tree where there is none yet, with an event that names the log's keys by their fingerprints."""
        store = self._parts.store
        if await store.row("SELECT 1 FROM log_head WHERE tenant = ?", (store.tenant,)) is not None:
            return
        head = Write("head.open", (store.tenant, 0, 0, RightEdge().to_bytes()))
        with suppress(Conflict):  # another process was quicker
            await store.commit([head, *apart(self._parts, "log.opened", {"keys": store.keys.fingerprints})])

    async def run(self) -> None:
        """Place and sign, again and again, until cancelled."""
        while True:
            await asyncio.sleep(PAUSE)
            try:
                await self.catch_up()
            except Exception as error:  # noqa: BLE001 - it goes on
                log.error("events wait for their checkpoint; it is tried again: %s", telemetry.places(error))  # noqa: TRY400 - not its words

    async def catch_up(self) -> int:
        """Place everything that is committed by now; gives how many events that were."""
        placed = 0
        if self._parts.control.outdated is not None:
            await self._parts.store.yield_lead()
            return 0
        if not await self._parts.store.leads():
            return 0
        while count := await self._step():
            placed += count
        return placed

    async def _step(self) -> int:
        store = self._parts.store
        version, edge = await self._head()
        sql = "SELECT position, hash FROM event WHERE tenant = ? AND leaf_index IS NULL ORDER BY position LIMIT ?"
        rows = await store.rows(sql, (store.tenant, BATCH))
        if not rows:
            return 0
        writes = [Write("event.place", (edge.size + offset, position)) for offset, (position, _) in enumerate(rows)]
        for _, leaf_hash in rows:
            edge.append(leaf_hash)
        note = sign(self._parts.log_id, edge.size, edge.root(), store.keys.signing_key)
        writes.append(Write("head.move", (edge.size, edge.to_bytes(), store.tenant, version)))
        writes.append(Write("checkpoint.add", (store.tenant, edge.size, note, self._parts.clock.now())))
        try:
            await store.commit(writes)
        except Conflict:
            return 0  # another process has placed them
        return len(rows)

    async def _head(self) -> tuple[int, RightEdge]:
        row = await self._parts.store.row("SELECT version, edge FROM log_head WHERE tenant = ?", (self._parts.store.tenant,))
        return row[0], RightEdge.from_bytes(row[1])
