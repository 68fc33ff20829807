"""The one way to write a value as bytes, so that equal values have equal hashes.

RFC 8785 restricted to strings, integers within ±(2^53 - 1), booleans, null, arrays and objects: fractions never enter a leaf.
orjson sorts keys by code point and RFC 8785 by UTF-16 code unit; these agree as long as keys are ASCII, so keys must be.
"""

from __future__ import annotations

import orjson

from ..errors import AuditError
from .event import Json

_GREATEST = 2**53 - 1
_PLAIN = frozenset([str, bool, type(None)])


def canonical(value: Json) -> bytes:
    """Write a JSON value as its canonical bytes (RFC 8785).

    Raises AuditError for anything else than a str, int within ±(2^53 - 1), bool, None, list, tuple or dict with ASCII keys.
    """
    try:
        _check(value)
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, RecursionError) as error:  # lone surrogates, nesting beyond orjson's 254 levels, a cycle
        raise AuditError(f"this value can't be written canonically: {error}") from error


def _check(value: Json) -> None:
    kind = type(value)
    if kind is dict:
        for key in value:
            if type(key) is not str or not key.isascii():
                raise AuditError(f"a key must be an ASCII string to be written canonically, not {key!r}")
        items = value.values()
    elif kind is list or kind is tuple:
        items = value
    else:
        _check_scalar(value)
        return
    for item in items:
        if type(item) not in _PLAIN:
            _check(item)


def _check_scalar(value: Json) -> None:
    kind = type(value)
    if kind is int:
        if not -_GREATEST <= value <= _GREATEST:
            raise AuditError(f"{value} is beyond ±(2^53 - 1), where JSON readers stop agreeing on integers")
    elif kind not in _PLAIN and not isinstance(value, str):  # an enum of strings is written as its string
        raise AuditError(f"a {kind.__name__} can't be written canonically")
