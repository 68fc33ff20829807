"""Write a log to a folder that can be carried away and verified with no database, no network, and none of the keys."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import mkdtemp
from typing import BinaryIO

import orjson

from ..errors import AuditError
from .event import Json
from .log import Log, version_of
from .merkle import leaf_hash
from .pruned import begins_of, edge_to_json
from .signers import described_keys


def export(log: Log, folder: Path) -> None:
    """Export a log with all its openings to a new folder, in the form that `log` describes.

    The folder appears whole or not at all; with an opening in it, it is for its owner alone. Raises AuditError if it exists or can't be written.
    """
    if folder.exists():
        raise AuditError(f"{folder} exists; export to a new folder")
    try:
        unfinished = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise AuditError(f"{folder.parent} can't be written: {error.strerror}") from error
    try:
        if not _write(log, unfinished):
            unfinished.chmod(0o755)
        unfinished.rename(folder)
    except OSError as error:
        raise AuditError(f"{folder} can't be written: {error.strerror}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)  # gone already when all went well


def _write(log: Log, folder: Path) -> int:
    """Write all of it, and count the openings."""
    counts = _write_entries(log, folder)
    counts["checkpoints"] = _write_lines(folder / "checkpoints.jsonl", (orjson.dumps(note) for note in log.checkpoints()))
    (folder / "bundles").mkdir()
    for digest, sources in log.bundles().items():
        if not digest.isalnum():  # it becomes a file's name, and a database can be tampered with
            raise AuditError(f"{digest!r} is not the digest of a policy bundle")
        _write_lines(folder / "bundles" / f"{digest}.json", [orjson.dumps(dict(sources), option=orjson.OPT_SORT_KEYS)])
    about: dict[str, Json] = {"from": edge_to_json(begins)} if (begins := begins_of(log)).size else {}
    about |= {"v": version_of(about), "log": log.log_id, **described_keys(log), "counts": counts}
    _write_lines(folder / "log.json", [orjson.dumps(about, option=orjson.OPT_INDENT_2)])
    return counts["openings"]


def _write_entries(log: Log, folder: Path) -> dict[str, int]:
    counts = {"leaves": 0, "placed": 0, "openings": 0}
    with (
        (folder / "leaves.jsonl").open("wb") as leaves,
        (folder / "hashes.bin").open("wb") as hashes,
        (folder / "openings.jsonl").open("wb") as openings,
    ):
        for number, entry in enumerate(log.entries()):
            leaves.write(entry.leaf + b"\n")
            hashes.write(entry.hash or leaf_hash(entry.leaf))
            counts["leaves"] += 1
            counts["placed"] += entry.index is not None
            if entry.opening is not None:
                openings.write(orjson.dumps({"leaf": number, "opening": entry.opening}) + b"\n")
                counts["openings"] += 1
        for file in (leaves, hashes, openings):
            _flush(file)
    return counts


def _write_lines(path: Path, lines: Iterable[bytes]) -> int:
    count = 0
    with path.open("wb") as file:
        for line in lines:
            file.write(line + b"\n")
            count += 1
        _flush(file)
    return count


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
