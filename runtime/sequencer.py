"""Give committed events their place in the tree, and sign the head within a second.

One fenced step of whichever process gets there first: the head's version is a compare-and-set, so two sequencers never both
place a row. Rows are taken `WHERE leaf_index IS NULL`, never by `id > last`: ids are not commit order. Before it signs on, it holds the
tree to what was signed last, which is kept outside the database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..audit import RightEdge
from ..errors import KeysMissing, KeysOutdated, LastSignedUnusable, LogRolledBack, StoreError
from . import telemetry
from .admission import Admission
from .journal import Conflict
from .last_signed import LastSigned
from .signing import ROTATED, Signing
from .statements import Write
from .work import Parts, apart

BATCH = 2_000
PAUSE = 0.25
LOOK = 1.0
"""Seconds between two looks at the oldest event that has no place."""

log = telemetry.logger("remit.sequencer")


class Sequencer:
    """Build the tree over the event table; tell `admission` how long events wait for it."""

    def __init__(self, parts: Parts, admission: Admission | None = None) -> None:
        self._parts, self._admission = parts, admission
        self._signed = LastSigned(parts.store, parts.log_id)
        self._signing = Signing(parts.store, parts.log_id)
        self._told, self._cut = "", False
        self._looked = 0.0

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
            await self.attempt()

    async def attempt(self) -> None:
        """Place and sign once, and see how long events have waited; what goes wrong is said, and tried again."""
        for does in (self.catch_up, self._signing.let_go, self._look):
            try:
                await does()
            except Exception as error:  # noqa: BLE001 - it goes on
                self._tell(error)

    async def catch_up(self) -> int:
        """Place everything that is committed by now; gives how many events that were. Raises `LogRolledBack` and `KeysOutdated`."""
        placed = 0
        if self._parts.control.outdated is not None:
            await self._parts.store.yield_lead()
            return 0
        if not await self._parts.store.leads():
            return 0
        try:
            # Fewer were all that there were, unless a rotation cut them off: what is written meanwhile waits for the next time.
            while (count := await self._step()) == BATCH or (count and self._cut):
                placed += count
        except KeysOutdated:
            await self._parts.store.yield_lead()  # another machine may have the latest key file
            raise
        return placed + count

    async def finish(self) -> None:
        """Place what is left, at the end of a process; where nothing may be signed, that is said, and stands in nobody's way."""
        try:
            await self.catch_up()
            await self._keep_up()
        except (LogRolledBack, LastSignedUnusable, KeysOutdated, KeysMissing) as error:
            self._tell(error)

    async def _step(self) -> int:
        store = self._parts.store
        signed = self._signed.read()
        version, edge = await self._head()
        if not (rows := await self._waiting()):
            return 0
        rows, rotation = await self._until_rotation(rows)
        self._cut = rotation is not None
        keys = await self._signing.keys_for(rotation)
        await self._signed.hold(edge, signed)
        writes = [Write("event.place", (edge.size + offset, position)) for offset, (position, *_) in enumerate(rows)]
        for _, leaf_hash, _ in rows:
            edge.append(leaf_hash)
        note = self._signing.sign(edge, keys)
        writes.append(Write("head.move", (edge.size, edge.to_bytes(), store.tenant, version)))
        writes.append(Write("checkpoint.add", (store.tenant, edge.size, note, self._parts.clock.now())))
        try:
            await store.commit(writes)
        except Conflict:
            return 0  # another process has placed them
        await self._remember(edge)
        return len(rows)

    async def _keep_up(self) -> None:
        """Remember what was signed last where a step was cut off between its commit and that."""
        if self._parts.control.outdated is not None or not await self._parts.store.leads():
            return
        signed = self._signed.read()
        _, edge = await self._head()
        if signed is None or signed.size < edge.size:
            await self._signed.hold(edge, signed)
            await self._remember(edge)

    async def _waiting(self) -> Sequence[Any]:
        """Read (position, hash, kind) of events that have no place: those that committed late, too, whatever their position."""
        sql = "SELECT position, hash, kind FROM event WHERE tenant = ? AND leaf_index IS NULL ORDER BY position LIMIT ?"
        return await self._parts.store.rows(sql, (self._parts.store.tenant, BATCH))

    async def _until_rotation(self, rows: Sequence[Any]) -> tuple[Sequence[Any], bytes | None]:
        """Cut the rows off behind the first that rotates the signing key, and give its leaf: a checkpoint of both keys ends with it."""
        for number, (position, _, kind) in enumerate(rows):
            if kind == ROTATED:
                found = await self._parts.store.row("SELECT leaf FROM event WHERE position = ?", (position,))
                return rows[: number + 1], bytes(found[0])
        return rows, None

    async def _remember(self, edge: RightEdge) -> None:
        try:
            await asyncio.to_thread(self._signed.remember, edge)
        except OSError as error:
            self._say(f"what was signed last can't be kept in {self._signed.path} ({error.strerror}): a backup put back is not noticed")

    async def _head(self) -> tuple[int, RightEdge]:
        row = await self._parts.store.row("SELECT version, edge FROM log_head WHERE tenant = ?", (self._parts.store.tenant,))
        return row[0], RightEdge.from_bytes(row[1])

    async def _look(self) -> None:
        """See, now and then, which event has waited longest, whichever process should have placed it."""
        now = time.monotonic()
        if self._admission is None or now - self._looked < LOOK:
            return
        self._looked = now
        sql = "SELECT position FROM event WHERE tenant = ? AND leaf_index IS NULL ORDER BY position LIMIT 1"
        oldest = await self._parts.store.row(sql, (self._parts.store.tenant,))
        self._admission.unproved(oldest[0] if oldest else None)

    def _tell(self, error: Exception) -> None:
        ours = isinstance(error, LogRolledBack | LastSignedUnusable | KeysOutdated | KeysMissing) or isinstance(error.__cause__, OSError)
        if isinstance(error, StoreError) and ours:  # an OSError: the key file can't be changed
            self._say(error.message)
        else:
            log.error("events wait for their checkpoint; it is tried again: %s", telemetry.places(error))

    def _say(self, words: str) -> None:
        """Log words once, until there are others."""
        if words != self._told:
            self._told = words
            log.error("%s", words)
