"""Say of each field whether it may stand in the log in clear, is personal, or is secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from .schema import Schema, branches

Class = Literal["clear", "personal", "secret"]
Classified = tuple[dict[str, Any], dict[str, Any], frozenset[str]]
"""The clear fields by name; the personal ones and the names of the secret ones by JSON pointer."""


def classes(schema: Schema) -> dict[str, Class]:
    """Classify the top-level fields of a stored schema: clear are booleans, enums, Money and Public, if every branch is."""
    return {name: _class(node, schema) for branch in branches(schema, schema) for name, node in branch.get("properties", {}).items()}


def secrets(schema: Schema) -> frozenset[str]:
    """Name the top-level fields that hold a secret."""
    return frozenset(name for name, kind in classes(schema).items() if kind == "secret")


def classify(canonical: Any, known: Mapping[str, Class]) -> Classified:
    """Part a canonical value by its classes; what is not an object, or not declared, is personal as a whole."""
    if not isinstance(canonical, Mapping):
        return {}, {} if canonical is None else {"": canonical}, frozenset()
    clear, personal, secret = dict[str, Any](), dict[str, Any](), set[str]()
    for name, value in canonical.items():
        match known.get(name, "personal"):
            case "clear":
                clear[name] = value
            case "personal":
                personal[_pointer(name)] = value
            case "secret":
                secret.add(_pointer(name))
    return clear, personal, frozenset(secret)


def marked(node: Any, mark: str, root: Schema) -> bool:
    """Say whether `mark` stands anywhere in a schema, references followed."""
    return _marked(node, mark, root, set())


def _marked(node: Any, mark: str, root: Schema, seen: set[str]) -> bool:
    if isinstance(node, list):
        return any(_marked(item, mark, root, seen) for item in node)
    if not isinstance(node, Mapping):
        return False
    ref = node.get("$ref")
    if isinstance(ref, str) and ref not in seen:
        seen.add(ref)
        if any(_marked(found, mark, root, seen) for found in branches(node, root)):
            return True
    return node.get("x-remit") == mark or any(_marked(item, mark, root, seen) for name, item in node.items() if name != "$defs")


def _class(node: Schema, root: Schema) -> Class:
    if marked(node, "secret", root):
        return "secret"
    return "clear" if all(_clear(option) for option in branches(node, root)) else "personal"


def _clear(option: Schema) -> bool:
    mark = option.get("x-remit")
    if mark in {"personal", "public", "money", "internal"}:
        return mark in {"public", "money"}
    return option.get("type") == "boolean" or "enum" in option or "const" in option


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")  # RFC 6901
