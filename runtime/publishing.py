"""Publish the log as tiles while it grows: after a checkpoint is signed, what it covers is added to a folder that any static server gives out.

Beside the signing, never in its way: whatever stops this, the folder holds the log of the checkpoint that it has, and what is missing is
added from there on.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from threading import Lock

from ..audit import FolderLock, FolderTaken, export_tiles
from ..errors import RemitError
from . import telemetry
from .logs import DatabaseLog
from .work import Parts

PAUSE = 1.0
"""Seconds between two looks for a checkpoint that is not in the folder yet."""
AGAIN = 5.0
"""Seconds after which it is tried again, when it failed."""

log = telemetry.logger("remit.publishing")


class Publishing:
    """The folder of one log. One process writes to it; others on the same log stand by."""

    def __init__(self, parts: Parts, folder: Path) -> None:
        self._parts, self._folder = parts, folder
        self._size = -1
        self._told = ""
        self._held: FolderLock | None = None
        self._writing = Lock()  # whoever is cancelled leaves a thread behind that still writes

    async def run(self) -> None:
        """Publish what is signed, again and again, until cancelled."""
        while True:
            went_well = await self.attempt()
            await asyncio.sleep(PAUSE if went_well else AGAIN)

    async def attempt(self) -> bool:
        """Publish once; what stands against it is said, once, and gives False."""
        try:
            await self.publish()
        except FolderTaken:
            return self._say(f"another process publishes to {self._folder}; this one takes over when that ends", amiss=False)
        except RemitError as error:
            return self._say(f"the log is not published: {error.message}")
        except Exception as error:  # noqa: BLE001 - the runtime goes on without
            return self._say(f"the log is not published: {telemetry.places(error)}")
        self._told = ""
        return True

    async def publish(self) -> None:
        """Add what the newest checkpoint covers to the folder, if it is not there; raises `AuditError` where it must not be, or can't."""
        sql = "SELECT size FROM checkpoint WHERE tenant = ? ORDER BY size DESC LIMIT 1"
        row = await self._parts.store.row(sql, (self._parts.store.tenant,))
        if row is not None and (row[0] != self._size or not (self._folder / "checkpoint").exists()):
            await asyncio.to_thread(self._write)

    async def finish(self) -> None:
        """Publish what is left, at the end of a process, and let another write to the folder."""
        await self.attempt()
        await asyncio.to_thread(self._let_go)

    def _let_go(self) -> None:
        with self._writing:
            if self._held is not None:
                self._held.close()

    def _write(self) -> None:
        with self._writing, DatabaseLog(self._parts, sealed=True) as signed:
            if self._held is not None and not self._held.holds(self._folder):  # it was removed, and maybe made anew
                self._held.close()
                self._held = None
            self._held = self._held or FolderLock.on(self._folder)
            self._size = export_tiles(signed, self._folder, signed.newest()).size

    def _say(self, words: str, *, amiss: bool = True) -> bool:
        """Log words once, until there are others, or it went well meanwhile; gives False."""
        if words != self._told:
            self._told = words
            (log.error if amiss else log.info)("%s", words)
        return False
