"""The live database as a log that the verifier and the export read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from ..audit import Entry
from ..errors import AuditError, RemitError
from ..policies import ActionShape, Inputs, Policies, decide, load
from .signing import ROTATIONS, rotations
from .views import OPENINGS, open_opening
from .work import Parts

_ENTRIES = f"SELECT e.leaf_index, e.leaf, e.hash, e.id, o.blob, o.subject, s.wrapped_key FROM event e {OPENINGS} WHERE e.tenant = ? "  # noqa: S608 - names from this package


class DatabaseLog:
    """One tenant's log in an open database, at one moment: what is committed later is left out. Leave it as a context, or close it.

    `sealed` opens no personal value, `only` those of these pseudonyms alone.
    """

    def __init__(self, parts: Parts, *, sealed: bool = False, only: frozenset[str] | None = None) -> None:
        self._parts, self._sealed, self._only = parts, sealed, only
        self.origin = self.log_id = parts.log_id
        self.public_key = parts.store.keys.public_key
        self._tenant = parts.store.tenant
        self._snapshot = parts.store.snapshot()
        self._size: int = next(self._snapshot.scan("SELECT size FROM log_head WHERE tenant = ?", (self._tenant,)))[0]
        self.rotations = rotations(self._snapshot.scan(ROTATIONS, (self._tenant, self._size)), parts.log_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the moment."""
        self._snapshot.close()

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Give the placed entries by index from `start` on, then those that have no place yet."""
        placed = _ENTRIES + "AND e.leaf_index >= ? AND e.leaf_index < ? ORDER BY e.leaf_index"
        later = _ENTRIES + "AND (e.leaf_index IS NULL OR e.leaf_index >= ?) ORDER BY e.position"
        for row in self._snapshot.scan(placed, (self._tenant, start, self._size)):
            yield self._entry(row, row[0])
        for row in self._snapshot.scan(later, (self._tenant, self._size)):
            yield self._entry(row, None)

    def checkpoints(self) -> Iterator[str]:
        """Give the signed notes by size."""
        sql = "SELECT note FROM checkpoint WHERE tenant = ? AND size <= ? ORDER BY size"
        for (note,) in self._snapshot.scan(sql, (self._tenant, self._size)):
            yield note

    def newest(self) -> str | None:
        """Give the last of the signed notes."""
        sql = "SELECT note FROM checkpoint WHERE tenant = ? AND size <= ? ORDER BY size DESC LIMIT 1"
        return next((note for (note,) in self._snapshot.scan(sql, (self._tenant, self._size))), None)

    def bundles(self) -> Mapping[str, Mapping[str, str]]:
        """Give the policy bundles by digest."""
        found = {}
        for digest, sources in self._snapshot.scan("SELECT digest, sources FROM bundle WHERE tenant = ?", (self._tenant,)):
            with suppress(ValueError):  # one that was changed is as good as gone
                found[digest] = json.loads(sources)
        return found

    def _entry(self, row: Any, index: int | None) -> Entry:
        _, leaf, leaf_hash, *sealed = row
        hidden = self._sealed or (self._only is not None and sealed[2] not in self._only)
        opening = None if hidden else open_opening(self._parts.vault, *sealed)
        return Entry(index, _bytes(leaf), _bytes(leaf_hash), opening)


def _bytes(value: Any) -> bytes:
    """Take what a hand may have written as text into a column that holds bytes for the bytes that it is."""
    return value.encode() if isinstance(value, str) else bytes(value)


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
