"""Follow the log into files: JSONL, rotated by size, gone on with after a kill from what is in the files themselves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from ..audit import FolderLock
from ..errors import AuditError
from .exporting import settled

Source = Callable[[int], Awaitable[Sequence[Mapping[str, Any]]]]
"""Gives the next events in the log's order from behind a place."""

_NAMES = "events-*.jsonl"


class Sink:
    """The files of a folder, each named after the place of its first event. One process at a time writes to them, until it is closed.

    `largest` is in bytes: a file that has reached it is followed by another. A new folder begins at the place `begins`, from which on
    the log is there. Opening cuts off a line that was not written to its end. Raises AuditError for a folder that can't be written, or
    whose last line is no event, and `FolderTaken`.
    """

    def __init__(self, folder: Path, *, largest: int = 64 * 1024 * 1024, begins: int = 0) -> None:
        self._folder, self._largest, self._failed = folder, largest, False
        self._begins = begins
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(folder)
            self.upcoming = self._resume()
        except OSError as error:
            raise AuditError(f"{folder} can't be written: {error.strerror}") from error

    def write(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Append events, which begin at the place `upcoming` and leave none out; they are on the disk when this returns.

        Once it has failed for the disk, what is in the files is not known: nothing more is written until the folder is opened anew.
        """
        if self._failed:
            raise AuditError(f"{self._folder} could not be written before: open it anew")
        rest = iter(events)
        try:
            while self._fill(rest):
                pass
        except OSError as error:
            self._failed = True
            self.close()
            raise AuditError(f"{self._folder} can't be written: {error.strerror}") from error

    def close(self) -> None:
        """Let another process write to the folder."""
        self._lock.close()

    def _fill(self, rest: Any) -> bool:
        """Append to the last file until it is full, or there are no more; says whether it is full."""
        path = self._last()
        if path is None or path.stat().st_size >= self._largest:
            path = self._folder / f"events-{self.upcoming:015d}.jsonl"
        with path.open("ab") as file:
            for event in rest:
                if event["place"] != self.upcoming:
                    raise AuditError(
                        f"the event of place {event['place']} came where {self.upcoming} is next: if what is between was pruned by "
                        "retention, follow into a new folder"
                    )
                file.write(orjson.dumps(event) + b"\n")
                self.upcoming += 1
                if file.tell() >= self._largest:
                    break
            file.flush()
            os.fsync(file.fileno())
            full = file.tell() >= self._largest
        settled(self._folder)
        return full

    def _last(self) -> Path | None:
        return max(self._folder.glob(_NAMES), default=None)

    def _resume(self) -> int:
        """Find the place behind the last whole line."""
        path = self._last()
        if path is None:
            return self._begins
        with path.open("r+b") as file:
            end = whole = 0
            last = b""
            for line in file:
                end += len(line)
                if line.endswith(b"\n"):
                    whole, last = end, line
            file.truncate(whole)
        try:
            return int(orjson.loads(last)["place"]) + 1 if last else int(path.stem.removeprefix("events-"))
        except (ValueError, KeyError, TypeError) as error:
            raise AuditError(f"{path} does not end in an event; follow into a new folder") from error


async def follow(source: Source, sink: Sink, *, every: float = 1.0, once: bool = False) -> None:
    """Write what has a place in the log, and wait for more, looking `every` so many seconds; `once` ends when there is no more."""
    while True:
        events = await source(sink.upcoming - 1)
        if events:
            await asyncio.to_thread(sink.write, events)
        elif once:
            return
        else:
            await asyncio.sleep(every)
