"""Rewrite a JSON Schema into what a provider can express, and report what that lost.

References are put in place (only a circle keeps them), and a keyword that the provider does not know moves into the
description, in words. What has no closed shape (a free-form object, a tuple, any value) can't be decoded strictly by any
provider: such a tool is sent without `strict`, with its schema otherwise whole. Nullable is `anyOf`, as `Action` writes it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..schema import resolve
from .absence import accepts_null
from .vocabulary import LISTS, MAPS, SINGLES, Loss, Vocabulary, size, words

_SILENT = frozenset({"description", "title", "$schema", "$comment", "$defs", "definitions", "discriminator"})
_ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated"})
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object", type(None): "null"}
_WITHOUT_STRICT_FORM = frozenset({"allOf", "prefixItems"})


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Hold a schema in a provider's vocabulary. `note` is what the root says in words, for the description of the tool."""

    schema: dict[str, Any]
    note: str
    strict: bool
    losses: tuple[Loss, ...]


def rewrite(action: str, schema: Mapping[str, Any], vocabulary: Vocabulary) -> Rewritten:
    """Put the schema of an action's arguments into a vocabulary; without `strict` where that can't be had."""
    walk = _Walk(action, schema, vocabulary)
    written, note = walk.everything()
    for what, count in size(written).items():
        if count > vocabulary.limits.get(what, count):
            walk.without_shape("", f"{count} {what}, at most {vocabulary.limits[what]}")
    if walk.shapeless:
        return unstrict(action, schema, vocabulary, walk.shapeless)
    return Rewritten(written, note, vocabulary.strict, tuple(walk.losses))


def unstrict(action: str, schema: Mapping[str, Any], vocabulary: Vocabulary, why: Iterable[Loss]) -> Rewritten:
    """Put the schema into the vocabulary of a tool that is not strict, and say why it is not."""
    assert vocabulary.otherwise is not None
    plain = rewrite(action, schema, vocabulary.otherwise)
    return replace(plain, losses=(*why, *plain.losses))


