"""What can be asked about decisions once they were made: why, and what another bundle would have done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from .access import LOCAL_OPERATOR, noted, reader
from .bundles import SHADOW, Bundles
from .decided import Explained, explain_call
from .exporting import Filter, Format, export_events
from .logs import DatabaseLog
from .replay import Progress, Replay, replay, shadowed
from .surface import Surface


class Hindsight(Surface):
    """The methods of a runtime that look back at what was done."""

    bundles: Bundles

    async def explain(self, call_id: str, *, by: str = LOCAL_OPERATOR, purpose: str = "") -> Explained:
        """Say why a call was decided as it was last: each rule with what it saw, by the bundle of then. That it was shown is recorded.

        `by` is a person who may approve it, or says a `purpose`; raises `NotAReader` and `PurposeMissing`. Raises `CallNotFound`,
        `CallError` for a call that was never decided, and `AuditError` where its inputs are sealed for good.
        """
        await self.start()
        await self.revealing.call(await self.parts.store.get(call_id), by, purpose)
        return await explain_call(self.parts, self.bundles, call_id)

    async def replay(
        self, candidate: Mapping[str, str] | str | Path, *, since: timedelta, progress: Progress | None = None, by: str = LOCAL_OPERATOR
    ) -> Replay:
        """Decide what was decided since then again, by a bundle that need not be in force: a folder, sources, or a kept one by digest.

        `by`, an active person, is recorded. Raises `PolicyError`, `UnknownBundle` and `NotAReader`.
        """
        await self.start()
        who = await reader(self.people, by)
        policies, begun = await self.bundles.read(candidate), self.parts.clock.now() - since // timedelta(microseconds=1)
        found = await asyncio.to_thread(replay, self.parts, self.bundles, policies, since=begun, progress=progress)
        await noted(self.parts, "audit.read", who, sought={"replay": found.policy, "since": found.since}, found=found.decided)
        return found

    async def shadowed(self, *, by: str = LOCAL_OPERATOR) -> Replay:
        """Say what the bundle that is decided beside the one in force would have done so far.

        `by`, an active person, is recorded. Raises `UnknownBundle` where there is none, and `NotAReader`.
        """
        await self.start()
        who = await reader(self.people, by)
        found = await asyncio.to_thread(shadowed, self.parts, (await self.bundles.find(SHADOW)).digest)
        await noted(self.parts, "audit.read", who, sought={"shadow": found.policy}, found=found.decided)
        return found

    async def export_events(self, path: Path, *, form: Format, chosen: Filter | None = None, by: str = LOCAL_OPERATOR) -> int:
        """Write events to a new file, without personal values, and count them; raises `AuditError`.

        What has no place yet comes last. `by`, an active person, is recorded in the access log; raises `NotAReader`.
        """
        await self.start()

        wanted = chosen or Filter()

        def exported() -> int:
            with DatabaseLog(self.parts, sealed=True) as log:
                return export_events(log, path, form, wanted)

        sought = {"format": form, "since": wanted.since, "until": wanted.until, "action": wanted.action}
        await noted(self.parts, "audit.exported", await reader(self.people, by), sought=sought)
        return await asyncio.to_thread(exported)
