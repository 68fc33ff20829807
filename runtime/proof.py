"""What a runtime can show of its log: its events, the proof of a call, the verifier's verdict, and a copy that anyone can verify."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..audit import FolderLock, Report, export, export_tiles, verify
from ..errors import CallNotFound
from .access import LOCAL_OPERATOR, noted, reader, revealer
from .control import known_shapes
from .holds import known
from .logs import DatabaseLog, Reproduction
from .reconciling import Progress, Reconciliation, reconcile
from .sequencer import Sequencer
from .signing import Rotated, Signing, begin
from .surface import Surface
from .views import placed_events
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


class Proving(Surface):
    """The methods of a runtime by which its log is read as a whole, proved and handed on."""

    _sequencer: Sequencer

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

    async def events(self, *, after: int = -1, most: int = 100, by: str = LOCAL_OPERATOR) -> list[Mapping[str, Any]]:
        """List events in the log's order from behind place `after`: clear parts and commitments, no personal values.

        `by` names a person or a service; who follows the log is recorded once an hour.
        """
        await self.start()
        await self.revealing.list(by, {"events": "in their order"}, 0)
        return await placed_events(self.parts, after=after, most=most)

    async def rotate_signing_key(self, *, by: str, reason: str, patience: float = 10.0) -> Rotated:
        """Let another key sign the log, from the checkpoint on that covers the event that says so; that one both keys sign.

        Waits `patience` seconds for it, and then destroys the old private key; while a log still waits, any process of its tenant goes
        on. Put the key file on every machine. Raises `RotationUnderWay`, and `StoreError` for a key file that can't be written.
        """
        await self.start()
        await self._sequencer.catch_up()
        signing = Signing(self.parts.store, self.parts.log_id)
        await signing.let_go()
        rotated = await begin(self.parts, by=by, reason=reason)
        await self._sequencer.catch_up()
        ends = asyncio.get_running_loop().time() + patience
        while (waiting := await signing.let_go()) and asyncio.get_running_loop().time() < ends:  # noqa: ASYNC110
            await asyncio.sleep(POLL)  # another process may be the one that signs
        return replace(rotated, waiting=waiting)

    async def export(
        self,
        folder: Path,
        *,
        disclose: bool = False,
        subjects: Collection[str] | None = None,
        tiles: bool = False,
        by: str = LOCAL_OPERATOR,
        purpose: str = "",
    ) -> None:
        """Write the log as a new folder that anyone can verify; `by`, an active person, is recorded.

        `disclose` adds the openings of personal values, all or those of `subjects` (by their ids) alone; whoever gets them has a role
        that may, and says for what `purpose`. With `tiles` in the form of C2SP tlog-tiles, which has no openings and goes on where an
        earlier export ended. Raises `NotAReader`, `PurposeMissing` and `SubjectNotFound`; then nothing is written.
        """
        await self.start()
        opened = await self._opened(subjects, by, purpose) if disclose else frozenset()
        await self._sequencer.catch_up()

        def exported() -> None:
            with DatabaseLog(self.parts, sealed=not disclose, only=opened) as log:
                if not tiles:
                    export(log, folder)
                    return
                held = FolderLock.on(folder)
                try:
                    export_tiles(log, folder, log.newest())
                finally:
                    held.close()

        who = await reader(self.people, by)
        await noted(self.parts, "audit.exported", who, sought={"disclose": disclose, "tiles": tiles})
        await asyncio.to_thread(exported)

    async def _opened(self, subjects: Collection[str] | None, by: str, purpose: str) -> frozenset[str] | None:
        """Say whose openings `by` takes along, by pseudonym (None: everybody's), and record it."""
        who = await revealer(self.people, by, purpose)
        names = None if subjects is None else sorted([(await known(self.parts, one)).pseudonym for one in subjects])
        sought = {"export": "all" if names is None else names}
        await noted(self.parts, "personal.revealed", who, sought=sought, found=len(names or ()), purpose=purpose)
        return None if names is None else frozenset(names)

    async def verify(self, *, by: str = LOCAL_OPERATOR, meaning: bool = True) -> Report:
        """Check the whole log of this database: integrity, meaning, and every decision reproduced. `by`, an active person, is recorded.

        Without `meaning` leaves are held against tree and signatures alone.
        """
        await self.start()
        who = await reader(self.people, by)
        await self._sequencer.catch_up()

        def verified() -> Report:
            with DatabaseLog(self.parts, sealed=not meaning) as log:
                return verify(log, decide=Reproduction(log.bundles(), known_shapes(self.parts)), meaning=meaning)

        report = await asyncio.to_thread(verified)
        await noted(self.parts, "audit.verified", who, sought={"ok": report.ok, "meaning": meaning}, found=report.entries)
        return report

    async def reconcile(self, *, since: datetime | timedelta, by: str = LOCAL_OPERATOR, progress: Progress | None = None) -> Reconciliation:
        """Compare what was done since then with the providers' own ledgers, both ways, and record what came of it.

        `since` is aware, or so long ago by the database's clock; `by` an active person. Nothing is changed at a provider, and no call is
        settled. What can't be read makes it incomplete. Raises `NoLedger`, `NotAReader`, and `BadSearch` for a time to come.
        """
        await self.start()
        return await reconcile(self.parts, since=since, by=await reader(self.people, by), progress=progress)


async def _proof(parts: Parts, call_id: str) -> Proof | None:
    tenant = parts.store.tenant
    events, placed, last = await parts.store.row(_PLACES, (tenant, call_id))
    if not events:
        raise CallNotFound(f"the events of {call_id} were pruned by retention: what became of it is known, and can't be proved from here")
    if placed < events:
        return None
    covers = await parts.store.row(_COVERS, (tenant, last))
    return Proof(call_id, last, *covers) if covers else None
