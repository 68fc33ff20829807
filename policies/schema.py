"""Turn JSON Schemas into what CEL can check and evaluate.

A schema becomes a `Kind`. From the kinds come protobuf descriptors, made in memory, against which conditions are typed; and the one
change that values need before they are evaluated: text in `date-time` format becomes a timestamp.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import re2
from google.protobuf import descriptor_pb2, descriptor_pool, struct_pb2, timestamp_pb2

from .facts import SESSION_SCHEMAS, ActionShape
from .source import hint

PACKAGE = "shape"
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Field = descriptor_pb2.FieldDescriptorProto
_SIMPLE = {"string": "text", "integer": "integer", "boolean": "boolean"}
_SCALARS = {"text": _Field.TYPE_STRING, "integer": _Field.TYPE_INT64, "boolean": _Field.TYPE_BOOL}
QUIET = re2.Options()
QUIET.log_errors = False
"""RE2 prints what it can't compile, if it is not told."""
_MESSAGES = {"timestamp": ".google.protobuf.Timestamp", "any": ".google.protobuf.Value", "list": ".google.protobuf.ListValue"}


@dataclass(slots=True, eq=False)
class Kind:
    """Say what a value is: text, integer, boolean, timestamp, list (of `item`), object (of `fields`), or any."""

    what: str = "any"
    fields: dict[str, Kind] = field(default_factory=dict)
    item: Kind | None = None
    values: frozenset[str] = frozenset()
    """The texts that an enum admits; empty where any text is."""
    pattern: str = ""
    """What is found in every text, as a regular expression; empty where any text is."""
    path: str = ""
    """Where an object was first met, for messages."""
    timed: bool = False
    """Whether a timestamp is in it."""
    money: bool = False
    """Whether it is an amount: an object of `currency` and `minor`."""

    def at(self, path: tuple[str, ...]) -> Kind | None:
        """Follow a path of fields; None where it leaves what is known."""
        kind: Kind | None = self
        for name in path:
            kind = kind.fields.get(name) if kind else None
        return kind

    def stranger(self, text: str) -> str:
        """Say why a text can never stand here, to end a message with; nothing where it may."""
        if self.values and text not in self.values:
            return hint(text, self.values) or f": it is one of {', '.join(sorted(self.values))}"
        return f": it looks like {self.pattern}" if self.pattern and not _is_found(self.pattern, text) else ""

    def adapt(self, value: Any) -> Any:
        """Copy a value with its date-times as timestamps; raises ValueError, TypeError or AttributeError where it is not of this kind."""
        if not self.timed or value is None:
            return value
        if self.what == "timestamp":
            return _timestamp(value)
        if self.item:
            return [self.item.adapt(item) for item in value]
        return value | {name: kind.adapt(value[name]) for name, kind in self.fields.items() if kind.timed and name in value}


def inputs_kind(shape: ActionShape) -> Kind:
    """Give the kind of everything that a condition on this action may read, as one object."""
    facts = {name: _Reader(schema).read(schema, f"facts.{name}") if schema else Kind() for name, schema in shape.facts.items()}
    fields = {name: _Reader(schema).read(schema, name) for name, schema in SESSION_SCHEMAS.items()}
    fields |= {"arguments": _Reader(shape.arguments).read(shape.arguments, "arguments"), "facts": Kind("object", facts, path="facts")}
    root = Kind("object", fields)
    _mark_timed(root)
    return root


def describe(root: Kind) -> tuple[descriptor_pool.DescriptorPool, dict[str, Kind]]:
    """Make the descriptors of every object kind under `root`; gives the pool, and the kinds by message name."""
    names = {kind: f"o{number}" for number, kind in enumerate(_objects(root, set()))}
    file = descriptor_pb2.FileDescriptorProto(name="shape.proto", package=PACKAGE, syntax="proto2")
    pool = descriptor_pool.DescriptorPool()
    for known in (timestamp_pb2, struct_pb2):
        file.dependency.append(known.DESCRIPTOR.name)
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    for kind, name in names.items():
        message = file.message_type.add(name=name)
        for number, (key, value) in enumerate(kind.fields.items(), 1):
            _add_field(message, key, number, value, names)
    pool.AddSerializedFile(file.SerializeToString())
    return pool, {f"{PACKAGE}.{name}": kind for kind, name in names.items()}


