"""Take out again the nulls by which a model says "left out", where every property had to be required.

OpenAI's strict mode knows no optional property. It is offered as a union with null; what comes back is read here
beside the original schema, so that an argument which does not accept null never gets one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..schema import resolve


def accepts_null(schema: Any, root: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> bool:
    """Say whether null is valid by the original schema."""
    if not isinstance(schema, Mapping):
        return schema is True
    if (reference := schema.get("$ref")) is not None:
        return reference in seen or accepts_null(resolve(reference, root), root, seen | {reference})
    types = schema.get("type", "null")
    typed = "null" in types if isinstance(types, list) else types == "null"
    listed = None in schema.get("enum", [None]) and schema.get("const") is None
    branches = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    either = not branches or any(accepts_null(branch, root, seen) for branch in branches)
    return typed and listed and either and all(accepts_null(part, root, seen) for part in schema.get("allOf", ()))


def without_absent(value: Any, schema: Any, root: Mapping[str, Any]) -> Any:
    """Give the value without the nulls that stand for optional properties left out. The value itself is not changed."""
    shapes = list(_shapes(value, schema, root))
    if isinstance(value, list):
        items: Any = next((shape["items"] for shape in shapes if "items" in shape), {})
        return [without_absent(item, items, root) for item in value]
    if not isinstance(value, Mapping):
        return value
    kept = dict(value)
    for shape in shapes:
        required = shape.get("required", ())
        for name, member in shape.get("properties", {}).items():
            if name not in kept:
                continue
            if kept[name] is None and name not in required and not accepts_null(member, root):
                del kept[name]
            else:
                kept[name] = without_absent(kept[name], member, root)
    return kept


def _shapes(value: Any, schema: Any, root: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> Iterator[Mapping[str, Any]]:
    """Find the parts of a schema that describe this value: itself, what it refers to, and of a union the first that fits."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    reference = schema.get("$ref")
    if reference is not None and reference not in seen:
        yield from _shapes(value, resolve(reference, root), root, seen | {reference})
    for part in schema.get("allOf", ()):
        yield from _shapes(value, part, root, seen)
    for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        inner = list(_shapes(value, branch, root, seen))
        if any(_fits(value, shape) for shape in inner):
            yield from inner
            return


def _fits(value: Any, shape: Mapping[str, Any]) -> bool:
    if isinstance(value, list):
        return "items" in shape
    if not isinstance(value, Mapping) or "properties" not in shape:
        return False
    properties = shape["properties"]
    if not set(shape.get("required", ())) <= value.keys() <= properties.keys():
        return False
    return all(_tagged(value[name], properties[name]) for name in value)


def _tagged(value: Any, schema: Any) -> bool:
    """Say whether a value agrees with a constant or an enumeration, by which the branches of a union are told apart."""
    if not isinstance(schema, Mapping) or value is None:
        return True
    return value in schema.get("enum", [value]) and value == schema.get("const", value)
