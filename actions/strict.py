"""Read JSON that a model wrote, refusing what two parsers could read differently."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import jiter

MAX_BYTES = 262_144
_LARGEST = 2**53 - 1  # RFC 8259, section 6: what every reader keeps exactly
_LARGEST_EXPONENT = 308  # a double reaches no further; also keeps 1e999999999 from becoming a gigabyte of zeros


class Unreadable(Exception):
    """This text is not JSON that everybody reads alike. `where` is a place in the text or a dotted path."""

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__(f"{problem} at {where}" if where else problem)
        self.problem, self.where = problem, where


def load(raw: bytes | str, *, max_bytes: int = MAX_BYTES, max_depth: int = 64) -> Any:
    """Parse JSON; fractions become Decimal. Raise Unreadable.

    Refused: duplicate keys, NaN and infinities, lone surrogates, depth, size, integers beyond ±(2^53 - 1) and fractions
    beyond a double's range, and keys outside ASCII (canonical order is defined on them).
    """
    try:
        raw = raw.encode() if isinstance(raw, str) else bytes(raw)
    except UnicodeEncodeError:
        raise Unreadable("not valid Unicode") from None
    if len(raw) > max_bytes:
        raise Unreadable(f"{len(raw)} bytes, at most {max_bytes} are read")
    try:
        value = jiter.from_json(raw, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="decimal")
    except ValueError as error:
        problem, _, where = str(error).rpartition(" at ")
        raise Unreadable("a number out of range" if "InvalidOperation" in problem else problem[:160], where) from None
    return _walk(value, max_depth, "")


def check(value: Any, *, max_bytes: int = MAX_BYTES, max_depth: int = 64) -> Any:
    """Hold an already parsed value to the same rules and copy it; a float becomes the Decimal of its shortest text."""
    checked = _walk(value, max_depth, "")
    if size(checked) > max_bytes:
        raise Unreadable(f"more than {max_bytes} bytes")
    return checked


def _walk(value: Any, depth: int, path: str) -> Any:
    kind = type(value)
    if kind is str:
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise Unreadable("not valid Unicode", path)
        return value
    if value is None or kind is bool:
        return value
    if kind is int:
        if not -_LARGEST <= value <= _LARGEST:
            raise Unreadable("a whole number beyond ±(2^53 - 1); send it as text", path)
        return value
    if kind is Decimal or kind is float:
        return _fraction(value, path)
    if depth == 0:
        raise Unreadable("nested too deeply", path)
    if kind is dict or isinstance(value, Mapping):  # asking an ABC is the slow way
        return {_key(key, path): _walk(item, depth - 1, f"{path}.{key}" if path else key) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_walk(item, depth - 1, path) for item in value]
    raise Unreadable(f"{kind.__name__} is not JSON", path)


def _key(key: Any, path: str) -> str:
    if type(key) is not str or not key.isascii():
        raise Unreadable("a key that is not ASCII text", path)
    return key


def _fraction(value: float | Decimal, path: str) -> Decimal:
    if isinstance(value, float):
        value = Decimal(repr(value)) if math.isfinite(value) else Decimal("NaN")
    if not value.is_finite() or (value and abs(value.adjusted()) > _LARGEST_EXPONENT):
        raise Unreadable("a number out of range", path)
    return value


def size(value: Any) -> int:
    """Give about how many bytes a checked value takes as JSON."""
    if isinstance(value, dict):
        return 2 + sum(len(key) + 4 + size(item) for key, item in value.items())
    if isinstance(value, list):
        return 2 + sum(1 + size(item) for item in value)
    return 2 + len(value.encode()) if isinstance(value, str) else len(str(value))
