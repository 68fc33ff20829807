"""Read the syntax tree of a compiled condition.

CEL hands it out as a serialized `cel.expr.CheckedExpr` (github.com/google/cel-spec, proto/cel/expr/syntax.proto and checked.proto). Only
what is looked at is described here, under the field numbers of that specification.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {"int": _Field.TYPE_INT64, "bool": _Field.TYPE_BOOL, "text": _Field.TYPE_STRING, "bytes": _Field.TYPE_BYTES}
_MESSAGES = {
    "Any": "value:2:bytes",
    "Checked": "expr:4:Node source:5:Source",
    "Source": "positions:4:Position*",
    "Position": "node:1:int offset:2:int",
    "Node": "id:2:int constant:3:Constant name:4:Name select:5:Select call:6:Call list:7:List struct:8:Struct loop:9:Loop",
    "Constant": "text:6:text",
    "Name": "name:1:text",
    "Select": "operand:1:Node field:2:text test_only:3:bool",
    "Call": "target:1:Node function:2:text arguments:3:Node*",
    "List": "items:1:Node*",
    "Struct": "entries:2:Entry*",
    "Entry": "key:3:Node value:4:Node",
    "Loop": "range:2:Node start:4:Node condition:5:Node step:6:Node result:7:Node",
}


def _message_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="syntax.proto", package="syntax", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for each in fields.split():
            field, number, kind = each.split(":")
            label = _Field.LABEL_REPEATED if kind.endswith("*") else _Field.LABEL_OPTIONAL
            made = message.field.add(name=field, number=int(number), label=label, type=_TYPES.get(kind, _Field.TYPE_MESSAGE))
            if kind not in _TYPES:
                made.type_name = f".syntax.{kind.rstrip('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"syntax.{name}")) for name in _MESSAGES}


_CLASSES = _message_classes()


class Syntax:
    """Hold the syntax tree of one condition. Nodes are protobuf messages: ask `HasField` which sort one is."""

    def __init__(self, serialized: bytes) -> None:
        checked = _CLASSES["Checked"].FromString(_CLASSES["Any"].FromString(serialized).value)
        self._root = checked.expr
        self._offsets = {position.node: position.offset for position in checked.source.positions}

    def nodes(self) -> Iterator[Any]:
        """Give every node, parents first."""
        return _walk(self._root)

    def offset(self, node: Any) -> int:
        """Give where the node stands in the text of the condition, in characters from 0."""
        return int(self._offsets.get(node.id, 0))

    @property
    def paths(self) -> frozenset[tuple[str, ...]]:
        """Give every path that is read or tested, such as `("facts", "payment", "created")`, in full length."""
        inner = {node.select.operand.id for node in self.nodes() if node.HasField("select")}
        return frozenset(path for node in self.nodes() if node.id not in inner and (path := path_of(node)))


def path_of(node: Any) -> tuple[str, ...]:
    """Give the path of a chain of fields that starts at a name; empty for any other node."""
    if node.HasField("name"):
        return (node.name.name,)
    if node.HasField("select") and (operand := path_of(node.select.operand)):
        return (*operand, node.select.field)
    return ()


def signature(node: Any) -> bytes:
    """Give bytes that are equal for nodes that say the same, wherever they stand."""
    copy = type(node)()
    copy.CopyFrom(node)
    for each in _walk(copy):
        each.ClearField("id")
    return bytes(copy.SerializeToString())


def _walk(message: Any) -> Iterator[Any]:
    if message.DESCRIPTOR.name == "Node":
        yield message
    for field, value in message.ListFields():
        if field.message_type:
            for inner in value if field.is_repeated else (value,):
                yield from _walk(inner)
