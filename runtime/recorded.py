"""Say what of a value stands in an event in clear, what the event only commits to, and what nobody is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from ..actions import Action
from ..audit import canonical
from ..errors import AuditError

LARGEST_CLEAR = 16_384
MOST_COMMITMENTS = 256
"""A leaf holds 65,535 bytes; a value that would take more of it than this is committed to as a whole."""
CHANGED = "an event that this needs was changed, and can't be read: `remit audit verify` says which"


def parted_arguments(action: Action, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part arguments into what is clear, by name, and what is committed to, by JSON pointer; secrets are in neither."""
    clear, personal, _ = action.classify(arguments)
    return (clear, personal) if _fit(clear, personal) else ({}, {"": without_secrets(action, arguments)})


def parted_result(action: Action, result: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part a stored result likewise."""
    clear, personal, _ = action.classify_result(result)
    return (clear, personal) if _fit(clear, personal) else ({}, {"": result})


def without_secrets(action: Action, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments that rules and people may see."""
    secret = secrets(action, arguments)
    return {name: value for name, value in arguments.items() if name not in secret}


def secrets(action: Action, arguments: Mapping[str, Any]) -> frozenset[str]:
    """Name the secret arguments."""
    return action.secrets & arguments.keys()


def told(facts: Mapping[str, Any], places: Iterable[str]) -> dict[str, Any]:
    """Pick from facts what a summary tells of them, by dotted paths, nested as it was; what is not there is null."""
    picked: dict[str, Any] = {}
    for place in sorted(places):
        *parents, last = place.split(".")
        source: Any = facts
        into: Any = picked
        for name in parents:
            source = source.get(name) if isinstance(source, Mapping) else None
            into = into.setdefault(name, {}) if isinstance(into, dict) else None
        if isinstance(into, dict):  # else all of it is told already
            into[last] = source.get(last) if isinstance(source, Mapping) else None
    return picked


def members(leaf: bytes) -> dict[str, Any]:
    """Read a leaf as it is stored; raises `AuditError` for one that is none any more, because it was changed."""
    try:
        read = orjson.loads(leaf)
    except ValueError:
        read = None
    if isinstance(read, dict) and isinstance(read.get("body"), dict) and isinstance(read.get("commitments", {}), dict):
        return read
    raise AuditError(CHANGED)


def plain(said: object, *, most: int = 2_000) -> str:
    """Make a text that can be stored of whatever the developer's code said."""
    return str(said).encode(errors="replace").decode()[:most]


def _fit(clear: dict[str, Any], personal: dict[str, Any]) -> bool:
    return len(personal) <= MOST_COMMITMENTS and len(canonical(clear)) <= LARGEST_CLEAR
