"""Which key signs a log's checkpoints: one, until an event in the log goes over to another, under a checkpoint that both have signed.

The leaf that says so is the last one under that checkpoint. So whoever trusts the old key is led to the new one by what the old one signed;
and whoever trusts the new one finds everything before it under a root that the new one signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ..errors import AuditError
from .checkpoint import Checkpoint, is_named, read_verifier_key, signed_size, verifier_key, verify
from .event import Json
from .leaf import read

if TYPE_CHECKING:
    from .log import Log

KEY_ROTATED = "log.key_rotated"
"""The kind of event that goes over to another signing key."""

_MARK = f'"{KEY_ROTATED}"'.encode()


@dataclass(frozen=True, slots=True)
class Rotation:
    """The leaf that goes over from an old public key to a new one (32 raw bytes each), and the note that both have signed over it.

    What a log says of its rotations is believed by nobody: the verifier holds it to the leaves and the signatures.
    """

    leaf: int
    old: bytes
    new: bytes
    note: str

    def to_json(self, origin: str) -> Json:
        """Give it as it is written in log.json."""
        return {"leaf": self.leaf, "old": verifier_key(origin, self.old), "new": verifier_key(origin, self.new), "note": self.note}


class Signers:
    """The keys of a log, one after the other; `signers_of` gives those of a log. Raises AuditError where rotations do not follow one another, or lead past `public_key`."""

    def __init__(self, origin: str, public_key: bytes, rotations: Sequence[Rotation] = ()) -> None:
        self._origin, self._rotations = origin, rotations
        self.keys = (rotations[0].old, *(one.new for one in rotations)) if rotations else (public_key,)
        fits = all(later.old == one.new and later.leaf > one.leaf for one, later in pairwise(rotations))
        if not fits or len({*self.keys}) < len(self.keys):
            raise AuditError("its rotations of the signing key do not follow one another")
        if public_key not in self.keys:
            raise AuditError("no rotation of the signing key leads to the key that it is held to, or from it")

    def at(self, size: int) -> tuple[bytes, ...]:
        """Give the keys that must sign a checkpoint of this size: two, where the log goes over from one to the other."""
        before = sum(one.leaf < size for one in self._rotations)
        first = before - 1 if before and self._rotations[before - 1].leaf == size - 1 else before
        return self.keys[first : before + 1]

    def verify(self, note: str) -> Checkpoint:
        """Read a note, and check that those keys signed it, and none whose time is over or is yet to come. Raises AuditError."""
        signers = self.at(signed_size(note))
        for key in self.keys:
            if key not in signers and is_named(note, self._origin, key):
                raise AuditError(f"the checkpoint at size {signed_size(note)} is signed by a key {self._why_not(key, signed_size(note))}")
        first, *_ = [verify(note, self._origin, key) for key in signers]
        return first

    def _why_not(self, key: bytes, size: int) -> str:
        place = self.keys.index(key)
        if place < len(self._rotations) and size > self._rotations[place].leaf:
            return f"that was rotated at leaf {self._rotations[place].leaf}, and signs nothing any more"
        return f"that the log goes over to only at leaf {self._rotations[place - 1].leaf}"


def rotations_of(log: object) -> Sequence[Rotation]:
    """Give what a log says of where its signing key was rotated, by leaf; nothing, where it never was."""
    found: Sequence[Rotation] = getattr(log, "rotations", ())
    return found


def signers_of(log: Log) -> Signers:
    """Give the keys of a log, as it says. Raises AuditError where that does not fit together."""
    return Signers(log.origin, log.public_key, rotations_of(log))


def rotation_in(leaf: bytes, origin: str) -> tuple[bytes, bytes] | None:
    """Give the old and the new key of a leaf that rotates them; None for any other. Raises AuditError for one that names none."""
    if _MARK not in leaf:
        return None
    event = read(leaf).event
    if event.kind != KEY_ROTATED:
        return None
    named = [read_verifier_key(str(event.body.get(name))) for name in ("old", "new")]
    if any(name != origin for name, _ in named):
        raise AuditError("it names the keys of another log")
    return named[0][1], named[1][1]


def described_keys(log: Log, before: Sequence[Rotation] = ()) -> dict[str, Json]:
    """Give what log.json says of a log's keys: the one that signs now, and the rotations that led to it, if there were any.

    `before` are those that came earlier, and that the log does not tell of any more.
    """
    described: dict[str, Json] = {"key": verifier_key(log.origin, signers_of(log).keys[-1])}
    rotations = [one.to_json(log.origin) for one in (*before, *rotations_of(log))]
    return described | ({"rotations": rotations} if rotations else {})


def read_rotations(described: Json, origin: str) -> tuple[Rotation, ...]:
    """Read the rotations that log.json has; raises AuditError for what are none."""
    try:
        found = [(one["leaf"], read_verifier_key(one["old"]), read_verifier_key(one["new"]), one["note"]) for one in described or ()]
        fits = all(type(leaf) is int and type(note) is str and old[0] == new[0] == origin for leaf, old, new, note in found)
    except (KeyError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise AuditError("log.json describes rotations of the signing key that are none")
    return tuple(Rotation(leaf, old[1], new[1], note) for leaf, old, new, note in found)
