"""Make JSON Schema 2020-12 out of Python types, and find one's way in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

import orjson
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema

from ..errors import DefinitionError
from .fields import Money

Schema = Mapping[str, Any]


class SignatureSchema(GenerateJsonSchema):
    """Describe types as a model needs it: closed objects, no titles, `Decimal` as a number, never a float."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        """Leave out titles that only repeat the name."""
        return False

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        """Close every object: what is not declared is refused when it is sent."""
        described = super().model_schema(schema)
        described.pop("title", None)
        return {**described, "additionalProperties": False}

    def float_schema(self, _schema: Any) -> JsonSchemaValue:
        """Refuse float: two computers may write the same one differently."""
        raise DefinitionError("float is not exact; use Decimal, or Money for an amount of money")

    def decimal_schema(self, schema: Any) -> JsonSchemaValue:
        """Describe Decimal as the number that the model sends and as the text that is stored."""
        if self.mode == "serialization":
            return {"type": "string", "format": "decimal"}
        described: JsonSchemaValue = {"type": "number"}
        self.update_with_validations(described, schema, self.ValidationsMapping.numeric)
        return described

    def enum_schema(self, schema: Any) -> JsonSchemaValue:
        """Describe an Enum by its values; its class name and docstring are no news to a model."""
        values = [_literal(member.value) for member in schema["members"]]
        kinds = {type(value) for value in values}
        kind = {str: "string", int: "integer"}.get(kinds.pop()) if len(kinds) == 1 else None
        return {"enum": values} | ({"type": kind} if kind else {})

    def literal_schema(self, schema: Any) -> JsonSchemaValue:
        """Describe a Literal, refusing floats in it."""
        for value in schema["expected"]:
            _literal(value)
        return super().literal_schema(schema)

    def encode_default(self, dft: Any) -> Any:
        """Write a default as the model would send it."""
        if self.mode == "validation" and isinstance(dft, Money):
            return {"value": dft.value, "currency": dft.currency}
        return float(dft) if self.mode == "validation" and isinstance(dft, Decimal) else super().encode_default(dft)


class ArgumentSchema(SignatureSchema):
    """Describe arguments, which must be typed to the last field and be the same again after storing."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        """Refuse a field that may be null but not be left out: null is not stored, so it would be missing afterwards."""
        described = super().model_schema(schema)
        for name in described.get("required", ()):
            if {"type": "null"} in described["properties"][name].get("anyOf", ()):
                raise DefinitionError(f"{name!r} may be None, so it may also be left out; write {name}: … = None")
        return described

    def set_schema(self, _schema: Any) -> JsonSchemaValue:
        """Refuse sets: their order, and so what is hashed, differs from one process to the next."""
        raise DefinitionError("a set has no order to be stored in; use a list")

    def frozenset_schema(self, _schema: Any) -> JsonSchemaValue:
        """Refuse frozensets likewise."""
        return self.set_schema(_schema)

    def any_schema(self, _schema: CoreSchema) -> JsonSchemaValue:
        """Refuse Any: neither the model nor a rule would know what is in it."""
        raise DefinitionError("Any says nothing to the model or to a rule; name a type, or declare the action with Action.from_schema")


def _literal(value: Any) -> Any:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, float):
        raise DefinitionError(f"{value!r} is a float; use text or Decimal")
    return value


def digest(*parts: Any) -> str:
    """Give the SHA-256, in hex, of JSON values with sorted keys."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def without_marks(node: Any) -> Any:
    """Copy a schema without what only we read: `x-remit` marks, and a default of null (leaving it out means the same)."""
    if isinstance(node, Mapping):
        return {name: without_marks(item) for name, item in node.items() if name != "x-remit" and not (name == "default" and item is None)}
    return [without_marks(item) for item in node] if isinstance(node, list) else node


def resolve(ref: str, root: Schema) -> Schema:
    """Follow a local reference such as `#/$defs/Address`. Raise DefinitionError where there is nothing."""
    node: Any = root
    for part in ref.removeprefix("#").split("/")[1:]:
        try:
            part = part.replace("~1", "/").replace("~0", "~")  # noqa: PLW2901  (RFC 6901, section 4)
            node = node[int(part)] if isinstance(node, list) else node[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise DefinitionError(f"{ref!r} refers to nothing in this schema") from None
    if not isinstance(node, Mapping):
        raise DefinitionError(f"{ref!r} does not refer to a schema")
    return node


def branches(node: Schema, root: Schema) -> Iterator[dict[str, Any]]:
    """Give the alternatives of a schema, references followed and null left out; a mark on the whole is a mark on each."""
    inner = [resolve(node["$ref"], root)] if "$ref" in node else node.get("anyOf") or node.get("oneOf")
    mark = {"x-remit": node["x-remit"]} if "x-remit" in node else {}
    if inner:
        for branch in inner:
            for found in branches(branch, root):
                yield found | mark
    elif node.get("type") != "null":
        yield dict(node)


def under(schema: Schema, path: Iterable[str]) -> list[Schema]:
    """Give the schemas at a path; none where nothing can be there. What lies below a secret is one."""
    nodes: list[Schema] = list(branches(schema, schema))
    for step in path:
        below: list[Schema] = []
        for node in nodes:
            if step in node.get("properties", {}):
                mark = {"x-remit": "secret"} if node.get("x-remit") == "secret" else {}
                below += [found | mark for found in branches(node["properties"][step], schema)]
            elif "type" not in node or (node["type"] == "object" and node.get("additionalProperties", "properties" not in node)):
                below.append({})
        nodes = below
    return nodes


def places(node: Schema, root: Schema, depth: int = 4) -> dict[str, str]:
    """Map the dotted path of every field to its JSON type ("string", "object", … or "mixed"), as deep as a key may name."""
    found: dict[str, str] = {}
    for branch in branches(node, root):
        for name, child in branch.get("properties", {}).items():
            kinds = {kind(option) for option in branches(child, root)}
            found[name] = kinds.pop() if len(kinds) == 1 else "mixed"
            if depth:
                found |= {f"{name}.{inner}": kind for inner, kind in places(child, root, depth - 1).items()}
    return found


def kind(node: Schema) -> str:
    """Give the JSON type of one alternative of a schema; "mixed" where that is not said, or is several."""
    if "const" in node or "enum" in node:
        values = node.get("enum", [node.get("const")])
        kinds = {{str: "string", bool: "boolean", int: "integer"}.get(type(value), "mixed") for value in values}
        return kinds.pop() if len(kinds) == 1 else "mixed"
    return node["type"] if isinstance(node.get("type"), str) else "mixed"
