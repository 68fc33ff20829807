"""Logs of any size with tiny leaves: for what concerns only the tree, not what the leaves tell."""

from dataclasses import dataclass, field
from functools import cache

from remit.audit import Entry, RightEdge, leaf_hash, sign
from tests.audit.building import KEY, LOG_ID, ORIGIN

SIZES = [0, 1, 2, 255, 256, 257, 65_535, 65_536, 70_000]


def leaf(index):
    return b"%d" % index


@cache
def hash_at(index):
    return leaf_hash(leaf(index))


@cache
def note(size, key=KEY):
    edge = RightEdge()
    for index in range(size):
        edge.append(hash_at(index))
    return sign(ORIGIN, size, edge.root(), key)


@dataclass
class TinyLog:
    """A log of `size` leaves under one checkpoint, made as it is read."""

    size: int
    origin: str = ORIGIN
    log_id: str = LOG_ID
    public_key: bytes = KEY.public_key().public_bytes_raw()
    rotations: tuple = field(default=(), kw_only=True)

    def entries(self, start=0):
        return (Entry(index, leaf(index)) for index in range(start, self.size))

    def checkpoints(self):
        return iter([note(self.size)])

    def bundles(self):
        return {}
