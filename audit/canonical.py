"""The one way to write a value as bytes, so that equal values have equal hashes.

RFC 8785 restricted to strings, integers within ±(2^53 - 1), booleans, null, arrays and objects: fractions never enter a leaf.
orjson sorts keys by code point and RFC 8785 by UTF-16 code unit; these agree as long as keys are ASCII, so keys must be.
"""

from __future__ import annotations

import orjson

from ..errors import AuditError
from .event import Json

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_PLAIN = frozenset([str, int, bool, type(None)])


def canonical(value: Json) -> bytes:
    """Write a JSON value as its canonical bytes (RFC 8785).

    Raises AuditError for anything else than a str, int within ±(2^53 - 1), bool, None, list, tuple or dict with ASCII keys.
    """
    try:
        if type(value) in _PLAIN:
            return orjson.dumps(value, option=_OPTIONS)
        _check(value)
        data = orjson.dumps(value, option=_OPTIONS)
        if not data.isascii():
            _check_keys(value)
    except (TypeError, RecursionError) as error:  # large integers, lone surrogates, nesting beyond orjson's 254 levels, a cycle
        raise AuditError(f"this value can't be written canonically: {error}") from error
    return data


def _check(value: Json) -> None:
    """Refuse what orjson would write all the same, such as fractions and times; it minds keys that are no strings, and large integers."""
    kind = type(value)
    if kind is dict:
        items = value.values()
    elif kind is list or kind is tuple:
        items = value
    elif isinstance(value, str):  # an enum of strings is written as its string
        return
    else:
        raise AuditError(f"a {kind.__name__} can't be written canonically")
    if not _PLAIN.issuperset(map(type, items)):
        for item in items:
            if type(item) not in _PLAIN:
                _check(item)


def _check_keys(value: Json) -> None:
    if isinstance(value, str):
        return
    if type(value) is dict:
        for key in value:
            if not key.isascii():
                raise AuditError(f"a key must be an ASCII string to be written canonically, not {key!r}")
        value = value.values()
    for item in value:
        if type(item) not in _PLAIN:
            _check_keys(item)
