"""Sign tree heads with the key at which the log stands, and go over to another: both sign where the log says so, from then on the new one.

A rotation can be cut off anywhere, and goes on: the next key is in the key file before an event names it; the database stands at it from
the commit that writes that event into every tenant's log; and the old key goes when no log waits for its signature any more.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ..audit import Event, KeyFile, RightEdge, Rotation, rotation_in, sign, signing_fingerprint, verifier_key
from ..errors import AuditError, KeysOutdated, RotationUnderWay
from . import terms
from .clock import to_text
from .database import as_bytes
from .journal import Conflict
from .key_changes import alone
from .recorded import plain
from .statements import Write
from .store import Store
from .work import Parts, event_writes, new_id

ROTATED = "log.key_rotated"
STANDING = "SELECT value FROM store_meta WHERE key = 'fingerprint.signing'"
_PENDING = "SELECT position FROM event WHERE tenant = ? AND leaf_index IS NULL AND kind = 'log.key_rotated' LIMIT 1"
_WAITING = "SELECT DISTINCT tenant FROM event WHERE leaf_index IS NULL AND kind = 'log.key_rotated' ORDER BY tenant"
ROTATIONS = (
    "SELECT e.leaf_index, e.leaf, c.note FROM term t JOIN event e ON e.id = t.about"
    " LEFT JOIN checkpoint c ON c.tenant = e.tenant AND c.size = e.leaf_index + 1"
    " WHERE t.tenant = ? AND t.what = 'kind' AND t.term = 'log.key_rotated' AND e.tenant = t.tenant AND e.leaf_index < ? ORDER BY e.leaf_index"
)


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation has come to: both verifier keys, and the tenants whose logs the old key has yet to sign over once more.

    While there are any, its private half is kept.
    """

    old: str
    new: str
    waiting: tuple[str, ...]


class Signing:
    """The signing keys of one log, as the key file and the database have them."""

    def __init__(self, store: Store, log_id: str) -> None:
        self._store, self._log_id = store, log_id

    async def keys_for(self, rotation: bytes | None) -> tuple[Ed25519PrivateKey, ...]:
        """Give the keys that sign over a batch whose last leaf is this rotation, else over one that has none; read it before.

        Raises `KeysOutdated` where the key file does not have them.
        """
        if rotation is not None:
            return self._both(rotation, (await self._store.row(STANDING))[0])
        standing = (await self._store.row(STANDING))[0]
        key = self._own(standing)
        current = signing_fingerprint(self._store.keys.public_key)
        if standing != current and await self._store.row(_PENDING, (self._store.tenant,)) is not None:
            return (self._own(current),)  # the event that goes over to the next one has no place yet
        return (key,)

    def sign(self, edge: RightEdge, keys: tuple[Ed25519PrivateKey, ...]) -> str:
        """Sign the head of the tree."""
        return sign(self._log_id, edge.size, edge.root(), *keys)

    async def let_go(self) -> tuple[str, ...]:
        """Destroy the old key where every log has gone over to the next one; gives the tenants whose log has not."""
        keys = self._store.keys
        if keys.next_signing_seed is None or keys.path is None:
            return ()
        over, waiting = await self._gone_over(keys)
        if not over:
            return waiting
        async with alone(keys.path):
            # Another process may have ended this rotation and begun the next: what is in the file now is looked at again.
            keys = KeyFile.load(keys.path)
            if keys.next_signing_seed is not None:
                over, waiting = await self._gone_over(keys)
                if over:
                    keys = keys.of_next_signing()
                    keys.save()
            self._store.keys = keys
        return waiting

    async def _gone_over(self, keys: KeyFile) -> tuple[bool, tuple[str, ...]]:
        """Say whether nothing needs the old one of these keys any more, and the tenants whose log still does."""
        if (await self._store.row(STANDING))[0] == signing_fingerprint(keys.public_key):
            return False, ()  # begun, and nothing says so yet: `rotate` goes on
        waiting = tuple(tenant for (tenant,) in await self._store.rows(_WAITING))
        return not waiting, waiting

    def _both(self, rotation: bytes, standing: str) -> tuple[Ed25519PrivateKey, ...]:
        try:
            old, new = map(signing_fingerprint, rotation_in(rotation, self._log_id) or (b"", b""))
        except AuditError:
            old = new = ""
        if old == new or new != standing:
            raise KeysOutdated(
                f"{self._store.name}: an event that waits for its place rotates the signing key, and Remit did not write it: somebody changed "
                "the database. Nothing is signed while it is there"
            )
        return self._own(old), self._own(new)

    def _own(self, fingerprint: str) -> Ed25519PrivateKey:
        if fingerprint not in self._store.keys.signing_keys and (path := self._store.keys.path) is not None:
            self._store.keys = KeyFile.load(path)  # another process may have rotated it
        if (key := self._store.keys.signing_keys.get(fingerprint)) is None:
            raise KeysOutdated(
                f"{self._store.keys.path}: the signing key {fingerprint[:12]}, which the log of {self._store.name} needs next, is not in it, "
                "so nothing is signed here; put the latest key file in its place"
            )
        return key


