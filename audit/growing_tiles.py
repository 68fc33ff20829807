"""The tiles of a log that grows: what is full is handed on at once, and only the edge is kept, in O(log n) space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .merkle import root
from .tiles import HEIGHT, WIDTH, Fetch, Tile, hashes_in, width_of


class GrowingTiles:
    """The unfinished tile of each level, from which the tree goes on growing.

    It begins empty, or from the tiles of a log of `size` leaves; then AuditError is raised when they can't be read.
    """

    def __init__(self, size: int = 0, fetch: Fetch | None = None) -> None:
        self._full: list[int] = []  # tiles finished, by level
        self._edge: list[list[bytes]] = []  # the hashes after them
        while fetch is not None and size >> HEIGHT * len(self._full):
            level = len(self._full)
            number = (size >> HEIGHT * level) // WIDTH
            width = width_of(size, level, number)
            self._full.append(number)
            self._edge.append(hashes_in(fetch, Tile(level, number, width)) if width else [])

    def add(self, added: bytes, level: int = 0) -> Iterator[tuple[Tile, list[bytes]]]:
        """Take the next hash of this level, a leaf's by default; give each tile that it fills, with its hashes."""
        while level >= len(self._full):
            self._full.append(0)
            self._edge.append([])
        hashes = self._edge[level]
        hashes.append(added)
        if len(hashes) == WIDTH:
            tile = Tile(level, self._full[level])
            self._full[level], self._edge[level] = tile.number + 1, []
            yield tile, hashes
            yield from self.add(root(hashes), level + 1)

    def skip(self, blocks: Sequence[bytes]) -> Iterator[tuple[Tile, list[bytes]]]:
        """Begin behind full tiles of leaves of which only the roots are there; give each tile above that they fill."""
        self._full, self._edge = [len(blocks)], [[]]
        for block in blocks:
            yield from self.add(block, 1)

    def edge(self) -> Iterator[tuple[Tile, list[bytes]]]:
        """Give the tiles that are not full."""
        for level, (number, hashes) in enumerate(zip(self._full, self._edge, strict=True)):
            if hashes:
                yield Tile(level, number, len(hashes)), hashes
