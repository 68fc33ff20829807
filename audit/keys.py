"""The key file: the three secrets of a deployment, outside its database, so that neither alone is enough to forge or to read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ..errors import KeysMissing, StoreError
from .privacy import KEY_SIZE, keyed_hash


@dataclass(frozen=True, slots=True, repr=False)
class KeyFile:
    """The keys of one deployment, 32 bytes each: an Ed25519 seed, the tenant keys by epoch, and the lookup key.

    Never shown: its repr holds the fingerprints only.
    """

    signing_seed: bytes
    tenant_keys: Mapping[int, bytes]
    lookup_key: bytes

    @classmethod
    def create(cls, path: Path, random: Callable[[int], bytes] = os.urandom) -> KeyFile:
        """Make new keys and write them to a new file that its owner alone can read. Raises StoreError if the file is there."""
        keys = cls(random(KEY_SIZE), {1: random(KEY_SIZE)}, random(KEY_SIZE))
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
            keys = cls(bytes.fromhex(content["signing_seed"]), tenant_keys, bytes.fromhex(content["lookup_key"]))
        except FileNotFoundError:
            raise KeysMissing(f"{path} is missing. A new key is never made for an existing database: restore the file.") from None
        except OSError as error:
            raise StoreError(f"{path} can't be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StoreError(f"{path} is not a key file of Remit") from None
        if not tenant_keys or {len(key) for key in (keys.signing_seed, keys.lookup_key, *tenant_keys.values())} != {KEY_SIZE}:
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
            "signing": sha256(self.public_key).hexdigest(),
            "tenant": keyed_hash(self.tenant_key, "fingerprint", "").hex(),
            "lookup": keyed_hash(self.lookup_key, "fingerprint", "").hex(),
        }

    def __repr__(self) -> str:
        return f"KeyFile({self.fingerprints})"

    def _to_json(self) -> bytes:
        content = {
            "v": 1,
            "signing_seed": self.signing_seed.hex(),
            "tenant_keys": {str(epoch): key.hex() for epoch, key in self.tenant_keys.items()},
            "lookup_key": self.lookup_key.hex(),
        }
        return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
