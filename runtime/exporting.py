"""Carry events away as one file: JSONL, CSV for a spreadsheet, or OCSF for a SIEM. Personal values stay behind: only commitments go."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkstemp
from typing import Any, BinaryIO, Literal, assert_never

import orjson

from ..audit import Log
from ..errors import AuditError
from .ocsf import api_activity
from .recorded import members

Format = Literal["jsonl", "csv", "ocsf"]

COLUMNS = (
    *("place", "at", "kind", "id", "call", "sequence", "principal_kind", "principal", "model", "subject"),
    *("action", "action_version", "before", "after", "body"),
)
"""The columns of a CSV export; `body` is JSON."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a cell for a formula (OWASP, CSV Injection)."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are carried away: `since <= at < until`, both as events store time, and of one action."""

    since: str | None = None
    until: str | None = None
    action: str | None = None

    def takes(self, event: Mapping[str, Any]) -> bool:
        """Say whether the event is among them."""
        at = event["at"]
        if (self.since is not None and at < self.since) or (self.until is not None and at >= self.until):
            return False
        return self.action is None or event.get("action", {}).get("name") == self.action


def export_events(log: Log, path: Path, form: Format, chosen: Filter) -> int:
    """Write the chosen events of a log to a new file, and count them.

    The file appears whole or not at all. Raises AuditError if it exists or can't be written.
    """
    if path.exists():
        raise AuditError(f"{path} exists; export to a new file")
    count = 0
    try:
        with written(path) as file:
            file.write(heading(form))
            for event in _events(log, chosen):
                file.write(line(event, form))
                count += 1
    except FileExistsError as error:
        raise AuditError(f"{path} exists; export to a new file") from error
    except OSError as error:
        raise AuditError(f"{path} can't be written: {error.strerror}") from error
    return count


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Give a new file, for its owner alone, that takes its name only when all of it is on the disk; until then it is a hidden one beside it.

    Raises FileExistsError where somebody has taken the name meanwhile.
    """
    number, name = mkstemp(prefix=f".{path.name}.", suffix=".unfinished", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)  # unlike a renaming it never takes the place of a file that is there
        settled(path.parent)
    finally:
        with suppress(OSError):
            Path(name).unlink()


def settled(folder: Path) -> None:
    """Have the disk keep the names in a folder, where its system can."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def heading(form: Format) -> bytes:
    """Give what comes before the first event."""
    return _row(COLUMNS) if form == "csv" else b""


def line(event: Mapping[str, Any], form: Format) -> bytes:
    """Write one event, with the newline at its end."""
    match form:
        case "jsonl":
            return orjson.dumps(event) + b"\n"
        case "csv":
            return _row(map(harmless, _cells(event)))
        case "ocsf":
            return orjson.dumps(api_activity(event)) + b"\n"
        case _:
            assert_never(form)


def harmless(cell: str) -> str:
    """Make a cell a text that no spreadsheet takes for a formula: a single quote before what would begin one."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _events(log: Log, chosen: Filter) -> Iterator[Mapping[str, Any]]:
    for entry in log.entries():
        event = {"place": entry.index, **members(entry.leaf)}
        if chosen.takes(event):
            yield event


def _cells(event: Mapping[str, Any]) -> Iterator[str]:
    principal, action = event.get("principal", {}), event.get("action", {})
    before, after = event.get("change", ("", ""))
    flat = {
        **event,
        "principal_kind": principal.get("kind"),
        "principal": principal.get("id"),
        "action": action.get("name"),
        "action_version": action.get("version"),
        "before": before,
        "after": after,
        "body": orjson.dumps(event["body"]).decode(),
    }
    for name in COLUMNS:
        value = flat.get(name)
        yield "" if value is None else str(value)


def _row(cells: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow(cells)
    return text.getvalue().encode()
