"""Read a log from its tiles, in a folder or wherever a static server publishes them.

Beside what C2SP tlog-tiles lays down there are, and `export_tiles` writes:

    log.json              what the log is: format, form "tiles", log id, verifier key, rotations of that, the digests of its policy bundles
    bundles/DIGEST.json   the sources of a policy bundle, {path: text}

Where the front of a log was pruned before its first export, log.json says so (`"from": {"index": the first leaf that is there}`), and
the tiles and bundles of the leaves before it are missing; all tiles above them are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

from ..errors import AuditError
from .checkpoint import read_verifier_key
from .event import Json
from .growing_tiles import GrowingTiles
from .log import FORMAT, Entry, version_of
from .merkle import RightEdge, root
from .pruned import tree_over
from .signers import read_rotations, signers_of
from .tiles import WIDTH, Fetch, Tile, hashes_in, leaves_in, width_of

_MOST_DESCRIBED = 1 << 20
_LARGEST_CHECKPOINT = 1 << 20
_LARGEST_POLICIES = 1 << 26


def folder_fetch(folder: Path) -> Fetch:
    """Give the files of a folder."""

    def fetch(path: str, most: int) -> bytes | None:
        try:
            with (folder / path).open("rb") as file:
                return file.read(most)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AuditError(f"{folder / path} can't be read: {error.strerror}") from error

    return fetch


class TileLog:
    """A log as the files that `fetch` gives, read as a stream: what is kept is one bundle and the edge of the tiles.

    It says itself whose key signed it; a reader who doesn't trust it passes the `verifier_key` that they were given another
    way. Raises AuditError when there is no such log, or not of that key.
    """

    def __init__(self, fetch: Fetch, verifier_key: str | None = None) -> None:
        self._fetch = fetch
        # The checkpoint is written last, so it is read first: what log.json then tells is of it, or of later.
        published = self._fetch("checkpoint", _LARGEST_CHECKPOINT + 1)
        about = self._json("log.json", _MOST_DESCRIBED)
        try:
            stated, self.log_id, self._digests = about["key"], about["log"], about["bundles"]
            recognised = (about["v"], about["form"], type(stated), type(self.log_id)) == (version_of(about), "tiles", str, str)
            self._first = about["from"]["index"] if "from" in about else 0
            recognised = recognised and all(each.isalnum() for each in self._digests)
            recognised = recognised and type(self._first) is int and self._first >= 0 and self._first % WIDTH == 0
        except (KeyError, TypeError, AttributeError):
            recognised = False
        if not recognised:
            raise AuditError(f"log.json does not describe a log in tiles of format {FORMAT}")
        self.note = self._bounded("checkpoint", published, _LARGEST_CHECKPOINT).decode(errors="replace")
        self.origin, self.public_key = read_verifier_key(stated)
        # What it tells of leaves that no checkpoint covers yet is passed over.
        said = read_rotations(about.get("rotations"), self.origin)
        self.rotations = tuple(one for one in said if one.leaf < self.size)
        if len(self.rotations) < len(said):
            self.public_key = said[len(self.rotations)].old
        if verifier_key is not None:
            origin, self.public_key = read_verifier_key(verifier_key)
            known = {read_verifier_key(stated)[1], *(key for one in said for key in (one.old, one.new))}
            if origin != self.origin or self.public_key not in known:
                raise AuditError(f"log.json says that its key is {stated}, which is not the key that was given, nor rotated from it")

    @property
    def begins(self) -> RightEdge:
        """The tree that was pruned from its front, as the tiles above it have it. Raises AuditError when they can't be read."""
        return tree_over(self.blocks())

    def blocks(self) -> list[bytes]:
        """Give the roots of the tiles of leaves that were pruned from its front."""
        if self._first > self.size:
            raise AuditError(f"log.json says that the log begins at leaf {self._first}, behind the end of its checkpoint")
        if not self._first:
            return []
        size, whole = signers_of(self).verify(self.note).size, self._first // WIDTH  # whoever publishes it may say any size
        numbers = range(-(-whole // WIDTH))
        return [each for number in numbers for each in hashes_in(self._fetch, Tile(1, number, width_of(size, 1, number)))][:whole]

    @property
    def size(self) -> int:
        """How many leaves its checkpoint says that it has, whoever signed that; 0 when it is none."""
        size = [*self.note.split("\n"), ""][1]
        return int(size) if size.isascii() and size.isdecimal() and len(size) < 20 else 0

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Give each leaf from `start` on with the hash in its tile; raise AuditError for what can't be read.

        And at the end, if a tile above is not made of those below it, where it was read from the beginning.
        """
        above, wrong = GrowingTiles(), None
        size = signers_of(self).verify(self.note).size
        if self._first:
            wrong = self._differing(above.skip(self.blocks()))
        for number in range(max(start, self._first) // WIDTH, -(-size // WIDTH)):
            tile = Tile(0, number, width_of(size, 0, number))
            hashes = hashes_in(self._fetch, tile)
            for place, leaf in enumerate(leaves_in(self._fetch, Tile(None, number, tile.width))):
                if number * WIDTH + place >= start:
                    yield Entry(number * WIDTH + place, leaf, hashes[place])
            if tile.width == WIDTH and start == 0:
                wrong = wrong or self._differing(above.add(root(hashes), 1))
        wrong = wrong or (self._differing(above.edge()) if start == 0 else None)
        if wrong is not None:
            raise AuditError(f"{wrong.path} was changed: its hashes are not those of the tiles below it")

    def checkpoints(self) -> Iterator[str]:
        """Give the checkpoints at which the signing key was rotated, and the one that is published."""
        yield from (one.note for one in self.rotations if one.leaf + 1 < self.size)
        yield self.note

    def bundles(self) -> Mapping[str, Mapping[str, str]]:
        """Give the policy bundles that lie beside the tiles."""
        return {digest: self._json(f"bundles/{digest}.json", _LARGEST_POLICIES) for digest in self._digests}

    def _differing(self, made: Iterator[tuple[Tile, list[bytes]]]) -> Tile | None:
        return next((tile for tile, hashes in made if hashes != hashes_in(self._fetch, tile)), None)

    def _json(self, path: str, most: int) -> Json:
        try:
            return orjson.loads(self._file(path, most))
        except orjson.JSONDecodeError as error:
            raise AuditError(f"{path} holds what is not JSON: {error}") from error

    def _file(self, path: str, most: int) -> bytes:
        return self._bounded(path, self._fetch(path, most + 1), most)

    def _bounded(self, path: str, data: bytes | None, most: int) -> bytes:
        if data is None:
            raise AuditError(f"{path} is missing")
        if len(data) > most:
            raise AuditError(f"{path} has more than {most} bytes")
        return data
