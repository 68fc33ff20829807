"""Ways in which a disk has no room: each is a limit that a child puts on itself, or on the file system that it writes to."""

from __future__ import annotations

import os
import resource
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def begin(limit: dict[str, Any], database: Path, connections: Iterable[sqlite3.Connection]) -> None:
    """Let the room end: after so many `pages` of the database or `bytes` of its log, at once (`read_only`), or when a file system is `full`."""
    match limit:
        case {"pages": more}:
            for one in connections:
                pages = one.execute("PRAGMA page_count").fetchone()[0]
                one.execute(f"PRAGMA max_page_count = {pages + more}")
        case {"bytes": more}:
            log = database.with_name(f"{database.name}-wal")
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (max(log.stat().st_size, 8_192) + more, hard))
        case {"read_only": True}:
            for one in connections:
                one.execute("PRAGMA query_only = ON")
        case {"full": folder, "leave": room}:
            _fill(Path(folder) / "filler", room)
        case _:
            assert limit == {"injected": True}, limit


def end(limit: dict[str, Any]) -> None:
    """Let there be room again."""
    match limit:
        case {"bytes": _}:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        case {"full": folder}:
            (Path(folder) / "filler").unlink()


def _fill(place: Path, room: int) -> None:
    """Write a file until nothing more fits, then leave some room."""
    with place.open("wb", buffering=0) as filler:
        try:
            while filler.write(b"x" * 4_096):
                pass
        except OSError:
            os.truncate(place, max(filler.tell() - room, 0))
