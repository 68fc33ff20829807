"""Keep personal values where they can be destroyed: sealed under the subject's own key, itself wrapped by the tenant's key.

A wrapped key names the epoch of the tenant key that wraps it, so that a rotation can re-wrap the living and leave the erased behind.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from ..errors import AuditError

KEY_SIZE = 32
"""Bytes of every symmetric key here: AES-256 and HMAC-SHA256."""

_NONCE_SIZE = 12
_PREFIX = b"remit1\x00"
_EPOCH_SIZE = 4


def seal(key: bytes | AESGCM, plaintext: bytes, aad: bytes, random: Callable[[int], bytes]) -> bytes:
    """Encrypt with AES-256-GCM under a fresh nonce: nonce ‖ ciphertext ‖ tag.

    `aad` binds the result to its place (an event's or a call's id), so that it opens nowhere else. `random(n)` gives n bytes. A key
    that is used often is given as its cipher: to make that takes longer than to encrypt.
    """
    nonce = random(_NONCE_SIZE)
    return nonce + _cipher(key).encrypt(nonce, plaintext, aad)


def open_(key: bytes | AESGCM, sealed: bytes, aad: bytes) -> bytes:
    """Decrypt what `seal` gave. Raises AuditError for another key, another place, or a changed byte."""
    try:
        return _cipher(key).decrypt(sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:], aad)
    except (InvalidTag, ValueError) as error:  # ValueError: too short to hold a nonce
        raise AuditError("this sealed value does not open: another key, another place, or changed") from error


def wrap(tenant_key: bytes, epoch: int, subject_key: bytes, subject: str, random: Callable[[int], bytes]) -> bytes:
    """Wrap a subject's key (32 bytes) by the tenant key of an epoch: epoch (4 bytes, big-endian) ‖ sealed key."""
    return epoch.to_bytes(_EPOCH_SIZE, "big") + seal(tenant_key, subject_key, _wrapping(subject, epoch), random)


def unwrap(tenant_keys: Mapping[int, bytes], wrapped: bytes, subject: str) -> bytes:
    """Unwrap a subject's key. Raises AuditError when the tenant key of its epoch is gone, or the wrapping is not this subject's."""
    epoch = epoch_of(wrapped)
    if epoch not in tenant_keys:
        raise AuditError(f"the tenant key of epoch {epoch} is not there; what it wrapped can't be opened")
    return open_(tenant_keys[epoch], wrapped[_EPOCH_SIZE:], _wrapping(subject, epoch))


def epoch_of(wrapped: bytes) -> int:
    """Name the epoch of the tenant key that wraps a subject's key."""
    return int.from_bytes(wrapped[:_EPOCH_SIZE], "big")


def veil(tenant_key: bytes, lookup: bytes) -> bytes:
    """Encrypt a keyed hash so that the same gives the same (AES-SIV, RFC 5297), under the tenant key of an epoch.

    Whoever holds the lookup key alone could try every name against the hash: in a backup it goes with the epoch. A rotation veils it
    anew without knowing what was hashed.
    """
    return _veiling(tenant_key).encrypt(lookup, None)


def unveil(tenant_key: bytes, veiled: bytes) -> bytes:
    """Give the keyed hash that was veiled; one of before there were veils is given as it is. Raises AuditError."""
    if len(veiled) == KEY_SIZE:
        return veiled
    try:
        return _veiling(tenant_key).decrypt(veiled, None)
    except (InvalidTag, ValueError) as error:
        raise AuditError("this lookup was veiled under another key, or changed") from error


def keyed_hash(key: bytes, label: str, text: str | bytes) -> bytes:
    """Hash for looking up without revealing: HMAC-SHA256(key, "remit1" ‖ 0 ‖ label ‖ 0 ‖ text), 32 bytes.

    The label keeps uses apart: the same text hashes differently as an effect key and as an idempotency key.
    """
    message = text.encode() if isinstance(text, str) else text
    return hmac.digest(key, _PREFIX + label.encode() + b"\x00" + message, "sha256")


class KeyedHash:
    """Hash as `keyed_hash` does, many times under one key: what depends on the key alone is worked out once."""

    def __init__(self, key: bytes) -> None:
        self._begun = hmac.new(key, _PREFIX, "sha256")

    def __call__(self, label: str, text: str | bytes) -> bytes:
        """Give the hash of a text under a label, 32 bytes."""
        hashing = self._begun.copy()
        hashing.update(label.encode() + b"\x00" + (text.encode() if isinstance(text, str) else text))
        return hashing.digest()


def _cipher(key: bytes | AESGCM) -> AESGCM:
    return key if isinstance(key, AESGCM) else AESGCM(key)


def _veiling(tenant_key: bytes) -> AESSIV:
    return AESSIV(hmac.digest(tenant_key, _PREFIX + b"lookup veil", "sha512"))


def _wrapping(subject: str, epoch: int) -> bytes:
    return b"remit1\x00subject key\x00%d\x00%s" % (epoch, subject.encode())
