"""Wait for the checkpoint that covers what a call has done so far."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Self

from .work import Parts

POLL = 0.1
_PLACES = "SELECT count(*), count(leaf_index), max(leaf_index) FROM event WHERE tenant = ? AND call = ?"
_COVERS = "SELECT size, note FROM checkpoint WHERE tenant = ? AND size > ? ORDER BY size LIMIT 1"


@dataclass(frozen=True, slots=True)
class Proof:
    """The checkpoint (C2SP signed note) that covers all events of a call by now; the last of them is the leaf `leaf`."""

    call_id: str
    leaf: int
    size: int
    note: str


class Proving:
    """What a runtime can say of the proof of a call."""

    parts: Parts

    async def start(self) -> Self:
        """See Runtime."""
        raise NotImplementedError

    async def wait_for_proof(self, call_id: str, timeout: float | None = None) -> Proof | None:  # noqa: ASYNC109 - it bounds the wait
        """Wait until a checkpoint covers every event of a call by now, and give it; None after `timeout` seconds. Raises `CallNotFound`."""
        await self.start()
        await self.parts.store.get(call_id)
        try:
            async with asyncio.timeout(timeout):
                while (proof := await _proof(self.parts, call_id)) is None:  # noqa: ASYNC110
                    await asyncio.sleep(POLL)  # another process may place them, and tells nobody
        except TimeoutError:
            return None
        return proof


async def _proof(parts: Parts, call_id: str) -> Proof | None:
    tenant = parts.store.tenant
    events, placed, last = await parts.store.row(_PLACES, (tenant, call_id))
    if not events or placed < events:
        return None
    covers = await parts.store.row(_COVERS, (tenant, last))
    return Proof(call_id, last, *covers) if covers else None
