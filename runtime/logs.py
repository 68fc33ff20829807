"""The live database as a log that the verifier and the export read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from ..audit import Entry, KeyFile, RightEdge, Rotation
from ..audit.pruned import BLOCK, tree_over
from ..errors import AuditError, RemitError, StoreError
from ..policies import ActionShape, Inputs, Policies, decide, load
from .database import Snapshot, as_bytes
from .signing import ROTATIONS, STANDING, rotations
from .views import OPENINGS, open_opening
from .work import Parts

_ENTRIES = f"SELECT e.leaf_index, e.leaf, e.hash, e.id, o.blob, o.subject, s.wrapped_key FROM event e {OPENINGS} WHERE e.tenant = ? "  # noqa: S608 - names from this package

_PRUNED = "SELECT p.below, p.former, p.blocks, e.leaf_index FROM pruned p LEFT JOIN event e ON e.tenant = p.tenant AND e.id = p.event WHERE p.tenant = ?"
_HASH = 32
_PLACES = 2**62
"""Beyond all of them. Where the head of the tree says that it ends, is not asked: no signature covers that, and whoever moves it back would
let leaves pass for such as have no place yet."""


def beginning(snapshot: Snapshot, tenant: str, size: int) -> tuple[int, bytes]:
    """Give the first leaf of a log of `size` leaves, and the roots of the blocks before it.

    What is to be pruned is there until the event that says so has its place. A mark that nobody pruned by (docs/tampering.md) says nothing.
    """
    for below, former, blocks, place in snapshot.scan(_PRUNED, (tenant,)):
        kept = as_bytes(blocks or b"")
        if type(below) is not int or type(former) is not int:
            continue
        if len(kept) * BLOCK == below * _HASH and former % BLOCK == 0 and 0 <= former <= below:
            first = below if type(place) is int and place < size else former
            return first, kept[: first // BLOCK * _HASH]
    return 0, b""


class DatabaseLog:
    """One tenant's log in an open database, at one moment: what is committed later is left out. Leave it as a context, or close it.

    `sealed` opens no personal value, `only` those of these pseudonyms alone.
    """

    def __init__(self, parts: Parts, *, sealed: bool = False, only: frozenset[str] | None = None) -> None:
        self._parts, self._sealed, self._only = parts, sealed, only
        self.origin = self.log_id = parts.log_id
        self._tenant = self.tenant = parts.store.tenant
        self._snapshot = parts.store.snapshot()
        self.public_key = self._keys().public_key
        self._first, self._blocks = beginning(self._snapshot, self._tenant, _PLACES)
        self.rotations: tuple[Rotation, ...] = ()
        with suppress(AuditError):  # what can't be read says nothing, and is found when the leaves are read
            found = rotations(self._snapshot.scan(ROTATIONS, (self._tenant, _PLACES)), parts.log_id)
            self.rotations = tuple(one for one in found if one.leaf >= self._first)

    def _keys(self) -> KeyFile:
        """Give the keys; read anew, where they were rotated by another process and this one, which does not sign, has not noticed."""
        keys = self._parts.store.keys
        with suppress(StoreError, AuditError):  # then it is held to those that are at hand
            standing = next((value for (value,) in self._snapshot.scan(STANDING)), None)
            if standing not in keys.signing_keys and keys.path is not None:
                self._parts.store.keys = keys = KeyFile.load(keys.path)
        return keys

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the moment."""
        self._snapshot.close()

    @property
    def begins(self) -> RightEdge:
        """The tree that was pruned from its front."""
        return tree_over(self.blocks())

    def blocks(self) -> Sequence[bytes]:
        """Give the roots of the blocks that were pruned from its front."""
        return [self._blocks[at : at + _HASH] for at in range(0, len(self._blocks), _HASH)]

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Give the placed entries by index from `start` on, then those that have no place yet."""
        placed = _ENTRIES + "AND e.leaf_index < ? AND e.leaf_index >= ? ORDER BY e.leaf_index"
        later = _ENTRIES + "AND (e.leaf_index IS NULL OR e.leaf_index >= ?) ORDER BY e.position"
        for row in self._snapshot.scan(placed, (self._tenant, _PLACES, max(start, self._first))):
            yield self._entry(row, row[0])
        for row in self._snapshot.scan(later, (self._tenant, _PLACES)):
            yield self._entry(row, None)

    def checkpoints(self) -> Iterator[str]:
        """Give the signed notes by size."""
        sql = "SELECT note FROM checkpoint WHERE tenant = ? ORDER BY size"
        for (note,) in self._snapshot.scan(sql, (self._tenant,)):
            yield as_bytes(note).decode(errors="replace")

    def newest(self) -> str | None:
        """Give the last of the signed notes."""
        sql = "SELECT note FROM checkpoint WHERE tenant = ? ORDER BY size DESC LIMIT 1"
        return next((as_bytes(note).decode(errors="replace") for (note,) in self._snapshot.scan(sql, (self._tenant,))), None)

    def bundles(self) -> Mapping[str, Mapping[str, str]]:
        """Give the policy bundles by digest."""
        found = {}
        with suppress(AuditError):
            for digest, sources in self._snapshot.scan("SELECT digest, sources FROM bundle WHERE tenant = ?", (self._tenant,)):
                with suppress(ValueError, RecursionError):  # one that was changed is as good as gone
                    found[digest] = json.loads(sources)
        return found

    def _entry(self, row: Any, index: int | None) -> Entry:
        _, leaf, leaf_hash, *sealed = row
        hidden = self._sealed or (self._only is not None and sealed[2] not in self._only)
        opening = None if hidden else open_opening(self._parts.vault, *sealed)
        return Entry(index, as_bytes(leaf), as_bytes(leaf_hash), opening)


class Reproduction:
    """Decide again as it was decided: from recorded inputs, by the bundle that was in force."""

    def __init__(self, bundles: Mapping[str, Mapping[str, str]], known: Mapping[str, ActionShape]) -> None:
        self._bundles, self._known = bundles, known
        self._loaded: dict[str, Policies | RemitError] = {}

    def __call__(self, inputs: Any, digest: str) -> Any:
        """Give the decision as JSON; raises `AuditError` without that bundle, and what loading it raises."""
        if digest not in self._loaded:
            self._loaded[digest] = self._load(digest)
        if isinstance(loaded := self._loaded[digest], RemitError):
            raise loaded
        return decide(loaded, Inputs.from_json(inputs)).to_json()

    def _load(self, digest: str) -> Policies | RemitError:
        """Give the bundle, or why there is none: a broken one is not read again for every decision."""
        if digest not in self._bundles:
            return AuditError(f"the policy bundle {digest[:12]} is not there")
        try:
            loaded = load(self._bundles[digest], self._known)
        except RemitError as error:
            return error
        return loaded if loaded.digest == digest else AuditError(f"the policy bundle {digest[:12]} was changed")
