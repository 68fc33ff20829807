"""What holds of every database when it is opened: no newer than this version, and with the keys that were made for it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..audit import KeyFile
from ..errors import DatabaseTooNew, KeysMismatch, KeysOutdated
from .migrating import LATEST

Ask = Callable[..., list[Any]]
"""Run one statement with its values, and give the rows."""

REVISION = "SELECT version_num FROM alembic_version"

TENANT = "fingerprint.tenant"
"""Names the tenant key that stands: new subjects' keys are wrapped by it."""
SIGNING = "fingerprint.signing"
"""Names the key that signs checkpoints, from when an event says so."""
LOOKUP = "fingerprint.lookup"
_META = "INSERT INTO store_meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING"


def needs_upgrade(ask: Ask, name: object, *, made: bool) -> bool:
    """Say whether a database must be brought forward; `made` says whether it has ever been. Raises `DatabaseTooNew`."""
    current = refuse_newer(ask(REVISION) if made else [], name)
    return current is None or current < LATEST


def refuse_newer(rows: Sequence[Sequence[Any]], name: object) -> str | None:
    """Give the revision that the rows tell, None where they tell none; raises `DatabaseTooNew`."""
    current: str | None = rows[0][0] if rows else None
    if current is not None and current > LATEST:
        raise DatabaseTooNew(f"{name}: brought forward by a newer Remit (revision {current}, this one knows {LATEST}); upgrade Remit")
    return current


def check_keys(ask: Ask, keys: KeyFile, *, file: object, name: object) -> None:
    """Refuse the keys of another database; raises `KeysMismatch`."""
    stored: Mapping[str, str] = {row[0]: row[1] for row in ask("SELECT key, value FROM store_meta WHERE key LIKE 'fingerprint.%'")}
    own = _fingerprints(keys)
    # Of the tenant keys and the signing keys any may be the one that stands: a rotation may be under way.
    others = {name: stored.get(name) for name in own if name not in (TENANT, SIGNING)}
    if stored and stored.get(SIGNING) not in keys.signing_keys and stored.get(LOOKUP) == own[LOOKUP]:
        raise KeysOutdated(
            f"{file}: the key that signs the log of {name} is not in it: it was rotated since, so put the latest key file in its place; or, "
            "where the database was put back from before a rotation, the key file of that time"
        )
    if stored and (keys.epoch_named(stored.get(TENANT, "")) is None or others != {name: own[name] for name in others}):
        raise KeysMismatch(f"{file}: these are the keys of another database; restore the file that was made with {name}")


def remember_keys(ask: Ask, keys: KeyFile) -> None:
    """Keep the fingerprints of the keys in a new database, and name its log, in the transaction that is open."""
    if not ask("SELECT 1 FROM store_meta WHERE key = 'log_id'"):
        for row in [*_fingerprints(keys).items(), ("log_id", f"remit/{secrets.token_hex(8)}")]:
            ask(_META, row)


def _fingerprints(keys: KeyFile) -> dict[str, str]:
    return {f"fingerprint.{name}": value for name, value in keys.fingerprints.items()}
