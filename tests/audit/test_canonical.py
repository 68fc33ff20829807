"""Canonical bytes are those of RFC 8785, and what has none is refused."""

import enum
import re

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from remit.audit import canonical
from remit.errors import AuditError

_text = st.text(st.characters(exclude_categories=["Cs"]))
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _text,
    lambda each: st.lists(each) | st.dictionaries(st.text(st.characters(max_codepoint=127)), each),
)


@given(_values)
def test_it_agrees_with_the_rfc8785_package(value):
    assert canonical(value) == rfc8785.dumps(value)


def test_tuples_and_string_enums_are_written_as_arrays_and_strings():
    class Colour(enum.StrEnum):
        RED = "red"

    assert canonical({"a": (Colour.RED, 1)}) == b'{"a":["red",1]}'


def test_keys_beyond_ascii_would_be_sorted_otherwise_and_are_refused():
    value = {"\U0001f600": 1, "ﬀ": 2}  # UTF-16 puts the surrogate pair first, code points put it last
    assert rfc8785.dumps(value) != b'{"\xef\xac\x80":2,"\xf0\x9f\x98\x80":1}'
    with pytest.raises(AuditError, match="ASCII"):
        canonical(value)


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), 2**53, -(2**53), b"x", {1: 2}, {"a": {1.5}}, [0.5], "\ud800", {"a": [object()]}],
    ids=lambda value: re.sub(" at 0x.*", "", repr(value)),
)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(AuditError):
        canonical(value)


def test_endless_nesting_is_refused():
    loop: list = []
    loop.append(loop)
    with pytest.raises(AuditError):
        canonical(loop)
