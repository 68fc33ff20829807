"""The Merkle tree of RFC 6962, section 2.1: the hashes, and the right edge from which a log goes on growing."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from ..errors import AuditError

EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree with no leaves."""

_HASH_SIZE = 32
_SIZE_SIZE = 8


def leaf_hash(leaf: bytes) -> bytes:
    """Hash one leaf: SHA-256(0x00 ‖ leaf)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into their parent: SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


def root(hashes: Iterable[bytes]) -> bytes:
    """Give the root of the tree over these leaf hashes, in order."""
    edge = RightEdge()
    for each in hashes:
        edge.append(each)
    return edge.root()


class RightEdge:
    """A tree of which only the roots of its perfect subtrees are kept: all that appending needs, in O(log n) space.

    The subtrees are those of the binary digits of the size, largest first.
    """

    __slots__ = ("_subtrees", "size")

    def __init__(self, size: int = 0, subtrees: Iterable[bytes] = ()) -> None:
        self.size = size
        self._subtrees = list(subtrees)
        if len(self._subtrees) != size.bit_count() or any(len(each) != _HASH_SIZE for each in self._subtrees):
            raise AuditError(f"this is not the right edge of a tree of size {size}")

    @property
    def subtrees(self) -> tuple[bytes, ...]:
        """The roots of the perfect subtrees, largest first."""
        return tuple(self._subtrees)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash (32 bytes)."""
        size, subtrees = self.size, self._subtrees
        while size & 1:  # each trailing 1 is a perfect subtree as large as the new one: they join
            leaf = sha256(b"\x01" + subtrees.pop() + leaf).digest()
            size >>= 1
        subtrees.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Give the root of the tree as it stands."""
        if not self._subtrees:
            return EMPTY_ROOT
        *rest, whole = self._subtrees
        for left in reversed(rest):
            whole = node_hash(left, whole)
        return whole

    def to_bytes(self) -> bytes:
        """Write the state: the size (8 bytes, big-endian), then the subtrees' roots."""
        return self.size.to_bytes(_SIZE_SIZE, "big") + b"".join(self._subtrees)

    @classmethod
    def from_bytes(cls, state: bytes) -> RightEdge:
        """Read what `to_bytes` wrote. Raises AuditError when it can't be that."""
        if len(state) < _SIZE_SIZE:
            raise AuditError("this is not the right edge of a tree")
        starts = range(_SIZE_SIZE, len(state), _HASH_SIZE)
        return cls(int.from_bytes(state[:_SIZE_SIZE], "big"), [state[start : start + _HASH_SIZE] for start in starts])