async def begin(parts: Parts, *, by: str, reason: str) -> Rotated:
    """Make the next signing key and write into every tenant's log that it takes over; one that was begun and not written goes on.

    Raises `RotationUnderWay` while a log has not gone over to the key of an earlier one, `KeysMissing` and `StoreError` for the key file.
    """
    store = parts.store
    path = store.keys.path
    assert path is not None
    async with alone(path):
        store.keys = keys = KeyFile.load(path)
        standing, old = (await store.row(STANDING))[0], signing_fingerprint(keys.public_key)
        if standing != old:
            raise RotationUnderWay if standing in keys.signing_keys else KeysOutdated(f"{path}: put the latest key file in its place")
        if keys.next_signing_seed is None:
            keys = keys.with_next_signing()
            keys.save()
            store.keys = keys
        new = next(name for name in keys.signing_keys if name != old)
        public = keys.signing_keys[new].public_key().public_bytes_raw()
        named = {"old": verifier_key(parts.log_id, keys.public_key), "new": verifier_key(parts.log_id, public)}
        body = {**named, "by": by, "reason": plain(reason)}
        tenants = await _tell_all(parts, new, old, body)
    return Rotated(named["old"], named["new"], tenants)


async def _tell_all(parts: Parts, new: str, old: str, body: dict[str, str]) -> tuple[str, ...]:
    """Let the database stand at the new key, and write that into the log of every tenant; gives these. Raises `RotationUnderWay`."""
    store = parts.store
    while (await store.row(STANDING))[0] == old:
        tenants = tuple(tenant for (tenant,) in await store.rows("SELECT tenant FROM log_head ORDER BY tenant"))
        writes = [write for each in tenants for write in _event(parts, each, body)]
        with suppress(Conflict):  # the log of a further tenant was begun meanwhile, or another process was quicker
            await store.commit([Write("keys.sign", (new, old, len(tenants))), *writes])
            return tenants
    raise RotationUnderWay


def rotations(rows: Any, log_id: str) -> tuple[Rotation, ...]:
    """Read what `ROTATIONS` gives of a log; what is none is left out, and the verifier says so."""
    found = {}  # by leaf: it may be found by more than one row of `term`
    for leaf, data, note in rows:
        with suppress(AuditError):
            if (keys := rotation_in(as_bytes(data), log_id)) is not None:
                found[leaf] = Rotation(leaf, *keys, as_bytes(note or "").decode(errors="replace"))
    return tuple(found.values())


def _event(parts: Parts, tenant: str, body: dict[str, str]) -> list[Write]:
    """Write the event into the log of a tenant, whichever this process serves: all are signed with one key."""
    now = parts.clock.now()
    event = Event(kind=ROTATED, at=to_text(now), id=new_id("evt", now), tenant=tenant, body=body)
    return [*event_writes(parts, event, None, now)[1], *terms.writes(tenant, now, event.id, terms.alone(ROTATED, body, ""))]
