"""Strict input: whatever we accept, every other reader accepts with an equal value."""

import json
import math
from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remit.actions import strict

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4), max_leaves=12
)
FRAGMENTS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        '"a"',
        '"a"',
        '"b"',
        '"\\u0061"',
        '"\\ud800"',
        "1",
        "-0",
        "1.0",
        "1e5",
        "1E400",
        "01",
        "NaN",
        "Infinity",
        "true",
        "null",
        " ",
        "\n",
        "//",
        "'",
        "\ufeff",
    ]
)


def same(ours: object, theirs: object) -> bool:
    """Compare a value of ours with one of the standard library; fractions as doubles, and True is not 1."""
    match ours, theirs:
        case bool() | None, _:
            return ours is theirs
        case Decimal(), float():
            return float(ours) == theirs
        case dict(), dict():
            return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
        case list(), list():
            return len(ours) == len(theirs) and all(map(same, ours, theirs))
        case _:
            return type(ours) is type(theirs) and ours == theirs


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    assert len(dict(pairs)) == len(pairs), "a duplicate key was accepted"
    return dict(pairs)


def no_constant(name: str) -> None:
    raise AssertionError(f"{name} was accepted")


def agrees(load, text: str) -> bool:
    """Say whether `load` refuses `text` or reads it as the standard library does, with nothing ambiguous in it."""
    try:
        ours = load(text)
    except strict.Unreadable:
        return True
    try:
        return same(ours, json.loads(text, object_pairs_hook=unique, parse_constant=no_constant))
    except (AssertionError, ValueError):
        return False


@given(VALUES.map(json.dumps) | st.lists(FRAGMENTS, max_size=12).map("".join) | st.text(max_size=20))
@example('{"a": 1, "a": 2}')
@example('{"a": 1, "\\u0061": 2}')
@example('{"x": {"a": 1, "a": 1}}')
@example("[NaN]")
@example("-Infinity")
@example('"\\ud83d\\ude00"')
@example("1e400")
@example("123456789012345678901234567890")
@example("0.1000000000000000055511151231257827")
def test_what_is_accepted_means_the_same_to_the_standard_library(text):
    assert agrees(strict.load, text)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "[NaN]", "-Infinity"])
def test_control_the_standard_library_itself_fails_that_comparison(text):
    assert not agrees(json.loads, text)


@given(VALUES)
def test_plain_values_are_read_back(value):
    try:
        read = strict.load(json.dumps(value))
    except strict.Unreadable:
        with pytest.raises(strict.Unreadable):
            strict.check(value)
        return
    assert read == strict.check(value)
    assert same(read, json.loads(json.dumps(value)))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1, "a": 2}', "duplicate"),
        ("[" * 65 + "]" * 65, "nested"),
        ("[" * 5000 + "]" * 5000, "recursion"),
        ("[" + "1," * 140_000 + "1]", "bytes"),
        ("9007199254740992", "2^53"),
        ("-9007199254740992", "2^53"),
        ("1e309", "range"),
        ("1e-400", "range"),
        ("1e999999999999999999999", "range"),
        ('{"é": 1}', "ASCII"),
        ('"\\ud800"', "escape"),
        ("", "EOF"),
        ("{} {}", "trailing"),
    ],
)
def test_refused(text, problem):
    with pytest.raises(strict.Unreadable, match=problem.replace("^", r"\^")):
        strict.load(text)


def test_the_bounds_themselves_are_accepted():
    assert strict.load("[" * 64 + "]" * 64)
    assert strict.load("[9007199254740991, -9007199254740991]") == [2**53 - 1, 1 - 2**53]
    assert strict.load(b" " * (262_144 - 2) + b"{}") == {}


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53, {1: 2}, {"é": 1}, "\ud800", {"a": object()}, b"x", {"a": {1, 2}}])
def test_parsed_values_are_held_to_the_same_rules(value):
    with pytest.raises(strict.Unreadable):
        strict.check(value)


def test_parsed_values_keep_what_was_meant():
    assert strict.check({"a": (0.1, True, "é")}) == {"a": [Decimal("0.1"), True, "é"]}
    with pytest.raises(strict.Unreadable, match="bytes"):
        strict.check({"a": "x" * 262_144})


def test_a_value_that_contains_itself_is_refused():
    loop: dict[str, object] = {}
    loop["a"] = loop
    with pytest.raises(strict.Unreadable, match="nested"):
        strict.check(loop)


def test_a_number_never_becomes_a_gigabyte_of_zeros():
    for text in ("1e308", "-1.5e-300"):
        assert len(format(strict.load(text), "f")) < 400
    assert isinstance(strict.load("{}"), Mapping)
