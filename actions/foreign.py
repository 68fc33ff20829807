"""Declare an action by a JSON Schema that somebody else wrote, and bound what checking it may cost.

A schema is linted when it is declared (size with references followed, no recursion, patterns of linear time only) and
checking spends from a budget, so that no schema and no input holds the process for long.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from decimal import Decimal, InvalidOperation
from typing import Any, get_origin

import orjson
import re2
from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.exceptions import SchemaError

from ..errors import DefinitionError
from . import strict
from .arguments import Arguments
from .classes import secrets
from .forms import canonical_leaf, compile_changes, decimal_leaf, decimal_text, without_fractions
from .problems import FieldError, from_jsonschema, hide
from .schema import Schema, branches, resolve, without_marks
from .wiring import Wiring, place

_MAPS = ("properties", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "contains", "not", "if", "then", "else", "propertyNames")
_DEFINITIONS = ("$defs", "definitions")
_REFUSED = (
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "patternProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "dependencies",
)
_MOST_NODES, _DEEPEST, _BUDGET = 2_000, 32, 10_000

_QUIET = re2.Options()
_QUIET.log_errors = False  # else RE2 writes to stderr
_left: ContextVar[list[int]] = ContextVar("left")


class ForeignReader:
    """Read arguments by a JSON Schema 2020-12. A `number` is a Decimal to the handler, and decimal text in canonical form."""

    def __init__(self, schema: Schema, where: str) -> None:
        try:
            _lint(schema, schema, 0, (), [0])
            exact = _each(strict.check(schema), _without_type_list)
            Draft202012Validator.check_schema(exact)
            _each(exact, lambda node: _unambiguous(node, exact))
        except (DefinitionError, strict.Unreadable, SchemaError) as error:
            raise DefinitionError(f"{where}, schema: {str(error).splitlines()[0]}") from None
        exact = {"properties": {}, "additionalProperties": False, **exact}
        exact.pop("$schema", None)
        self._required = dict.fromkeys(exact.get("required", ()))
        self._validator = _Validator(exact, format_checker=None)
        self._defaults = self._checked_defaults(exact["properties"], where)
        self.schema: Schema = orjson.loads(orjson.dumps(without_marks(exact), default=float))
        self.rules_schema: Schema = orjson.loads(orjson.dumps(_each(exact, _stored), default=decimal_text))
        self._secrets = secrets(self.rules_schema)
        self._to_canonical = compile_changes(self.schema, self.schema, canonical_leaf)
        self._to_values = compile_changes(self.schema, self.schema, decimal_leaf)

    def read(self, document: dict[str, Any]) -> Arguments | list[FieldError]:
        """Validate what a model sent, within the budget."""
        document = self._defaults | document
        _left.set([_BUDGET])
        try:
            errors = from_jsonschema(self._validator.iter_errors(document))
        except _TooCostlyError:
            errors = [FieldError("", "takes too long to check", "fewer and shorter values")]
        if not errors and self._to_canonical:
            document = self._to_canonical(document, "", errors)
        return hide(errors, self._secrets) or self.restore(
            {name: without_fractions(item) for name, item in document.items() if item is not None}
        )

    def restore(self, canonical: Mapping[str, Any]) -> Arguments:
        """Rebuild arguments from their canonical form; a required one that is absent was null."""
        values = self._to_values(canonical, "", []) if self._to_values else canonical
        return Arguments({**self._required, **values}, canonical)

    def as_sent(self, arguments: Arguments) -> dict[str, Any]:
        """Write arguments as a model would send them: numbers as numbers."""
        return dict(self._to_values(arguments.canonical, "", []) if self._to_values else arguments.canonical)

    def _checked_defaults(self, properties: Schema, where: str) -> dict[str, Any]:
        defaults = {
            name: item["default"] for name, item in properties.items() if isinstance(item, dict) and item.get("default") is not None
        }
        for name, default in defaults.items():
            _left.set([_BUDGET])
            if not self._validator.evolve(schema=properties[name]).is_valid(default):
                raise DefinitionError(f"{where}, schema: the default of {name!r} does not fit it")
        return defaults


def foreign_wiring(handler: Callable[..., Any], schema: Schema, where: str) -> Wiring:
    """Wire a handler that takes the arguments by name, in `**others`, or all in one parameter annotated as a Mapping."""
    wiring, known = Wiring.of(handler, rest=True), schema.get("properties", {})
    for name, parameter in wiring.free.items():
        kind = get_origin(parameter.annotation) or parameter.annotation
        if len(wiring.free) == 1 and name not in known and isinstance(kind, type) and issubclass(kind, Mapping):
            return dataclasses.replace(wiring, whole=name)
        if parameter.default is parameter.empty and name not in schema.get("required", ()):
            raise DefinitionError(f"{where}: {place(handler)} wants {name!r}, which the schema does not require; give it a default")
    if missing := [name for name in known if name not in wiring.free and not wiring.rest]:
        raise DefinitionError(f"{where}: {place(handler)} does not take {missing[0]!r}; add it, or **others")
    return wiring


def _lint(node: Any, root: Schema, depth: int, refs: tuple[str, ...], count: list[int]) -> None:
    """Refuse what can't be checked here, or not cheaply; references are followed, so that what they multiply is counted."""
    if isinstance(node, bool) and depth:
        return
    count[0] += 1
    if not depth and not (isinstance(node, Mapping) and node.get("type") == "object"):
        raise DefinitionError('arguments are an object; say "type": "object"')
    if not isinstance(node, Mapping):
        raise DefinitionError("a schema is an object, true or false")
    if depth > _DEEPEST or count[0] > _MOST_NODES:
        raise DefinitionError(f"too costly: more than {_MOST_NODES} parts, references followed, or nested deeper than {_DEEPEST}")
    if refused := node.keys() & set(_REFUSED):
        raise DefinitionError(f"{min(refused)!r} is not supported")
    _lint_pattern(node.get("pattern"))
    if (ref := node.get("$ref")) is not None:
        if not isinstance(ref, str) or not ref.startswith("#/") or ref in refs:
            raise DefinitionError(f'"$ref": {ref!r} must be local ("#/$defs/…") and not lead back to itself')
        _lint(resolve(ref, root), root, depth + 1, (*refs, ref), count)
    for child in _children(node):
        _lint(child, root, depth + 1, refs, count)


