"""What a search finds the log by: terms, taken from what is clear in an event, and kept in the transaction that writes it.

All terms of a call stand under its id, at the time when it was received; those of an event outside every call under the event's own. So any terms can be combined, and a page is read from an index however long the log is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .statements import Write

Terms = Iterator[tuple[str, str, int]]
"""What kind of term, the term, and a number (minor units of an amount, else 0)."""

LONGEST = 300
"""Characters of a term: a row of an index has a bound of its own."""
EVERYWHERE = frozenset({"call.received", "call.decided", "call.intended"})
"""Kinds that nearly every call has: no terms, they are looked for among a call's events."""
COUNTED = frozenset({"limit.reserved", "limit.released"})
"""Kinds that are not found by themselves: what a limit is asked for stands in the story of the call that asks."""
_ARGUMENTS = frozenset({"call.received", "call.amended"})


def term(text: str) -> str:
    """Write a term as it is kept: a long one by its beginning and a hash."""
    text = text.replace("\x00", "")
    return text if len(text) <= LONGEST else text[: LONGEST - 64] + hashlib.sha256(text.encode()).hexdigest()


def of_call(action: str, principal: str) -> Terms:
    """Give the terms of a call as such: once, with its first event. Whom and which conversation it is about, its row says."""
    yield "all", "", 0
    for what, text in (("action", action), ("principal", principal)):
        if text:
            yield what, term(text), 0


def of_event(kind: str, body: Mapping[str, Any]) -> Terms:
    """Give the terms of what one event says."""
    if kind not in EVERYWHERE:
        yield "kind", kind, 0
    if body.get("by") and kind != "approval.requested":  # that names a role
        yield "by", term(str(body["by"])), 0
    if kind == "approval.voted":
        yield "by", term(str(body["person"])), 0
        yield "approver", term(str(body["person"])), 0
    if kind == "limit.exceeded":
        yield "rule", term(str(body["limit"])), 0
    if kind == "call.decided":
        yield from _of_decision(body["decision"])
    if kind in _ARGUMENTS:
        for currency, minor in amounts(body["arguments"]):
            yield "amount", sized(currency, minor), minor
    if body.get("reason"):
        yield "text", str(body["reason"])[:LONGEST].replace("\x00", ""), 0


def alone(kind: str, body: Mapping[str, Any], principal: str) -> Terms:
    """Give the terms of an event that stands outside every call."""
    yield "all", "", 0
    if principal:
        yield "principal", term(principal), 0
    yield from of_event(kind, body)


def writes(tenant: str, at: int, about: str, terms: Iterable[tuple[str, str, int]]) -> list[Write]:
    """Write the terms of a call or an event; what is there already stays."""
    return [Write("term.add", (tenant, what, text, at, about, number), expect=None) for what, text, number in dict.fromkeys(terms)]


def sized(currency: str, minor: int) -> str:
    """Write an amount's term: its currency and, to a factor of four, its size; so that a search walks along those of about that size."""
    return term(f"{currency[:10]} {_size(minor)}")


def sizes(currency: str, least: int, most: int) -> list[str]:
    """Give the terms of all amounts from one to another."""
    return [f"{currency} {size}" for size in range(_size(least), _size(most) + 1)]


def _size(minor: int) -> int:
    size = (abs(minor).bit_length() + 1) // 2
    return -size if minor < 0 else size


def amounts(value: Any) -> Iterator[tuple[str, int]]:
    """Find the amounts in a JSON value: currency and minor units."""
    match value:
        case {"currency": str(currency), "minor": int(minor)} if len(value) == 2:
            yield currency, minor
        case Mapping():
            for part in value.values():
                yield from amounts(part)
        case list() | tuple():
            for part in value:
                yield from amounts(part)


def _of_decision(decision: Mapping[str, Any]) -> Terms:
    for each in (*decision["matched"], *decision["requirements"]):
        yield "rule", term(each["rule"]), 0
    said = {str(each["reason"]) for each in (*decision["matched"], *decision["requirements"]) if each.get("reason")}
    for reason in sorted(said):
        yield "text", reason[:LONGEST].replace("\x00", ""), 0
