"""A checkpoint: the size and root of a log, signed, in the form that others' tools read.

C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint) in a signed note (https://c2sp.org/signed-note) with Ed25519.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ..errors import AuditError

_ED25519 = b"\x01"
_KEY_ID_SIZE = 4
_ROOT_SIZE = 32
_LONGEST_SIZE = 19  # digits; a tree index has 63 bits everywhere


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log's owner signed: the log of this origin has `size` leaves under this root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def sign(origin: str, size: int, root: bytes, *keys: Ed25519PrivateKey) -> str:
    """Sign a checkpoint as a note, by each of the keys. `origin` names log and keys; it has no blanks and no `+`, else AuditError."""
    if not origin or "+" in origin or any(character.isspace() for character in origin):
        raise AuditError(f"{origin!r} can't name a log: no blanks and no '+' in an origin")
    text = Checkpoint(origin, size, root).text
    signatures = (_key_id(origin, key.public_key().public_bytes_raw()) + key.sign(text.encode()) for key in keys)
    return text + "\n" + "".join(f"— {origin} {b64encode(signature).decode()}\n" for signature in signatures)


def signed_size(note: str) -> int:
    """Give the size that a note says, whoever signed it. Raises AuditError for what is no checkpoint."""
    return _parse(note.partition("\n\n")[0] + "\n").size


def is_named(note: str, origin: str, public_key: bytes) -> bool:
    """Say whether a note has a signature under this key's id, right or wrong."""
    prefix, key_id = f"— {origin} ", _key_id(origin, public_key)
    lines = note.partition("\n\n")[2].splitlines()
    return any(_decode(line.removeprefix(prefix))[:_KEY_ID_SIZE] == key_id for line in lines if line.startswith(prefix))


def verify(note: str, origin: str, public_key: bytes) -> Checkpoint:
    """Read a note and check that this log's key (32 raw bytes) signed it.

    Signatures by other keys, as witnesses add them, are passed over. Raises AuditError for another log's checkpoint, for one
    that the key did not sign, and for what is no checkpoint.
    """
    text, separator, signatures = note.partition("\n\n")
    text += "\n"
    checkpoint = _parse(text)
    if not separator:
        raise AuditError("this checkpoint is not signed")
    if checkpoint.origin != origin:
        raise AuditError(f"this checkpoint is of the log {checkpoint.origin!r}, not of {origin!r}")
    prefix = f"— {origin} "
    key_id = _key_id(origin, public_key)
    for line in signatures.splitlines():
        signature = _decode(line.removeprefix(prefix)) if line.startswith(prefix) else b""
        if signature[:_KEY_ID_SIZE] == key_id:
            try:
                Ed25519PublicKey.from_public_bytes(public_key).verify(signature[_KEY_ID_SIZE:], text.encode())
            except InvalidSignature:
                raise AuditError(f"the signature of the checkpoint at size {checkpoint.size} is not valid") from None
            return checkpoint
    raise AuditError(f"the checkpoint at size {checkpoint.size} is not signed by this log's key")


def verifier_key(origin: str, public_key: bytes) -> str:
    """Write a public key as other verifiers of signed notes take it: `name+key id+type and key`."""
    return f"{origin}+{_key_id(origin, public_key).hex()}+{b64encode(_ED25519 + public_key).decode()}"


def read_verifier_key(text: str) -> tuple[str, bytes]:
    """Read a verifier key as origin and public key (32 raw bytes). Raises AuditError when it is not one of Ed25519."""
    origin, _, rest = text.partition("+")
    _, _, encoded = rest.partition("+")  # the key itself may hold a "+"
    key = _decode(encoded)
    if len(key) != len(_ED25519) + 32 or verifier_key(origin, key[1:]) != text:
        raise AuditError(f"{text!r} is not the verifier key of a log")
    return origin, key[1:]


def _parse(text: str) -> Checkpoint:
    origin, size, root, *_ = [*text.split("\n"), "", ""]
    # Reading back must give the same three lines: no leading zeros, no other base64, no extension lines, which we never sign.
    checkpoint = Checkpoint(origin, int(size) if size.isascii() and size.isdecimal() and len(size) <= _LONGEST_SIZE else -1, _decode(root))
    if not origin or len(checkpoint.root) != _ROOT_SIZE or checkpoint.text != text:
        raise AuditError("this is not a checkpoint")
    return checkpoint


def _decode(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""


def _key_id(name: str, public_key: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:_KEY_ID_SIZE]
