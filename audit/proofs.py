"""Proofs of RFC 6962, section 2.1: that a leaf is in a log, and that a log has only grown.

They are made from hashes of perfect subtrees, wherever those come from (a list, tiles, a database), and checked from nothing but
what the proof and the two parties say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..errors import AuditError
from .merkle import EMPTY_ROOT, node_hash

Nodes = Callable[[int, int], bytes]
"""Gives the hash of the perfect subtree number `index` (from 0) of height `level`: that of leaves index * 2**level and on."""


def subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Name the perfect subtrees (level, index) that make up the leaves from start to before end, from the left, largest possible.

    `start` is a multiple of the largest one, as wherever RFC 6962 splits a tree.
    """
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def root_of(size: int, nodes: Nodes) -> bytes:
    """Give the root of the tree of the first `size` leaves."""
    return _hash(0, size, nodes) if size else EMPTY_ROOT


def prove_inclusion(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """Prove that leaf `index` is in the tree of `size` leaves: PATH(index, D[size]) of the RFC, the hash beside the leaf first.

    Raises AuditError when there is no such leaf.
    """
    if not 0 <= index < size:
        raise AuditError(f"there is no leaf {index} in a log of {size}")
    proof, start, end = [], 0, size
    while end - start > 1:
        split = start + _left(end - start)
        if index < split:
            proof.append(_hash(split, end, nodes))
            end = split
        else:
            proof.append(_hash(start, split, nodes))
            start = split
    return proof[::-1]


def prove_consistency(old: int, new: int, nodes: Nodes) -> list[bytes]:
    """Prove that the tree of `old` leaves is the beginning of that of `new`: PROOF(old, D[new]) of the RFC.

    It is empty where there is nothing to prove: from no leaves, and from the same size. Raises AuditError when old is the larger.
    """
    if not 0 <= old <= new:
        raise AuditError(f"a log of {old} leaves can't have become one of {new}")
    if old in {0, new}:
        return []
    proof, start, end = [], 0, new
    while end != old:
        split = start + _left(end - start)
        if old <= split:
            proof.append(_hash(split, end, nodes))
            end = split
        else:
            proof.append(_hash(start, split, nodes))
            start = split
    if start:  # else the old tree is itself a subtree, and its root is known
        proof.append(_hash(start, end, nodes))
    return proof[::-1]


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf of this hash is at `index` in the tree of `size` leaves under `root` (RFC 9162, 2.1.3.2).

    Raises AuditError when the proof does not show it.
    """
    if not 0 <= index < size:
        raise AuditError(f"there is no leaf {index} in a log of {size}")
    here, last, found = index, size - 1, leaf
    for beside in proof:
        if last == 0:
            raise AuditError(f"the proof of leaf {index} is too long")
        if here & 1 or here == last:
            found = node_hash(beside, found)
            here, last = _rise(here, last)
        else:
            found = node_hash(found, beside)
        here, last = here >> 1, last >> 1
    if last or found != root:
        raise AuditError(f"the proof does not show that leaf {index} is in the log of {size} leaves")


def check_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Check that the tree of `old` leaves under `old_root` is the beginning of that of `new` under `new_root` (RFC 9162, 2.1.4.2).

    Raises AuditError when the proof does not show it.
    """
    if not 0 <= old <= new:
        raise AuditError(f"a log of {old} leaves can't have become one of {new}")
    failed = AuditError(f"the proof does not show that the log of {new} leaves begins with that of {old}")
    if old in {0, new}:
        if proof or old_root != (new_root if old else EMPTY_ROOT):
            raise failed
        return
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    steps = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not steps:
        raise failed
    before = after = steps[0]
    for beside in steps[1:]:
        if last == 0:
            raise failed
        if here & 1 or here == last:
            before, after = node_hash(beside, before), node_hash(beside, after)
            here, last = _rise(here, last)
        else:
            after = node_hash(after, beside)
        here, last = here >> 1, last >> 1
    if last or before != old_root or after != new_root:
        raise failed


def _rise(here: int, last: int) -> tuple[int, int]:
    """Go up, at the right edge, past the levels where nothing is beside the node."""
    while not here & 1 and here:
        here, last = here >> 1, last >> 1
    return here, last


def _left(count: int) -> int:
    """Give the size of the left part of so many leaves: the largest power of two below it."""
    return 1 << (count - 1).bit_length() - 1


def _hash(start: int, end: int, nodes: Nodes) -> bytes:
    *rest, last = [nodes(level, index) for level, index in subtrees(start, end)]
    for left in reversed(rest):
        last = node_hash(left, last)
    return last
