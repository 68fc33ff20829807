"""Arguments as a person types them, values as a person reads them."""

from decimal import Decimal

import pytest

from remit import Money, action, once
from remit.cli.application import Unusable
from remit.cli.values import moment, shown, typed


@action(effect=once, key="order:{name}", owns=None, owns_reason="a test")
def order(
    name: str, count: int, price: Money, gift: bool, tip: Money | None = None, note: str | None = None, tags: list[str] | None = None
) -> None:
    """Order something."""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("name=12", "12"),
        ("name=true", "true"),
        ("name=a=b", "a=b"),
        ("name=", ""),
        ("note=12.50 EUR", "12.50 EUR"),
        ("count=12", 12),
        ("count=twelve", "twelve"),
        ("gift=true", True),
        ("price=12.50 EUR", {"value": "12.50", "currency": "EUR"}),
        ("price=12.50EUR", {"value": "12.50", "currency": "EUR"}),
        ("price=500 JPY", {"value": "500", "currency": "JPY"}),
        ("tip=1 EUR", {"value": "1", "currency": "EUR"}),
        ("price=12.50 euros", "12.50 euros"),
        ('tags=["a", "b"]', ["a", "b"]),
        ("unknown=x", "x"),
    ],
)
def test_each_value_is_read_as_the_schema_wants_it(text, value):
    assert list(typed(order.schema, [text], None).values()) == [value]


def test_a_document_and_single_arguments_add_up():
    assert typed(order.schema, ["name=a"], '{"count": 2, "rate": 1.5}') == {"name": "a", "count": 2, "rate": Decimal("1.5")}


@pytest.mark.parametrize(
    ("given", "document", "says"),
    [
        (["name"], None, "NAME=VALUE"),
        (["=x"], None, "NAME=VALUE"),
        (["name=a", "name=b"], None, "given twice"),
        (["name=a"], '{"name": "b"}', "given twice"),
        ([], "[1]", "one JSON object"),
        ([], "{", "--json-args"),
        ([], '{"a": 1, "a": 2}', "duplicate"),
        ([], '{"a": NaN}', "--json-args"),
    ],
)
def test_what_cannot_be_read_is_refused(given, document, says):
    with pytest.raises(Unusable, match=says):
        typed(order.schema, given, document)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", ""),
        (True, "yes"),
        (4990, "4990"),
        ({"currency": "EUR", "minor": 4990}, "49.90 EUR"),
        ({"currency": "JPY", "minor": 500}, "500 JPY"),
        ({"currency": "KWD", "minor": 1}, "0.001 KWD"),
        ({"value": "49.90", "currency": "EUR"}, "49.90 EUR"),
        ({"currency": "XX\x1b", "minor": 1}, "currency: XX\\x1b, minor: 1"),
        ({"value": "1\n", "currency": "EUR"}, "1\\n EUR"),
        ({"currency": "EUR", "minor": 1, "of": "x"}, "currency: EUR, minor: 1, of: x"),
        ({"to": {"na\x1bme": "a\u202eb"}, "all": ["x", 2]}, "to: na\\x1bme: a\\u202eb, all: x, 2"),
        ([], "-"),
        ({}, "-"),
    ],
)
def test_values_are_shown_on_one_line_with_amounts_as_people_write_them(value, text):
    assert shown(value) == text


def test_a_time_is_shown_to_the_second():
    assert moment("2026-03-01T10:00:05.123456Z") == "2026-03-01 10:00:05"
