"""What holds of every database when it is opened: no newer than this version, and with the keys that were made for it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from ..audit import KeyFile
from ..errors import DatabaseTooNew, KeysMismatch
from .migrating import LATEST

Ask = Callable[..., list[Any]]
"""Run one statement with its values, and give the rows."""

_META = "INSERT INTO store_meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING"


def needs_upgrade(ask: Ask, name: object, *, made: bool) -> bool:
    """Say whether a database must be brought forward; `made` says whether it has ever been. Raises `DatabaseTooNew`."""
    current = ask("SELECT version_num FROM alembic_version") if made else []
    if current and current[0][0] > LATEST:
        raise DatabaseTooNew(f"{name}: written by a newer Remit (revision {current[0][0]}, this one knows {LATEST}); upgrade Remit")
    return not current or current[0][0] < LATEST


def check_keys(ask: Ask, keys: KeyFile, *, file: object, name: object) -> None:
    """Refuse the keys of another database; raises `KeysMismatch`."""
    stored: Mapping[str, str] = {row[0]: row[1] for row in ask("SELECT key, value FROM store_meta WHERE key LIKE 'fingerprint.%'")}
    if stored and stored != _fingerprints(keys):
        raise KeysMismatch(f"{file}: these are the keys of another database; restore the file that was made with {name}")


def remember_keys(ask: Ask, keys: KeyFile) -> None:
    """Keep the fingerprints of the keys in a new database, and name its log, in the transaction that is open."""
    if not ask("SELECT 1 FROM store_meta WHERE key = 'log_id'"):
        for row in [*_fingerprints(keys).items(), ("log_id", f"remit/{secrets.token_hex(8)}")]:
            ask(_META, row)


def _fingerprints(keys: KeyFile) -> dict[str, str]:
    return {f"fingerprint.{name}": value for name, value in keys.fingerprints.items()}
