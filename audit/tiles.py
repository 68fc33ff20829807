"""The layout of C2SP tlog-tiles (https://c2sp.org/tlog-tiles): in which file each hash and each leaf of a log lies.

A log is a finite set of files that never change, but for `checkpoint`, so any static server can publish it:

    checkpoint              the signed note of the log as it stands
    tile/LEVEL/NUMBER       256 hashes, each of a perfect subtree of height 8 * LEVEL; fewer, at the edge, with `.p/WIDTH` behind it
    tile/entries/NUMBER     256 leaves, each behind its length (16 bits, big-endian); likewise
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from ..errors import AuditError
from .leaf import LARGEST
from .merkle import root

WIDTH = 256
"""Hashes in a full tile, and leaves in a full bundle."""

HEIGHT = 8
"""Levels of the tree between the hashes of one level of tiles and those of the next."""

HASH_SIZE = 32
"""Bytes in a hash."""

_LENGTH_SIZE = 2
_KEPT = 64  # tiles that `Hashes` keeps at hand: more than a proof takes

Fetch = Callable[[str, int], bytes | None]
"""Gives the file of a path, or its beginning if it has more than so many bytes; None where there is none.

Raises AuditError when it can't tell.
"""


@dataclass(frozen=True, slots=True)
class Tile:
    """One file of hashes, or of leaves where `level` is None."""

    level: int | None
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Where it lies: the number in groups of three digits, all but the last behind an `x`."""
        digits = str(self.number)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[start : start + 3] for start in range(0, len(digits), 3)]
        place = "".join(f"x{group}/" for group in groups[:-1]) + groups[-1]
        level = "entries" if self.level is None else self.level
        return f"tile/{level}/{place}" + ("" if self.width == WIDTH else f".p/{self.width}")

    @property
    def full(self) -> Tile:
        """The tile that it grows into."""
        return replace(self, width=WIDTH)


def width_of(size: int, level: int, number: int) -> int:
    """Say how wide this tile is in a log of `size` leaves; 0 where there is none."""
    return max(0, min(WIDTH, (size >> HEIGHT * level) - number * WIDTH))


def hashes_in(fetch: Fetch, tile: Tile) -> list[bytes]:
    """Read a tile's hashes. Raises AuditError when it is missing or has not just so many."""
    there, data = _read(fetch, tile, HASH_SIZE)
    if len(data) != there.width * HASH_SIZE:
        wrong = "it was truncated" if len(data) < there.width * HASH_SIZE else "something was added"
        raise AuditError(f"{there.path} has {len(data)} bytes, not {there.width * HASH_SIZE}: {wrong}")
    return [data[start : start + HASH_SIZE] for start in range(0, tile.width * HASH_SIZE, HASH_SIZE)]


def leaves_in(fetch: Fetch, tile: Tile) -> list[bytes]:
    """Read a bundle's leaves. Raises AuditError when it is missing or has not just so many."""
    there, data = _read(fetch, tile, _LENGTH_SIZE + LARGEST)
    leaves: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + _LENGTH_SIZE
        at = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or at > len(data):
            raise AuditError(f"{there.path} ends within leaf {tile.number * WIDTH + len(leaves)}: it was truncated")
        leaves.append(data[start:at])
    if len(leaves) != there.width:
        wrong = "it was truncated, or a leaf was deleted" if len(leaves) < there.width else "a leaf was added or doubled"
        raise AuditError(f"{there.path} has {len(leaves)} leaves, not {there.width}: {wrong}")
    return leaves[: tile.width]


def bundle(leaves: Iterable[bytes]) -> bytes:
    """Write leaves, none of which is over the limit, as a bundle."""
    return b"".join(len(leaf).to_bytes(_LENGTH_SIZE, "big") + leaf for leaf in leaves)


class Hashes:
    """The tree's hashes of a log of `size` leaves, out of its tiles: the `Nodes` that proofs are made from.

    What it gives is only as true as the files; a proof made of it is checked against the checkpoint.
    """

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._size = size
        self._tile = lru_cache(_KEPT)(lambda level, number: hashes_in(fetch, Tile(level, number, width_of(size, level, number))))

    def __call__(self, level: int, index: int) -> bytes:
        """Give the hash of the perfect subtree number `index` of this height. Raises AuditError when it can't be read."""
        if index + 1 << level > self._size:
            raise AuditError(f"a log of {self._size} leaves has no full subtree {index} of height {level}")
        tiles, above = divmod(level, HEIGHT)
        number, place = divmod(index << above, WIDTH)
        return root(self._tile(tiles, number)[place : place + (1 << above)])


def _read(fetch: Fetch, tile: Tile, each: int) -> tuple[Tile, bytes]:
    """Read a tile, or the full one that it has grown into: a log may drop a part once the whole is there."""
    for there in dict.fromkeys((tile, tile.full)):
        most = there.width * each
        if (data := fetch(there.path, most + 1)) is not None:
            if len(data) > most:
                raise AuditError(f"{there.path} has more than the {most} bytes that it can have: something was added")
            return there, data
    raise AuditError(f"{tile.path} is missing")
