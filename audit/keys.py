"""The key file: the three secrets of a deployment, outside its database, so that neither alone is enough to forge or to read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ..errors import KeysMissing, StoreError
from .privacy import KEY_SIZE, keyed_hash


@dataclass(frozen=True, slots=True, repr=False)
class KeyFile:
    """The keys of one deployment, 32 bytes each: an Ed25519 seed, the tenant keys by epoch, and the lookup key.

    `next_signing_seed` is there while the logs go over to another signing key. Never shown: its repr holds the fingerprints only.
    """

    signing_seed: bytes
    tenant_keys: Mapping[int, bytes]
    lookup_key: bytes
    path: Path | None = field(default=None, compare=False)
    next_signing_seed: bytes | None = None

    @classmethod
    def create(cls, path: Path, random: Callable[[int], bytes] = os.urandom) -> KeyFile:
        """Make new keys and write them to a new file that its owner alone can read. Raises StoreError if the file is there."""
        keys = cls(random(KEY_SIZE), {1: random(KEY_SIZE)}, random(KEY_SIZE), path)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(keys._to_json())
                file.flush()
                os.fsync(file.fileno())  # a database must never outlive its keys because of a power cut
            os.link(draft, path)  # there as a whole or not at all, and never in the place of another
        except FileExistsError:
            raise StoreError(f"{path} exists; a key file is never overwritten") from None
        except OSError as error:
            raise StoreError(f"{path} can't be created: {error.strerror}") from error
        finally:
            draft.unlink(missing_ok=True)
        return keys

    @classmethod
    def load(cls, path: Path) -> KeyFile:
        """Read a key file. Raises KeysMissing if it is not there, StoreError if it is not one."""
        try:
            content = orjson.loads(path.read_bytes())
            tenant_keys = {int(epoch): bytes.fromhex(key) for epoch, key in content["tenant_keys"].items()}
            upcoming = bytes.fromhex(content["next_signing_seed"]) if "next_signing_seed" in content else None
            keys = cls(bytes.fromhex(content["signing_seed"]), tenant_keys, bytes.fromhex(content["lookup_key"]), path, upcoming)
        except FileNotFoundError:
            raise KeysMissing(f"{path} is missing. A new key is never made for an existing database: restore the file.") from None
        except OSError as error:
            raise StoreError(f"{path} can't be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StoreError(f"{path} is not a key file of Remit") from None
        others = [upcoming] if upcoming is not None else []
        if not tenant_keys or {len(key) for key in (keys.signing_seed, keys.lookup_key, *tenant_keys.values(), *others)} != {KEY_SIZE}:
            raise StoreError(f"{path} holds a key that does not have {KEY_SIZE} bytes")
        return keys

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """The private key that signs checkpoints."""
        return Ed25519PrivateKey.from_private_bytes(self.signing_seed)

    @property
    def public_key(self) -> bytes:
        """The raw public key (32 bytes) that checks checkpoints."""
        return self.signing_key.public_key().public_bytes_raw()

    @property
    def signing_keys(self) -> dict[str, Ed25519PrivateKey]:
        """The private keys that sign, or will once the logs have gone over to the next, by fingerprint."""
        seeds = (self.signing_seed, self.next_signing_seed) if self.next_signing_seed is not None else (self.signing_seed,)
        keys = [Ed25519PrivateKey.from_private_bytes(seed) for seed in seeds]
        return {signing_fingerprint(key.public_key().public_bytes_raw()): key for key in keys}

    @property
    def epoch(self) -> int:
        """The epoch of the tenant key that wraps new subjects' keys."""
        return max(self.tenant_keys)

    @property
    def tenant_key(self) -> bytes:
        """The tenant key of the current epoch."""
        return self.tenant_keys[self.epoch]

    @property
    def fingerprints(self) -> dict[str, str]:
        """What the database remembers, to know its own key file again: a hash of each key, from which none can be guessed."""
        return {
            "signing": signing_fingerprint(self.public_key),
            "tenant": keyed_hash(self.tenant_key, "fingerprint", "").hex(),
            "lookup": keyed_hash(self.lookup_key, "fingerprint", "").hex(),
        }

    def epoch_named(self, fingerprint: str) -> int | None:
        """Give the epoch whose tenant key has this fingerprint; None where none of these has."""
        found = (epoch for epoch, key in self.tenant_keys.items() if keyed_hash(key, "fingerprint", "").hex() == fingerprint)
        return next(found, None)

    def with_next_epoch(self, random: Callable[[int], bytes] = os.urandom) -> KeyFile:
        """Give these keys and a tenant key of the next epoch."""
        return replace(self, tenant_keys={**self.tenant_keys, self.epoch + 1: random(KEY_SIZE)})

    def of_last_epoch(self) -> KeyFile:
        """Give these keys without the tenant keys of epochs before the last one."""
        return replace(self, tenant_keys={self.epoch: self.tenant_key})

    def with_next_signing(self, random: Callable[[int], bytes] = os.urandom) -> KeyFile:
        """Give these keys and the signing key that the logs are to go over to."""
        return replace(self, next_signing_seed=random(KEY_SIZE))

    def of_next_signing(self) -> KeyFile:
        """Give these keys with the next signing key in the place of the one before."""
        assert self.next_signing_seed is not None
        return replace(self, signing_seed=self.next_signing_seed, next_signing_seed=None)

    def save(self) -> None:
        """Write these keys in place of the file that they were read from, whole or not at all, and overwrite what that held.

        A link stays, and what it leads to is replaced. Raises StoreError if it can't be written.
        """
        assert self.path is not None
        place = self.path.resolve()
        draft = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(self._to_json())
                _reach_the_disk(file)
            with place.open("r+b") as before:
                draft.replace(place)
                _reach_the_disk_in(place.parent)
                before.write(b"\0" * os.fstat(before.fileno()).st_size)  # a key that was replaced must be gone, not merely without a name
                _reach_the_disk(before)
        except OSError as error:
            raise StoreError(f"{self.path} can't be written: {error.strerror}") from error
        finally:
            draft.unlink(missing_ok=True)

    def __repr__(self) -> str:
        return f"KeyFile({self.fingerprints})"

    def _to_json(self) -> bytes:
        content = {
            "v": 1,
            "signing_seed": self.signing_seed.hex(),
            "tenant_keys": {str(epoch): key.hex() for epoch, key in self.tenant_keys.items()},
            "lookup_key": self.lookup_key.hex(),
        }
        if self.next_signing_seed is not None:
            content["next_signing_seed"] = self.next_signing_seed.hex()
        return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def signing_fingerprint(public_key: bytes) -> str:
    """Name a signing key by its public half (32 raw bytes)."""
    return sha256(public_key).hexdigest()


def _reach_the_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _reach_the_disk_in(folder: Path) -> None:
    if os.name == "nt":  # a folder can't be opened there
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
