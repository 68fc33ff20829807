"""Keep what is personal sealed under the person's own key, and what must be found again as keyed hashes."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..audit import KeyedHash, KeyFile, epoch_of, keyed_hash, open_, seal, unveil, unwrap, veil, wrap
from ..errors import AuditError, KeysMissing
from .journal import TRIES, CommitUnknown, Conflict
from .opening import TENANT
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

    def hash(self, label: str, text: str | bytes) -> bytes:
        """Hash what is compared within what this person asks for: with the key it goes, from backups too, so that nobody can guess it."""
        return keyed_hash(self.key, label, text)


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
        key, lookup = self._opened(pseudonym, row[1]), self._unveiled(*row)
        return self._remember(lookup, key) if lookup else key

    async def lookup_of(self, pseudonym: str) -> bytes | None:
        """Give the keyed hash of whom a pseudonym stands for; None when that is gone."""
        row = await self._store.row(
            "SELECT lookup, wrapped_key FROM subject WHERE tenant = ? AND pseudonym = ?", (self._store.tenant, pseudonym)
        )
        return self._unveiled(*row) if row else None

    def unwrapped(self, pseudonym: str, wrapped: bytes) -> SubjectKey:
        """Give the key of a person from its row, in any thread; raises `AuditError` for one that was changed."""
        return self._by_pseudonym.get(pseudonym) or self._opened(pseudonym, wrapped)

    async def find(self, subject_id: str) -> SubjectKey | None:
        """Give the key of a person; None where nothing is held about them. What this process remembers does not count."""
        return await self._stored(self.hash("subject", subject_id))

    def forget(self) -> None:
        """Forget every key, and read the key file anew: somebody was erased, or a rotation is under way."""
        self._known.clear()
        self._by_pseudonym.clear()
        self._read_keys()

    async def is_subject(self, subject_id: str, pseudonym: str) -> bool:
        """Say whether a pseudonym stands for this person."""
        found = await self._stored(self.hash("subject", subject_id))
        return found is not None and found.pseudonym == pseudonym

    async def _stored(self, lookup: bytes) -> SubjectKey | None:
        for _ in range(2):
            keys = self._store.keys.tenant_keys.values()
            places = [lookup, *(veil(key, lookup) for key in keys)]
            sql = f"SELECT pseudonym, wrapped_key FROM subject WHERE tenant = ? AND lookup IN ({', '.join('?' * len(places))})"  # noqa: S608
            if row := await self._store.row(sql, (self._store.tenant, *places)):
                return self._opened(*row)
            if await self._standing() is not None:
                return None
            self._read_keys()
        raise KeysMissing(
            f"{self._store.keys.path}: the tenant key that this database stands at is not in it; put the latest key file here"
        )

    async def _make(self, lookup: bytes) -> SubjectKey:
        made = _new_key()
        for left in reversed(range(TRIES)):
            keys, epoch = self._store.keys, await self._standing() or 0
            try:
                await self._store.commit(_adding(self._store.tenant, keys, epoch, lookup, made) if epoch else [])
            except (Conflict, CommitUnknown):
                if (found := await self._stored(lookup)) is not None:
                    return found
                if not left:
                    raise
            else:
                if epoch:
                    return made
            self._read_keys()
        raise KeysMissing

    async def _standing(self) -> int | None:
        """Give the epoch that new keys are wrapped under; None where its tenant key is not known here."""
        return self._store.keys.epoch_named((await self._store.row("SELECT value FROM store_meta WHERE key = ?", (TENANT,)))[0])

    def _opened(self, pseudonym: str, wrapped: bytes) -> SubjectKey:
        if epoch_of(wrapped) not in self._store.keys.tenant_keys:
            self._read_keys()  # another process has rotated them
        return SubjectKey(pseudonym, unwrap(self._store.keys.tenant_keys, wrapped, pseudonym))

    def _unveiled(self, lookup: bytes, wrapped: bytes) -> bytes | None:
        key = self._store.keys.tenant_keys.get(epoch_of(wrapped))
        try:
            return unveil(key, lookup) if key else None
        except AuditError:
            return None  # the row was changed

    def _read_keys(self) -> None:
        if (path := self._store.keys.path) is not None:
            self._store.keys = KeyFile.load(path)

    def _remember(self, lookup: bytes, key: SubjectKey) -> SubjectKey:
        for cache, name in ((self._known, lookup), (self._by_pseudonym, key.pseudonym)):
            cache[name] = key  # type: ignore[index]
            cache.move_to_end(name)  # type: ignore[arg-type]
            if len(cache) > REMEMBERED:
                cache.popitem(last=False)
        return key


def _adding(tenant: str, keys: KeyFile, epoch: int, lookup: bytes, made: SubjectKey) -> list[Write]:
    key = keys.tenant_keys[epoch]
    wrapped = wrap(key, epoch, made.key, made.pseudonym, os.urandom)
    stands = Write("keys.stand", (keyed_hash(key, "fingerprint", "").hex(),))
    return [stands, Write("subject.add", (tenant, veil(key, lookup), made.pseudonym, wrapped))]


def _new_key() -> SubjectKey:
    return SubjectKey(f"sub_{os.urandom(10).hex()}", os.urandom(32))
