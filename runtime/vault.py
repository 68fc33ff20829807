"""Keep what is personal sealed under the person's own key, and what must be found again as keyed hashes."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..audit import KeyedHash, open_, seal, unwrap, wrap
from ..errors import AuditError
from .journal import CommitUnknown, Conflict
from .statements import Write
from .store import Store

REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, repr=False)
class SubjectKey:
    """A person's random pseudonym and the key (32 bytes) that seals what is theirs."""

    pseudonym: str
    key: bytes
    cipher: AESGCM = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cipher", AESGCM(self.key))

    def seal(self, value: Any, place: str) -> bytes:
        """Seal a JSON value for one place (an event's or a call's id): it opens nowhere else."""
        return seal(self.cipher, orjson.dumps(value), place.encode(), os.urandom)

    def open(self, sealed: bytes, place: str) -> Any:
        """Open what `seal` gave; raises `AuditError`."""
        return orjson.loads(open_(self.cipher, sealed, place.encode()))


class Vault:
    """Find or make the subjects' keys, and hash under the lookup key."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keyed = KeyedHash(store.keys.lookup_key)
        self._known: OrderedDict[bytes, SubjectKey] = OrderedDict()
        self._by_pseudonym: OrderedDict[str, SubjectKey] = OrderedDict()
        self._making: dict[bytes, asyncio.Task[SubjectKey]] = {}

    def hash(self, label: str, text: str | bytes) -> bytes:
        """Hash for finding again, under the lookup key: nobody without it can guess what was hashed."""
        return self._keyed(label, text)

    async def subject(self, subject_id: str, *, keep: bool = True) -> SubjectKey:
        """Give the key of a person, made and committed at first sight; one that is not to be kept is forgotten at once."""
        lookup = self.hash("subject", subject_id)
        if found := self._known.get(lookup) or await self._stored(lookup):
            return self._remember(lookup, found)
        if not keep:
            return _new_key()
        if lookup not in self._making:
            task = self._making[lookup] = asyncio.create_task(self._make(lookup))
            task.add_done_callback(lambda _: self._making.pop(lookup, None))
        return self._remember(lookup, await asyncio.shield(self._making[lookup]))

    async def by_pseudonym(self, pseudonym: str) -> SubjectKey:
        """Give the key of a person by pseudonym; raises `AuditError` when it is gone."""
        if found := self._by_pseudonym.get(pseudonym):
            return found
        row = await self._store.row(
            "SELECT lookup, wrapped_key FROM subject WHERE tenant = ? AND pseudonym = ?", (self._store.tenant, pseudonym)
        )
        if row is None:
            raise AuditError("the key of this person is gone")
        return self._remember(row[0], SubjectKey(pseudonym, unwrap(self._store.keys.tenant_keys, row[1], pseudonym)))

    async def lookup_of(self, pseudonym: str) -> bytes | None:
        """Give the keyed hash of whom a pseudonym stands for; None when that is gone."""
        row = await self._store.row("SELECT lookup FROM subject WHERE tenant = ? AND pseudonym = ?", (self._store.tenant, pseudonym))
        return row[0] if row else None

    def unwrapped(self, pseudonym: str, wrapped: bytes) -> SubjectKey:
        """Give the key of a person from its row, in any thread; raises `AuditError` for one that was changed."""
        return self._by_pseudonym.get(pseudonym) or SubjectKey(pseudonym, unwrap(self._store.keys.tenant_keys, wrapped, pseudonym))

    async def is_subject(self, subject_id: str, pseudonym: str) -> bool:
        """Say whether a pseudonym stands for this person."""
        found = await self._stored(self.hash("subject", subject_id))
        return found is not None and found.pseudonym == pseudonym

    async def _stored(self, lookup: bytes) -> SubjectKey | None:
        row = await self._store.row(
            "SELECT pseudonym, wrapped_key FROM subject WHERE tenant = ? AND lookup = ?", (self._store.tenant, lookup)
        )
        return SubjectKey(row[0], unwrap(self._store.keys.tenant_keys, row[1], row[0])) if row else None

    async def _make(self, lookup: bytes) -> SubjectKey:
        keys = self._store.keys
        made = _new_key()
        wrapped = wrap(keys.tenant_key, keys.epoch, made.key, made.pseudonym, os.urandom)
        try:
            await self._store.commit([Write("subject.add", (self._store.tenant, lookup, made.pseudonym, wrapped))])
        except (Conflict, CommitUnknown):
            if (found := await self._stored(lookup)) is None:
                raise
            return found
        return made

    def _remember(self, lookup: bytes, key: SubjectKey) -> SubjectKey:
        for cache, name in ((self._known, lookup), (self._by_pseudonym, key.pseudonym)):
            cache[name] = key  # type: ignore[index]
            cache.move_to_end(name)  # type: ignore[arg-type]
            if len(cache) > REMEMBERED:
                cache.popitem(last=False)
        return key


def _new_key() -> SubjectKey:
    return SubjectKey(f"sub_{os.urandom(10).hex()}", os.urandom(32))
