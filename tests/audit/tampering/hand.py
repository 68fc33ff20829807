"""The hand of somebody with full write access to the database: guards dropped, hashes and chains recomputed, no signing key."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remit.audit import RightEdge, leaf_hash, sign
from tests.runtime.unguarded import unguarded

FORGER = Ed25519PrivateKey.from_private_bytes(b"f" * 32)


@dataclass
class Hand:
    """What it can do, over one connection."""

    connection: sqlite3.Connection

    def sql(self, sql: str, *values: Any) -> list[Any]:
        """Run a statement."""
        return self.connection.execute(sql, values).fetchall()

    def leaf(self, index: int) -> bytes:
        """Give a leaf as it is."""
        ((leaf,),) = self.sql("SELECT leaf FROM event WHERE leaf_index = ?", index)
        return bytes(leaf)

    def write(self, index: int, leaf: bytes, *, hashed: bool = True) -> None:
        """Put other bytes in a leaf's place, with their hash beside them, or with the old one."""
        self.sql("UPDATE event SET leaf = ? WHERE leaf_index = ?", leaf, index)
        if hashed:
            self.sql("UPDATE event SET hash = ? WHERE leaf_index = ?", leaf_hash(leaf), index)

    def change(self, index: int, old: bytes, new: bytes, *, hashed: bool = True) -> None:
        """Change some bytes of a leaf."""
        assert old in self.leaf(index), self.leaf(index)
        self.write(index, self.leaf(index).replace(old, new), hashed=hashed)

    def rechain(self, index: int) -> None:
        """Let every later event of the call of this leaf name the event before it anew."""
        ((call,),) = self.sql("SELECT call FROM event WHERE leaf_index = ?", index)
        before: tuple[bytes, bytes] | None = None
        for place, leaf, was in self.sql("SELECT leaf_index, leaf, hash FROM event WHERE call = ? ORDER BY sequence", call):
            if before is not None and before[0] != before[1]:
                leaf = bytes(leaf).replace(self._named(leaf), before[1].hex().encode())
                self.write(place, leaf)
            before = (was, leaf_hash(leaf)) if before is None or leaf_hash(leaf) != was else (was, was)
            if place == index:
                before = (b"", leaf_hash(leaf))

    @staticmethod
    def _named(leaf: bytes) -> bytes:
        return bytes(leaf).partition(b'"previous":"')[2][:64]

    def close_the_gap(self) -> None:
        """Number the leaves anew, from 0."""
        self.sql("DROP INDEX event_place")
        rows = self.sql("SELECT position FROM event WHERE leaf_index IS NOT NULL ORDER BY leaf_index")
        for index, (position,) in enumerate(rows):
            self.sql("UPDATE event SET leaf_index = ? WHERE position = ?", index, position)

    def swap(self, one: int, other: int, columns: Sequence[str] = ("leaf", "hash")) -> None:
        """Let two events change places."""
        for column in columns:
            values = {index: self.sql(f"SELECT {column} FROM event WHERE leaf_index = ?", index)[0][0] for index in (one, other)}
            self.sql(f"UPDATE event SET {column} = ? WHERE leaf_index = ?", values[other], one)
            self.sql(f"UPDATE event SET {column} = ? WHERE leaf_index = ?", values[one], other)

    def copy(self, index: int, to: int) -> None:
        """Put a further row with this leaf at a place."""
        self.sql(
            "INSERT INTO event (tenant, id, call, sequence, kind, at, leaf, hash, leaf_index) "
            "SELECT tenant, id || 'x', call, sequence, kind, at, leaf, hash, ? FROM event WHERE leaf_index = ? LIMIT 1",
            to,
            index,
        )

    def edge(self, size: int | None = None) -> RightEdge:
        """Build the tree over the leaves that are there."""
        edge = RightEdge()
        for (leaf,) in self.sql(
            "SELECT leaf FROM event WHERE leaf_index IS NOT NULL ORDER BY leaf_index LIMIT ?", -1 if size is None else size
        ):
            edge.append(leaf_hash(leaf))
        return edge

    def set_head(self, size: int | None = None) -> None:
        """Let the sequencer go on from the leaves that are there."""
        edge = self.edge(size)
        self.sql("UPDATE log_head SET size = ?, edge = ?", edge.size, edge.to_bytes())

    def resign(self, key: Ed25519PrivateKey) -> None:
        """Put one checkpoint of this key over everything in the place of all that there are, and let the tree go on from there."""
        ((log_id,),) = self.sql("SELECT value FROM store_meta WHERE key = 'log_id'")
        edge = self.edge()
        self.sql("DELETE FROM checkpoint")
        self.sql("INSERT INTO checkpoint VALUES ('default', ?, ?, 0)", edge.size, sign(log_id, edge.size, edge.root(), key))
        self.set_head()


@contextlib.contextmanager
def hand(path: Path) -> Iterator[Hand]:
    """Lend a hand; what it did is committed, and the guards stand again, so that nothing shows that they were gone."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection, unguarded(connection):
        yield Hand(connection)
