"""A log, as the verifier and the export see it, whether it lives in a database or in an exported folder.

An exported folder holds, and `export` writes:

    log.json            what the log is: format, origin, log id, verifier key, rotations of that, and how many lines the other files have
    leaves.jsonl        each leaf as it was written and hashed, one a line; the sequenced ones by index, then the others
    hashes.bin          the leaf hash stored beside each leaf, 32 bytes each: names the leaf that was changed
    openings.jsonl      {"leaf": line number from 0, "opening": {pointer: [salt, value]}}, for the leaves that have one here
    checkpoints.jsonl   each signed note as a JSON string, by size
    bundles/DIGEST.json the sources of a policy bundle, {path: text}

Where the front of a log was pruned, log.json says so and is of format 2: `"from": {"index": the first leaf that is there, "edge": the
roots (hex) of the perfect subtrees before it, largest first}`. Lines are counted from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

import orjson

from ..errors import AuditError
from .checkpoint import read_verifier_key
from .event import Json
from .leaf import Opening
from .merkle import RightEdge
from .pruned import edge_from_json
from .signers import read_rotations

LONGEST_LINE = 1 << 26
"""Bytes of a line that are read at once: no line that anybody has written is as long."""
FORMAT, PRUNED = 1, 2
"""The versions of the folder's form, the member `v` of log.json: of a whole log, and of one whose front was pruned."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf in its place.

    `index` counts from 0; None while the sequencer has not placed it. `hash` is the leaf hash that was stored beside it, if
    any. `opening` is None where the personal values are sealed to this reader.
    """

    index: int | None
    leaf: bytes
    hash: bytes | None = None
    opening: Opening | None = None


class Log(Protocol):
    """One tenant's log. What its methods give is one snapshot: no checkpoint is newer than the entries.

    One whose front was pruned has a member `begins`, too: the RightEdge of the tree before its first entry (see `pruned`); and one whose
    signing key was rotated a member `rotations` (see `signers`). One that knows of which tenant its leaves must be has a member `tenant`:
    the logs of one database have one name and one key.
    """

    @property
    def origin(self) -> str:
        """The name under which its checkpoints are signed."""

    @property
    def log_id(self) -> str:
        """The name that its leaves carry."""

    @property
    def public_key(self) -> bytes:
        """The raw Ed25519 key (32 bytes) that must have signed its checkpoints, or one that it was rotated from or to."""

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Give the placed entries by index from `start` on, then those that have no place yet. Raises AuditError for what it can't read."""

    def checkpoints(self) -> Iterator[str]:
        """Give the signed notes by size. Raises AuditError for what it can't read."""

    def bundles(self) -> Mapping[str, Mapping[str, str]]:
        """Give the policy bundles by digest: their sources by path."""


class FolderLog:
    """A log in an exported folder, read as a stream.

    A folder says itself whose key signed it; a reader who doesn't trust the folder passes the `verifier_key` that they were
    given another way. `sealed` leaves openings unread. Raises AuditError when the folder is not an export, or not of the log of that key.
    """

    def __init__(self, folder: Path, verifier_key: str | None = None, *, sealed: bool = False) -> None:
        self._folder, self._sealed = folder, sealed
        about = _read(folder / "log.json")
        try:
            stated, self.log_id, self._counts = about["key"], about["log"], about["counts"]
            numbers = [self._counts[name] for name in ("leaves", "placed", "openings", "checkpoints")]
            recognised = about["v"] == version_of(about) and type(stated) is str and all(type(number) is int for number in numbers)
        except (KeyError, TypeError, AttributeError):
            recognised = False
        if not recognised:
            raise AuditError(f"{folder} is not an exported log of format {FORMAT}")
        self._from = edge_from_json(about["from"]) if "from" in about else RightEdge()
        self.origin, self.public_key = read_verifier_key(verifier_key or stated)
        self.rotations = read_rotations(about.get("rotations"), self.origin)
        known = {read_verifier_key(stated)[1], *(key for one in self.rotations for key in (one.old, one.new))}
        if self.public_key not in known or read_verifier_key(stated)[0] != self.origin:
            raise AuditError(f"{folder} says that its key is {stated}, which is not the key that was given, nor rotated from it")

    @property
    def begins(self) -> RightEdge:
        """The tree that was pruned from its front."""
        return RightEdge(self._from.size, self._from.subtrees)

    @property
    def size(self) -> int:
        """How many leaves it says that it has."""
        return int(self._counts["leaves"])

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Give each leaf from `start` on with its stored hash and its opening."""
        openings = iter(()) if self._sealed else self._openings()
        upcoming = next(openings, None)
        with self._open("hashes.bin") as hashes:
            for number, leaf in enumerate(self._lines("leaves")):
                opening = None
                if upcoming is not None and upcoming[0] == number:
                    opening, upcoming = upcoming[1], next(openings, None)
                index = self._from.size + number if number < self._counts["placed"] else None
                entry = Entry(index, leaf, hashes.read(32), opening)
                if index is None or index >= start:
                    yield entry
            if hashes.read(1):
                raise AuditError("hashes.bin has more hashes than there are leaves: something was added")
        if upcoming is not None:
            raise AuditError(f"openings.jsonl is out of order, or opens a leaf {upcoming[0]} that is not there")

    def checkpoints(self) -> Iterator[str]:
        """Give each signed note."""
        for line in self._lines("checkpoints"):
            note = _parse(line, "checkpoints.jsonl")
            if not isinstance(note, str):
                raise AuditError("a line of checkpoints.jsonl is not a string")
            yield note

    def bundles(self) -> Mapping[str, Mapping[str, str]]:
        """Give the policy bundles that lie beside the leaves."""
        return {path.stem: _read(path) for path in sorted((self._folder / "bundles").glob("*.json"))}

    def _openings(self) -> Iterator[tuple[int, Opening]]:
        for line in self._lines("openings"):
            match _parse(line, "openings.jsonl"):
                case {"leaf": int(number), "opening": dict(opening)}:
                    yield number, opening
                case _:
                    raise AuditError("a line of openings.jsonl is not an opening")

    def _lines(self, name: str) -> Iterator[bytes]:
        """Give the lines of a file, which must be whole and as many as log.json says."""
        expected, count, whole = self._counts[name], 0, True
        with self._open(f"{name}.jsonl") as file:
            for line in iter(partial(file.readline, LONGEST_LINE), b""):
                if not (whole := line.endswith(b"\n")):
                    break
                count += 1
                yield line[:-1]
        if count != expected or not whole:
            raise AuditError(f"{name}.jsonl has {count} whole lines, and log.json says {expected}: it was cut or added to")

    def _open(self, name: str) -> BinaryIO:
        try:
            return (self._folder / name).open("rb")
        except OSError as error:
            raise AuditError(f"{self._folder / name} can't be read: {error.strerror}") from error


def version_of(about: Mapping[str, Json]) -> int:
    """Say of which format a log.json must be."""
    return PRUNED if "from" in about else FORMAT


def _read(path: Path) -> Json:
    try:
        return _parse(path.read_bytes(), path.name)
    except OSError as error:
        raise AuditError(f"{path} can't be read: {error.strerror}") from error


def _parse(text: bytes, name: str) -> Json:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise AuditError(f"{name} holds what is not JSON: {error}") from error
