"""An event as the bytes that are hashed into the tree, and back.

Personal values are not in a leaf. Each is committed to under a salt of its own, and salts and values together are the opening,
which is sealed and kept apart: without it the leaf says nothing about the person, with it each field can be proved by itself.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ..errors import AuditError
from .canonical import canonical
from .event import KINDS, Event, Json
from .merkle import leaf_hash

FORMAT = 1
"""The version of the leaf's form, its member `v`."""

LARGEST = 65_535
"""Bytes in the largest leaf (an entry of a C2SP tlog-tiles bundle has a length of 16 bits)."""

_SALT_SIZE = 32
_OPTIONAL = ("call", "previous", "principal", "model", "subject", "action", "change")

Opening = Mapping[str, tuple[str, Json]]
"""What opens an event's commitments: for each JSON pointer the salt (hex) and the value. As JSON, a pair is an array."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """An event, written: its bytes, their leaf hash (32 bytes), and what opens its commitments."""

    data: bytes
    hash: bytes
    opening: Opening


@dataclass(frozen=True, slots=True)
class Record:
    """A leaf, read: the event without its personal values, the log that it belongs to, and its commitments (hex) by pointer."""

    event: Event
    log: str
    commitments: Mapping[str, str]


def commit(salt: bytes, pointer: str, value: Json) -> str:
    """Commit to one value at one place of a body: hex of HMAC-SHA256(salt, "remit1" ‖ 0 ‖ pointer ‖ 0 ‖ canonical value)."""
    return hmac.digest(salt, b"remit1\x00" + pointer.encode() + b"\x00" + canonical(value), "sha256").hex()


def write(event: Event, log_id: str, salts: Callable[[int], bytes]) -> Leaf:
    """Write an event as the leaf of a log.

    `salts(n)` gives n random bytes, as `os.urandom` does; it is asked once. Raises AuditError for an unknown kind, for a value
    that has no canonical form, and for a leaf of more than 65,535 bytes.
    """
    if event.kind not in KINDS:
        raise AuditError(f"{event.kind!r} is not a kind of event")
    opening: dict[str, tuple[str, Json]] = {}
    commitments: dict[str, str] = {}
    if event.personal:
        random = salts(_SALT_SIZE * len(event.personal))
        for number, (pointer, value) in enumerate(event.personal.items()):
            salt = random[number * _SALT_SIZE : (number + 1) * _SALT_SIZE]
            commitments[pointer] = commit(salt, pointer, value)
            opening[pointer] = (salt.hex(), value)
    members: dict[str, Any] = {
        "v": FORMAT,
        "log": log_id,
        "kind": event.kind,
        "at": event.at,
        "id": event.id,
        "tenant": event.tenant,
        "sequence": event.sequence,
        "body": event.body,
        "commitments": commitments,
    }
    for name in _OPTIONAL:
        if (value := getattr(event, name)) is not None:
            members[name] = value
    data = canonical(members)
    if len(data) > LARGEST:
        raise AuditError(f"the leaf of this {event.kind} event has {len(data)} bytes; at most {LARGEST} fit")
    return Leaf(data, leaf_hash(data), opening)


_TYPES: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("log", "kind", "at", "id", "tenant", "call", "previous", "model", "subject"), str),
    **dict.fromkeys(("body", "commitments", "principal", "action"), dict),
    "sequence": int,
    "change": list,
}
_REQUIRED = _TYPES.keys() - set(_OPTIONAL)


def read(data: bytes) -> Record:
    """Read a leaf back. Raises AuditError when it is not in the one form that `write` gives."""
    if len(data) > LARGEST:
        raise AuditError(f"it has {len(data)} bytes; at most {LARGEST} fit")
    try:
        members = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise AuditError("it is not JSON") from error
    if type(members) is not dict or members.pop("v", None) != FORMAT:
        raise AuditError(f"it is not a leaf of format {FORMAT}")
    if absent := _REQUIRED - members.keys():
        raise AuditError(f"it lacks {', '.join(sorted(absent))}")
    for name, value in members.items():
        if type(value) is not _TYPES.get(name):
            raise AuditError(f"its member {name!r} is not what it must be")
    if canonical({"v": FORMAT, **members}) != data:  # one meaning, one form: no doubled keys, no other spelling
        raise AuditError("it is not canonical JSON")
    log, commitments = members.pop("log"), members.pop("commitments")
    return Record(Event(**members), log, commitments)
