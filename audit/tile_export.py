"""Write a log as a folder of tiles, or write on where an earlier export of it ended."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

import orjson

from ..errors import AuditError
from .checkpoint import Checkpoint
from .event import Json
from .growing_tiles import GrowingTiles
from .leaf import LARGEST
from .log import Entry, Log, version_of
from .merkle import EMPTY_ROOT, RightEdge, leaf_hash
from .proofs import subtrees
from .pruned import begins_of, blocks_of, tree_over
from .signers import described_keys, signers_of
from .tile_log import TileLog, folder_fetch
from .tiles import HEIGHT, WIDTH, Hashes, Tile, bundle, leaves_in, width_of


def export_tiles(log: Log, folder: Path, newest: str | None = None) -> Checkpoint:
    """Write what is under the log's latest checkpoint as tiles, without openings; give that checkpoint.

    Who has that at hand passes it (`newest`): then nothing before the end of the folder's log is read.

    A folder that holds an earlier export of the same log is extended: what is there stays, and what is written is O(new). The
    checkpoint is written last, once its root is that of the tiles: whatever stops this, the folder holds the log of the checkpoint
    that it has. One writer at a time.

    Raises AuditError when the log has no checkpoint or is not what it signed, and when the folder holds something else, another
    log, a longer one, or tiles at its edge that its own checkpoint did not sign.
    """
    note = newest or next(iter(deque(log.checkpoints(), maxlen=1)), None)
    if note is None:
        raise AuditError("this log has no checkpoint yet: there is nothing that tiles could prove")
    checkpoint = signers_of(log).verify(note)
    try:
        old = _published(log, folder)
        if old.size > checkpoint.size:
            raise AuditError(f"{folder} has a checkpoint at size {old.size}; the log's own is an older one, at {checkpoint.size}")
        begins = begins_of(log)
        if 0 < old.size < begins.size:
            raise AuditError(
                f"{folder} ends at leaf {old.size}, and the log was pruned up to leaf {begins.size} since: export to a new folder"
            )
        writer = TileWriter(folder, old, () if old.size else blocks_of(log))
        _describe(log, folder, at_first=not old.size)
        start = max(old.size, begins.size)
        for leaf in _leaves(log.entries(start), start, checkpoint.size):
            writer.add(leaf)
        writer.publish(checkpoint, note)
    except OSError as error:
        raise AuditError(f"{folder} can't be written: {error.strerror}") from error
    return checkpoint


class TileWriter:
    """Adds leaves to the tiles of a folder whose checkpoint is `old` (that of an empty log where there is none).

    A new folder of a log whose front was pruned begins with the tiles above that, made from the roots of its `blocks`.
    Raises AuditError when the tiles at the edge are missing, truncated, or not those that `old` signed.
    """

    def __init__(self, folder: Path, old: Checkpoint, blocks: Sequence[bytes] = ()) -> None:
        self._folder, self._old = folder, old
        self._unflushed: list[Path] = []
        fetch, number = folder_fetch(folder), old.size // WIDTH
        self._tiles = GrowingTiles(old.size, fetch)
        nodes = Hashes(fetch, old.size)
        self._edge = RightEdge(old.size, [nodes(level, index) for level, index in subtrees(0, old.size)])
        width = width_of(old.size, 0, number)
        self._leaves = leaves_in(fetch, Tile(None, number, width)) if width else []
        hashes = next((hashes for tile, hashes in self._tiles.edge() if tile.level == 0), [])
        if self._edge.root() != old.root or [*map(leaf_hash, self._leaves)] != hashes:
            raise AuditError(f"the tiles at the edge of {folder} are not those that its checkpoint at size {old.size} signed")
        if blocks:
            self._edge = tree_over(blocks)
            for tile, hashes in self._tiles.skip(blocks):
                self._write(tile, b"".join(hashes))

    def add(self, leaf: bytes) -> None:
        """Add the next leaf; raises AuditError when it is over the limit."""
        if len(leaf) > LARGEST:
            raise AuditError(f"leaf {self._edge.size} has {len(leaf)} bytes; at most {LARGEST} fit")
        self._leaves.append(leaf)
        hashed = leaf_hash(leaf)
        self._edge.append(hashed)
        if len(self._leaves) == WIDTH:
            self._write(Tile(None, self._edge.size // WIDTH - 1), bundle(self._leaves))
            self._leaves = []
        for tile, hashes in self._tiles.add(hashed):
            self._write(tile, b"".join(hashes))

    def publish(self, checkpoint: Checkpoint, note: str) -> None:
        """Write the tiles at the edge and then the note, which says `checkpoint`; raises AuditError when it is of another tree."""
        size = self._edge.size
        if (checkpoint.size, checkpoint.root) != (size, self._edge.root()):
            raise AuditError(f"the checkpoint at size {checkpoint.size} was signed over other leaves; nothing was published")
        for tile, hashes in self._tiles.edge():
            if self._has_grown(tile.level or 0):
                self._write(tile, b"".join(hashes))
        if self._leaves and self._has_grown(0):
            self._write(Tile(None, size // WIDTH, len(self._leaves)), bundle(self._leaves))
        _flush(self._unflushed)
        self._unflushed = []
        _place(self._folder / "checkpoint", note.encode(), flush=True)
        _flush([self._folder])
        for tile in self._grown_full():
            shutil.rmtree(self._folder / f"{tile.path}.p", ignore_errors=True)

    def _write(self, tile: Tile, data: bytes) -> None:
        path = self._folder / tile.path
        _place(path, data)
        self._unflushed.append(path)

    def _has_grown(self, level: int) -> bool:
        return self._edge.size >> HEIGHT * level != self._old.size >> HEIGHT * level

    def _grown_full(self) -> Iterator[Tile]:
        """Name what was at the edge of the old log and is full now: its parts are of no use any more."""
        for level in range(-(-self._old.size.bit_length() // HEIGHT)):
            number = (self._old.size >> HEIGHT * level) // WIDTH
            if width_of(self._edge.size, level, number) == WIDTH:
                yield Tile(level, number)
                if level == 0:
                    yield Tile(None, number)


def _published(log: Log, folder: Path) -> Checkpoint:
    """Say what the folder holds already."""
    empty = Checkpoint(log.origin, 0, EMPTY_ROOT)
    if not folder.exists() or not any(folder.iterdir()):
        return empty
    if not (folder / "log.json").exists():
        raise AuditError(f"{folder} is not empty, and holds no log in tiles")
    if not (folder / "checkpoint").exists():  # its first export was stopped
        return empty
    held, signers = TileLog(folder_fetch(folder)), signers_of(log)
    if held.origin != log.origin or held.public_key not in signers.keys:
        raise AuditError(f"{folder} holds another log: its key is not the key that was given to this one, nor rotated from it")
    return signers.verify(held.note)


def _describe(log: Log, folder: Path, *, at_first: bool) -> None:
    bundles = log.bundles()
    for digest, sources in bundles.items():
        if not digest.isalnum():  # it becomes a file's name, and a database can be tampered with
            raise AuditError(f"{digest!r} is not the digest of a policy bundle")
        _place(folder / "bundles" / f"{digest}.json", orjson.dumps(dict(sources), option=orjson.OPT_SORT_KEYS), flush=True)
    held = None if at_first else TileLog(folder_fetch(folder))
    first = begins_of(log if held is None else held).size
    about: dict[str, Json] = {"from": {"index": first}} if first else {}
    # What the database has pruned since lies in the folder still, and so do the rotations that it tells of.
    before = [one for one in held.rotations if one.leaf < begins_of(log).size] if held else []
    about |= {"v": version_of(about), "form": "tiles", "log": log.log_id, **described_keys(log, before), "bundles": sorted(bundles)}
    _place(folder / "log.json", orjson.dumps(about, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE), flush=True)


def _leaves(entries: Iterable[Entry], start: int, end: int) -> Iterator[bytes]:
    """Give the leaves from `start`, where the entries begin, to before `end`, each of which must be in its place."""
    for upcoming, entry in enumerate(entries, start):
        if upcoming == end:
            return
        if entry.index != upcoming:
            raise AuditError(f"leaf {upcoming} is missing: the next that is there is {entry.index}")
        yield entry.leaf


def _place(path: Path, data: bytes, *, flush: bool = False) -> None:
    """Put a file in its place, whole or not at all; `flush` says so even for a loss of power."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if flush and path.is_file() and path.read_bytes() == data:
        return
    with NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".new", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            if flush:
                os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _flush(paths: Iterable[Path]) -> None:
    """Have files, and that they are in their folders, outlast a loss of power; all at once is many times faster than one by one."""
    for each in dict.fromkeys(one for path in paths for one in (path, path.parent)):
        opened = os.open(each, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