def _unambiguous(node: dict[str, Any], root: Schema) -> dict[str, Any]:
    kinds = {option.get("type") for option in branches(node, root)}
    if {"number", "string"} <= kinds:
        raise DefinitionError("a place that takes a number or text is ambiguous once a number is stored as text; choose one")
    return node


def _lint_pattern(pattern: Any) -> None:
    try:
        if pattern is not None:
            re2.compile(pattern, _QUIET)
    except (re2.error, TypeError):
        raise DefinitionError(f"the pattern {pattern!r} can't be run in linear time (RE2): no look-around, no back-references") from None


def _children(node: Schema) -> Iterator[Any]:
    for keyword in _MAPS:
        yield from node[keyword].values() if isinstance(node.get(keyword), Mapping) else ()
    for keyword in _LISTS:
        yield from node[keyword] if isinstance(node.get(keyword), list) else ()
    yield from (node[keyword] for keyword in _SINGLE if keyword in node)


def _each(node: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Rebuild a schema with `change` applied to every part of it, definitions included, innermost first."""
    if not isinstance(node, Mapping):
        return node
    rebuilt = dict(node)
    for keyword in (*_MAPS, *_DEFINITIONS):
        if keyword in node:
            rebuilt[keyword] = {name: _each(item, change) for name, item in node[keyword].items()}
    for keyword in _LISTS:
        if keyword in node:
            rebuilt[keyword] = [_each(item, change) for item in node[keyword]]
    for keyword in _SINGLE:
        if keyword in node:
            rebuilt[keyword] = _each(node[keyword], change)
    return change(rebuilt)


def _without_type_list(node: dict[str, Any]) -> dict[str, Any]:
    """Write `"type": ["string", "null"]` as anyOf: some SDKs break on the list."""
    if not isinstance(node.get("type"), list):
        return node
    outside = {name: node[name] for name in ("description", "title", "default", "x-remit") if name in node}
    inside = {name: item for name, item in node.items() if name not in outside}
    return outside | {"anyOf": [{**inside, "type": kind} for kind in node["type"]]}


def _stored(node: dict[str, Any]) -> dict[str, Any]:
    """Describe the canonical form of a part: a number is text."""
    if node.get("type") != "number":
        return node
    return {name: node[name] for name in ("description", "x-remit") if name in node} | {"type": "string", "format": "decimal"}


class _TooCostlyError(DefinitionError):
    """Checking these arguments by this schema costs too much."""


def _spend(cost: int) -> None:
    left = _left.get()
    left[0] -= cost
    if left[0] < 0:
        raise _TooCostlyError


def _counted(keyword: Callable[..., Iterator[ValidationError] | None]) -> Callable[..., Iterator[ValidationError]]:
    def check(validator: Any, value: Any, instance: Any, schema: Schema) -> Iterator[ValidationError]:
        _spend(
            1 + (len(value) // 16 if isinstance(value, list | dict) else 0) + (len(instance) // 1024 if isinstance(instance, str) else 0)
        )
        for error in keyword(validator, value, instance, schema) or ():
            _spend(5 + len(error.message) // 64)  # an error is costly to make, and its message repeats the value
            yield error

    return check


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Schema) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not re2.search(pattern, instance):
        yield ValidationError("does not match")


def _required(_validator: Any, names: list[str], instance: Any, _schema: Schema) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        yield from (ValidationError("is missing", path=[name]) for name in names if name not in instance)


def _unique_items(_validator: Any, unique: bool, instance: Any, _schema: Schema) -> Iterator[ValidationError]:
    """Compare in linear time; the original compares every pair."""
    if unique and isinstance(instance, list):
        texts = {
            orjson.dumps(item, default=lambda number: orjson.Fragment(decimal_text(number)), option=orjson.OPT_SORT_KEYS)
            for item in instance
        }
        if len(texts) < len(instance):
            yield ValidationError("has the same item twice")


def _multiple_of(_validator: Any, step: int | Decimal, instance: Any, _schema: Schema) -> Iterator[ValidationError]:
    if isinstance(instance, int | Decimal) and not isinstance(instance, bool):
        try:
            fits = not Decimal(instance) % Decimal(step)
        except InvalidOperation:  # the quotient has more digits than Decimal reckons with
            fits = False
        if not fits:
            yield ValidationError("is not a multiple")


_KEYWORDS = dict(Draft202012Validator.VALIDATORS) | {
    "pattern": _pattern,
    "required": _required,
    "uniqueItems": _unique_items,
    "multipleOf": _multiple_of,
}
_Validator = validators.extend(Draft202012Validator, {name: _counted(keyword) for name, keyword in _KEYWORDS.items()})
