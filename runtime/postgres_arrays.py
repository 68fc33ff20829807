"""The statements that most calls run, each once for a whole group: columns go over as arrays, in the server's own binary form.

A statement for each row would cost three times as much, most of it here and not at the server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from struct import Struct
from typing import Any

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

from .call import Call
from .statements import CALL_COLUMNS, CALL_MUTABLE, inserted_columns

_TEXT, _BYTES, _NUMBER = "text", "bytea", "bigint"
_OF = {"str": _TEXT, "State": _TEXT, "int": _NUMBER, "bytes": _BYTES}
_CALL = {field.name: _OF[str(field.type).partition(" ")[0]] for field in fields(Call)}
_KEY = ("tenant", "id", "version")
COLUMNS: dict[str, tuple[str, ...]] = {
    "call.add": tuple(_CALL[name] for name in CALL_COLUMNS),
    "call.move": tuple(_CALL[name] for name in (*CALL_MUTABLE, *_KEY)),
    "effect.hold": (_TEXT, _BYTES, _NUMBER, _TEXT, _BYTES, _TEXT),
    "event.add": (_TEXT, _TEXT, _TEXT, _NUMBER, _TEXT, _NUMBER, _BYTES, _BYTES),
    "event.place": (_NUMBER, _NUMBER),
    "opening.add": (_TEXT, _TEXT, _TEXT, _BYTES),
    "term.add": (_TEXT, _TEXT, _TEXT, _NUMBER, _TEXT, _NUMBER),
}
"""What their values are."""


def _unnest(kinds: Sequence[str]) -> str:
    return f"unnest({', '.join(f'${number}::{kind}[]' for number, kind in enumerate(kinds, 1))})"


def _insert(statement: str) -> str:
    return f"{inserted_columns(statement)} SELECT * FROM {_unnest(COLUMNS[statement])}"  # noqa: S608 - names from this package


_SET = ", ".join(f"{name} = v.{name}" for name in CALL_MUTABLE)
_SEEN = ("v_tenant", "v_id", "v_version")
SQL = {name: _insert(name) for name in ("call.add", "effect.hold", "event.add", "opening.add")} | {
    "term.add": f"{_insert('term.add')} ON CONFLICT DO NOTHING",
    "call.move": f"UPDATE call AS c SET {_SET} FROM {_unnest(COLUMNS['call.move'])} AS v({', '.join((*CALL_MUTABLE, *_SEEN))})"  # noqa: S608
    " WHERE c.tenant = v_tenant AND c.id = v_id AND c.version = v_version",
    "event.place": f"UPDATE event AS e SET leaf_index = v.place FROM {_unnest(COLUMNS['event.place'])} AS v(place, position)"  # noqa: S608
    " WHERE e.position = v.position AND e.leaf_index IS NULL",
}

_HEAD, _LENGTH, _EIGHT = Struct("!iiIii").pack, Struct("!i").pack, Struct("!iq").pack
_NULL = _LENGTH(-1)


class _Texts(bytes):
    """An array of texts."""


class _Blobs(bytes):
    """An array of bytes."""


class _Numbers(bytes):
    """An array of bigints."""


_ARRAYS: dict[str, tuple[type[bytes], int]] = {_TEXT: (_Texts, 25), _BYTES: (_Blobs, 17), _NUMBER: (_Numbers, 20)}


class _Ready(Dumper):
    """Send what is in the server's form already."""

    format = Format.BINARY

    def dump(self, obj: bytes) -> bytes:
        """Give it as it is."""
        return bytes(obj)


class _TextsDumper(_Ready):
    oid = 1009


class _BlobsDumper(_Ready):
    oid = 1001


class _NumbersDumper(_Ready):
    oid = 1016


def adapt_arrays(connection: psycopg.AsyncConnection[Any]) -> None:
    """Let a connection take what `arrays` gives."""
    for made, dumper in ((_Texts, _TextsDumper), (_Blobs, _BlobsDumper), (_Numbers, _NumbersDumper)):
        connection.adapters.register_dumper(made, dumper)


def arrays(statement: str, rows: Sequence[tuple[Any, ...]]) -> list[bytes]:
    """Give the values of a statement by column, for all rows at once (PostgreSQL, src/backend/utils/adt/arrayfuncs.c, `array_recv`)."""
    return [_array(kind, column) for kind, column in zip(COLUMNS[statement], zip(*rows, strict=True), strict=True)]


def _array(kind: str, column: Sequence[Any]) -> bytes:
    made, oid = _ARRAYS[kind]
    parts = [_HEAD(1, 1, oid, len(column), 1)]
    if kind == _NUMBER:
        parts += [_NULL if value is None else _EIGHT(8, value) for value in column]
        return made(b"".join(parts))
    for value in column:
        if value is None:
            parts.append(_NULL)
        else:
            raw = value if kind == _BYTES else value.encode()
            parts += (_LENGTH(len(raw)), raw)
    return made(b"".join(parts))
