"""Go over to another tenant key: the living are wrapped anew, and the old key is destroyed, so that no backup opens any more.

Each step can be cut off and begun again: the next key is in the key file before the database stands at it; nobody is added under the
old key once it does; and the old key goes last.
"""

from __future__ import annotations

import os
from typing import Any

from ..audit import KeyFile, epoch_of, keyed_hash, unveil, unwrap, veil, wrap
from ..errors import AuditError, KeysMissing
from .key_changes import alone
from .opening import TENANT
from .statements import Write
from .work import Parts

BATCH = 500


async def rotate(parts: Parts, *, beyond: int) -> None:
    """See to it that no tenant key of an epoch up to `beyond` is left; a rotation that was cut off is ended.

    Raises `KeysMissing` and `StoreError` where the key file can't be read or written; then nobody is lost, and it can be begun again.
    """
    path = parts.store.keys.path
    assert path is not None
    async with alone(path):
        keys = KeyFile.load(path)
        if min(keys.tenant_keys) > beyond:
            parts.store.keys = keys
            return
        keys = await prepare(parts, keys)
        await _stand(parts, keys)
        await _wrap_anew(parts, keys)
        keys = keys.of_last_epoch()
        keys.save()
        parts.store.keys = keys
    parts.vault.forget()


async def prepare(parts: Parts, keys: KeyFile) -> KeyFile:
    """Give the keys with one more tenant key than the one that the database stands at, in the key file; it may be there already."""
    epoch = keys.epoch_named(await _standing(parts))
    if epoch is None:
        raise KeysMissing(f"{keys.path}: the tenant key that {parts.store.name} stands at is not in it; put the latest key file here")
    if epoch == keys.epoch and len(keys.tenant_keys) == 1:
        keys = keys.with_next_epoch()
        keys.save()
    return keys


async def _stand(parts: Parts, keys: KeyFile) -> None:
    """Let the database stand at the new tenant key: whoever adds a person under the old one from now on is refused."""
    parts.store.keys = keys
    before, after = await _standing(parts), _fingerprint(keys.tenant_key)
    if before != after:
        await parts.store.commit([Write("control.raise_all", (), expect=None), Write("keys.fence", (after, before))])


async def _wrap_anew(parts: Parts, keys: KeyFile) -> None:
    """Wrap every key that another tenant key wraps by the last one, in all tenants."""
    sql = "SELECT tenant, pseudonym, lookup, wrapped_key FROM subject WHERE pseudonym > ? ORDER BY pseudonym LIMIT ?"
    after = ""
    while rows := await parts.store.rows(sql, (after, BATCH)):
        writes = [write for row in rows if (write := _wrapped_anew(keys, *row)) is not None]
        if writes:
            await parts.store.commit(writes)
        after = rows[-1][1]


def _wrapped_anew(keys: KeyFile, tenant: str, pseudonym: str, lookup: bytes, wrapped: bytes) -> Write | None:
    epoch = epoch_of(wrapped)
    if epoch == keys.epoch:
        return None
    try:
        key, found = unwrap(keys.tenant_keys, wrapped, pseudonym), unveil(keys.tenant_keys[epoch], lookup)
    except (AuditError, KeyError):
        return None  # somebody has changed this row: it opened nothing before, and opens nothing afterwards
    anew = wrap(keys.tenant_key, keys.epoch, key, pseudonym, os.urandom)
    values = (veil(keys.tenant_key, found), anew, tenant, pseudonym, wrapped)
    return Write("subject.wrap", values, expect=None)  # none, where it was erased meanwhile


async def _standing(parts: Parts) -> str:
    found: Any = await parts.store.row("SELECT value FROM store_meta WHERE key = ?", (TENANT,))
    return str(found[0])


def _fingerprint(tenant_key: bytes) -> str:
    return keyed_hash(tenant_key, "fingerprint", "").hex()