def _add_field(message: Any, key: str, number: int, kind: Kind, names: Mapping[Kind, str]) -> None:
    # protobuf has no list of lists: one is a ListValue, whose items are free.
    repeated = kind.item is not None and kind.item.what != "list"
    single = kind.item if repeated and kind.item else kind
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    # The name is its own JSON name, else `a_b` and `aB` in one object would clash.
    made = message.field.add(name=key, json_name=key, number=number, label=label)
    if single in names:
        made.type, made.type_name = _Field.TYPE_MESSAGE, f".{PACKAGE}.{names[single]}"
    elif single.what in _SCALARS:
        made.type = _SCALARS[single.what]
    else:
        made.type, made.type_name = _Field.TYPE_MESSAGE, _MESSAGES[single.what]


def _objects(kind: Kind, seen: set[Kind]) -> Iterator[Kind]:
    if kind in seen:
        return
    seen.add(kind)
    if kind.what == "object":
        yield kind
    for inner in (*kind.fields.values(), *([kind.item] if kind.item else [])):
        yield from _objects(inner, seen)


def _mark_timed(root: Kind) -> None:
    """Mark what holds a timestamp, however deep; again until nothing changes, because kinds may be recursive."""
    kinds: set[Kind] = set()
    list(_objects(root, kinds))
    changed = True
    while changed:
        changed = False
        for kind in kinds:
            inner = (*kind.fields.values(), *([kind.item] if kind.item else []))
            if not kind.timed and (kind.what == "timestamp" or any(each.timed for each in inner)):
                kind.timed = changed = True


def _is_found(pattern: str, text: str) -> bool:
    try:
        return re2.search(pattern, text, QUIET) is not None
    except re2.error:  # JSON Schema's patterns may say more than RE2 takes
        return True


def _timestamp(text: str) -> timestamp_pb2.Timestamp:
    since = datetime.fromisoformat(text) - _EPOCH
    return timestamp_pb2.Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


class _Reader:
    """Read the kinds of one schema document, in which `$ref` is local."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._named: dict[str, Kind] = {}

    def read(self, schema: Any, path: str) -> Kind:
        """Read one schema. What CEL can't say, such as a union of several types, is `any`."""
        if not isinstance(schema, Mapping):
            return Kind()
        if "$ref" in schema:
            return self._refer(schema["$ref"], path)
        for combined in ("anyOf", "oneOf", "allOf"):
            if combined in schema:
                branches = [branch for branch in schema[combined] if branch != {"type": "null"}]
                return self.read(branches[0], path) if len(branches) == 1 else Kind()
        if "enum" in schema or "const" in schema:
            return _choice(schema.get("enum", [schema.get("const")]))
        named = schema.get("type")
        types = [each for each in (named if isinstance(named, list) else [named]) if each != "null"]
        return self._typed(types[0], schema, path) if len(types) == 1 else Kind()

    def _refer(self, ref: str, path: str) -> Kind:
        if ref not in self._named:
            self._named[ref] = kind = Kind()
            target: Any = self._root
            for step in ref.removeprefix("#").split("/")[1:]:
                target = target.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
            found = self.read(target, path)
            # Filled in place: a recursive schema already holds it.
            kind.what, kind.fields, kind.item, kind.values, kind.path = found.what, found.fields, found.item, found.values, found.path
            kind.money, kind.pattern = found.money, found.pattern
        return self._named[ref]

    def _typed(self, name: Any, schema: Mapping[str, Any], path: str) -> Kind:
        if name == "string" and schema.get("format") == "date-time":
            return Kind("timestamp")
        if name in _SIMPLE:
            return Kind(_SIMPLE[name], pattern=schema.get("pattern", "") if name == "string" else "")
        if name == "array":
            return Kind("list", item=self.read(schema.get("items"), f"{path}[]"))
        properties = schema.get("properties")
        if name != "object" or properties is None or schema.get("additionalProperties") or not all(map(_IDENTIFIER.fullmatch, properties)):
            return Kind()
        fields = {key: self.read(value, f"{path}.{key}") for key, value in properties.items()}
        return Kind("object", fields, path=path, money=schema.get("x-remit") == "money")


def _choice(values: list[Any]) -> Kind:
    present = [value for value in values if value is not None]
    if all(isinstance(value, str) for value in present):
        return Kind("text", values=frozenset(present))
    for what, type_ in (("boolean", bool), ("integer", int)):
        if all(type(value) is type_ for value in present):
            return Kind(what)
    return Kind()
