"""Bring JSON values into the one form that is hashed, shown, stored and executed.

A schema is compiled once into a function that visits only the places where something is to be done:
an instant is checked (RFC 3339, with an offset) and becomes UTC; a number that is not an integer becomes decimal text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from .problems import FieldError
from .schema import Schema, resolve

Change = Callable[[Any, str, list[FieldError]], Any]
"""Takes a value, its path and the errors so far; gives the value to put in its place, or DROP."""
Leaf = Callable[[Schema], Change | None]
DROP = object()

_FORMS: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "date-time": (
        r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)",
        lambda text: datetime.fromisoformat(text.upper()).astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "a time with its offset from UTC, such as 2026-03-01T10:00:00+01:00",
    ),
    "date": (r"\d{4}-\d\d-\d\d", date.fromisoformat, "a date, such as 2026-03-01"),
    "time": (r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)?", time.fromisoformat, "a time of day, such as 10:00:00"),
}


def compile_changes(node: Schema, root: Schema, leaf: Leaf) -> Change | None:
    """Compile `node` into a function that applies what `leaf` gives for its parts; None where there is nothing to do."""
    return _Compiler(root, leaf).compile(node)


class _Compiler:
    def __init__(self, root: Schema, leaf: Leaf) -> None:
        self.root, self.leaf = root, leaf
        self.known: dict[str, Change | None] = {}
        self.open: set[str] = set()

    def compile(self, node: Any) -> Change | None:
        if not isinstance(node, Mapping):  # true and false are schemas too
            return None
        if change := self.leaf(node):
            return change
        if "$ref" in node:
            return self._reference(node["$ref"])
        if options := node.get("anyOf") or node.get("oneOf"):
            texts = sum(_accepts_text(option, self.root) for option in options)
            return _sequence([self.compile(option) for option in options if texts < 2 or not _accepts_text(option, self.root)])
        return _sequence([self._object(node), self._array(node)])

    def _reference(self, ref: str) -> Change | None:
        if ref in self.open:  # a recursive type: its change is known only when it is compiled, so look it up when it runs
            return lambda value, path, errors: change(value, path, errors) if (change := self.known[ref]) else value
        if ref not in self.known:
            self.open.add(ref)
            self.known[ref] = self.compile(resolve(ref, self.root))
            self.open.discard(ref)
        return self.known[ref]

    def _object(self, node: Schema) -> Change | None:
        named = {name: change for name, item in node.get("properties", {}).items() if (change := self.compile(item))}
        others = self.compile(node.get("additionalProperties"))
        declared = frozenset(node.get("properties", ()))
        if not named and not others:
            return None

        def change_object(value: Any, path: str, errors: list[FieldError]) -> Any:
            if not isinstance(value, dict):
                return value
            changed = {}
            for name, item in value.items():
                change = named.get(name) if name in declared else others
                result = change(item, f"{path}.{name}" if path else name, errors) if change else item
                if result is not DROP:
                    changed[name] = result
            return changed

        return change_object

    def _array(self, node: Schema) -> Change | None:
        first = [self.compile(item) for item in node.get("prefixItems", ())]
        rest = self.compile(node.get("items"))
        if not rest and not any(first):
            return None

        def change_array(value: Any, path: str, errors: list[FieldError]) -> Any:
            if not isinstance(value, list):
                return value
            changes = [*first, *[rest] * (len(value) - len(first))]
            changed = [
                change(item, f"{path}.{i}", errors) if change else item
                for i, (item, change) in enumerate(zip(value, changes, strict=False))
            ]
            return [item for item in changed if item is not DROP]

        return change_array


def _sequence(changes: list[Change | None]) -> Change | None:
    todo = [change for change in changes if change]
    if len(todo) < 2:
        return todo[0] if todo else None

    def change_all(value: Any, path: str, errors: list[FieldError]) -> Any:
        for change in todo:
            value = change(value, path, errors)
        return value

    return change_all


def _accepts_text(node: Schema, root: Schema) -> bool:
    if "$ref" in node:
        return _accepts_text(resolve(node["$ref"], root), root)
    return node.get("type") in {"string", "number"} or not node.keys() & {"type", "anyOf", "oneOf"}


def canonical_leaf(node: Schema) -> Change | None:
    """Say what is to be done with a place in what a model sends."""
    if node.get("type") == "number":
        return _number
    return instant_leaf(node)


def decimal_leaf(node: Schema) -> Change | None:
    """Say where a number that is kept as text becomes a number again, as a model sends it."""
    return (lambda value, _path, _errors: Decimal(value) if isinstance(value, str) else value) if node.get("type") == "number" else None


def instant_leaf(node: Schema) -> Change | None:
    """Say what is to be done with a place in what the developer's own code gives."""
    if node.get("type") != "string" or node.get("format") not in _FORMS:
        return None
    pattern, parse, expected = _FORMS[node["format"]]
    matches, moves = re.compile(pattern, re.ASCII).fullmatch, node["format"] == "date-time"

    def text(value: Any, path: str, errors: list[FieldError]) -> Any:
        if isinstance(value, str):
            try:
                parsed = parse(value if matches(value) else "")
            except (ValueError, OverflowError):
                errors.append(FieldError(path, "can't be read as a time or date", expected))
            else:
                return parsed if moves else value
        return value

    return text


def _number(value: Any, path: str, errors: list[FieldError]) -> Any:
    if isinstance(value, str):
        errors.append(FieldError(path, "is text", "a number"))
    return decimal_text(value) if type(value) in {int, Decimal} else value


def decimal_text(number: int | Decimal) -> str:
    """Write a number in full, without exponent or trailing zeros: one value, one text."""
    text = format(number, "f")
    text = text.rstrip("0").removesuffix(".") if "." in text else text
    return "0" if text == "-0" else text


def without_fractions(value: Any) -> Any:
    """Write the fractions in an undeclared value as text: no record holds a float."""
    match value:
        case Decimal():
            return decimal_text(value)
        case dict():
            return {name: without_fractions(item) for name, item in value.items()}
        case list():
            return [without_fractions(item) for item in value]
        case _:
            return value