class _Walk:
    """Walk one schema; `losses`, and `shapeless` (what forbids strict decoding), are gathered on the way."""

    def __init__(self, action: str, root: Mapping[str, Any], vocabulary: Vocabulary) -> None:
        self.action, self.root, self.vocabulary = action, root, vocabulary
        self.losses: list[Loss] = []
        self.shapeless: list[Loss] = []
        self.circles: dict[str, str] = {}

    def everything(self) -> tuple[dict[str, Any], str]:
        """Rewrite the root and what it refers to in circles; give the schema and the root's words."""
        written = self.node(self.root, "", frozenset())
        said = [written.pop("description", "")]
        for keyword in [keyword for keyword in written if not self.vocabulary.root(keyword)]:
            said.append(words(keyword, written.pop(keyword)))
            self.lose("", keyword, "not at the root; said in the description")
        shared: dict[str, Any] = {}
        while missing := {name: reference for reference, name in self.circles.items() if name not in shared}:
            for name, reference in missing.items():
                shared[name] = self.node(resolve(reference, self.root), f"$defs.{name}", frozenset({reference}))
        return {**written, "$defs": shared} if shared else written, " ".join(filter(None, said))

    def lose(self, path: str, keyword: str, why: str) -> None:
        """Note that a keyword could not be kept at this path."""
        self.losses.append(Loss(self.action, path, keyword, f"{self.vocabulary.provider}: {why}"))

    def without_shape(self, path: str, why: str) -> None:
        """Note what strict decoding can't express; where nothing is strict it is no loss."""
        if self.vocabulary.strict:
            self.shapeless.append(Loss(self.action, path, "strict", f"{self.vocabulary.provider}: not strict, {why}"))

    def node(self, schema: Any, path: str, seen: frozenset[str]) -> dict[str, Any]:
        """Rewrite the schema of one place; `seen` are the references that led to it."""
        if not isinstance(schema, Mapping):
            schema = {} if schema is True else {"not": {}}
        flat, seen = self.flat(schema, path, seen)
        if "$ref" in flat:
            return self.circle(flat, path)
        flat = self.adapted(_typed(flat, imply=self.vocabulary.keywords is not None), path)
        written: dict[str, Any] = {}
        said = [flat.get("description", "")]
        for keyword, value in flat.items():
            if keyword in _SILENT or keyword.startswith("x-"):
                continue
            if self.vocabulary.keeps(keyword, value):
                written[keyword] = self.value(keyword, value, path, seen)
            else:
                said.append(words(keyword, value))
                self.lose(path, keyword, "not expressible; said in the description")
        if self.vocabulary.strict:
            self.close(written, flat, path)
        description = " ".join(filter(None, said))
        return {**written, "description": description} if description else written

    def flat(self, schema: Mapping[str, Any], path: str, seen: frozenset[str]) -> tuple[dict[str, Any], frozenset[str]]:
        """Put in place what `$ref`, or an `allOf` of one, stands for; only in a circle a `$ref` remains."""
        reference, members = schema.get("$ref"), schema.get("allOf", ())
        if reference in seen or (reference is None and len(members) != 1):
            return dict(schema), seen
        rest = {keyword: value for keyword, value in schema.items() if keyword != ("allOf" if reference is None else "$ref")}
        if reference is not None:
            members, seen = [resolve(reference, self.root)], seen | {reference}
        inner, seen = self.flat(members[0], path, seen)
        for keyword in sorted(inner.keys() & rest.keys() - _ANNOTATIONS):
            if inner[keyword] != rest[keyword]:
                self.lose(path, keyword, "said twice; only the outer is shown")
        return self.flat({**inner, **rest}, path, seen)

    def adapted(self, schema: dict[str, Any], path: str) -> dict[str, Any]:
        """Say a constant and an exclusive union in the nearest keyword that the provider knows, and an enumeration by its type."""
        keywords, kind = self.vocabulary.keywords or {"const", "oneOf"}, schema.get("type")
        if "const" in schema and "const" not in keywords:
            schema["enum"] = [schema.pop("const")]
        if "oneOf" in schema and "oneOf" not in keywords and "anyOf" not in schema:
            schema["anyOf"] = schema.pop("oneOf")
            self.lose(path, "oneOf", "sent as anyOf, so more than one branch may match")
        if "enum" in schema and kind is not None:
            possible = [value for value in schema["enum"] if _TYPES[type(value)] in {kind, "integer" if kind == "number" else kind}]
            if not possible:
                self.lose(path, "enum", f"none of its values is of the type {kind}")
            schema = {**schema, "enum": possible} if possible else {word: value for word, value in schema.items() if word != "enum"}
        return schema

    def value(self, keyword: str, value: Any, path: str, seen: frozenset[str]) -> Any:
        """Rewrite the schemas in the value of a keyword."""
        if keyword in MAPS and isinstance(value, Mapping):
            return {name: self.node(member, f"{path}.{name}" if path else name, seen) for name, member in value.items()}
        inner = f"{path}[]" if keyword in {"items", "prefixItems"} else path
        if keyword in LISTS and isinstance(value, list):
            return [self.node(member, inner, seen) for member in value]
        if keyword in SINGLES and isinstance(value, Mapping):
            return self.node(value, inner, seen)
        return copy.deepcopy(value)

    def circle(self, schema: Mapping[str, Any], path: str) -> dict[str, Any]:
        """Refer to a place that is being rewritten already, or cut the circle where the provider can't follow it."""
        reference = schema["$ref"]
        for keyword in sorted(schema.keys() - _SILENT - {"$ref"}):
            self.lose(path, keyword, "can't stand beside a reference to an enclosing place")
        said = {"description": schema["description"]} if "description" in schema else {}
        if not self.vocabulary.recursive:
            self.without_shape(path, "it contains itself")
            self.lose(path, "$ref", "it contains itself; the inner levels are not described")
            return {"type": resolve(reference, self.root).get("type", "object"), **said}
        self.circles[reference] = reference.rpartition("/")[2]
        pointer = {"$ref": f"#/$defs/{self.circles[reference]}"}
        return {**said, "anyOf": [pointer]} if said else pointer

    def close(self, written: dict[str, Any], schema: Mapping[str, Any], path: str) -> None:
        """Close an object for strict decoding, and note every reason why a place has no closed shape."""
        for keyword in sorted(_WITHOUT_STRICT_FORM & schema.keys()):
            self.without_shape(path, f"{keyword} has no strict form")
        if "type" not in schema and "anyOf" not in schema:
            self.without_shape(path, "any value may stand here")
        if schema.get("type") == "array" and not isinstance(schema.get("items"), Mapping):
            self.without_shape(path, "the array is free-form")
        if schema.get("type") != "object":
            return
        if "properties" not in schema or schema.get("additionalProperties", False) is not False:
            self.without_shape(path, "the object is free-form")
            return
        if "additionalProperties" not in schema:
            self.lose(path, "additionalProperties", "properties that are not declared can't be sent")
        written["additionalProperties"] = False
        if self.vocabulary.null_for_absent:
            self.require_all(written, schema, path)

    def require_all(self, written: dict[str, Any], schema: Mapping[str, Any], path: str) -> None:
        """Make every property required; one that may be left out becomes a union with null."""
        for name, member in schema["properties"].items():
            if name in schema.get("required", ()):
                continue
            if not accepts_null(member, self.root):
                written["properties"][name] = _or_null(written["properties"][name])
            elif isinstance(member, Mapping) and member.get("default") is not None:
                self.lose(f"{path}.{name}" if path else name, "default", "null can't be told from left out, and is taken as null")
        written["required"] = list(written["properties"])


def _typed(schema: dict[str, Any], *, imply: bool) -> dict[str, Any]:
    """Say the type where members or values imply it, and leave out what it makes meaningless."""
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    implied = {"object"} if "properties" in schema else {"array"} if "items" in schema else {_TYPES[type(value)] for value in values}
    if imply and "type" not in schema and len(implied) == 1:
        schema = {"type": implied.pop(), **schema}
    kind = schema.get("type")
    if kind == "null":
        return {keyword: value for keyword, value in schema.items() if keyword == "type" or keyword in _ANNOTATIONS}
    if kind == "array" and "prefixItems" not in schema and schema.get("items", True) is True:
        schema = {**schema, "items": {}}  # means the same, and an array without `items` is refused by some
    return schema


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Accept null as well; the description stays outside the union."""
    outside = {keyword: value for keyword, value in schema.items() if keyword == "description"}
    inside = {keyword: value for keyword, value in schema.items() if keyword not in outside}
    branches = inside["anyOf"] if inside.keys() == {"anyOf"} else [inside]
    return {**outside, "anyOf": [*branches, {"type": "null"}]}
