"""Money is exact in every currency, and has one form for models and one for everything else."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from remit.actions import Money, SignedMoney
from remit.actions.currencies import DECIMALS

MONEY = TypeAdapter(Money)
MONEYS = st.builds(Money, st.integers(0, 2**53 - 1), st.sampled_from(sorted(DECIMALS)))


@given(MONEYS)
def test_money_survives_both_forms(money):
    model, canonical = (MONEY.dump_python(money, mode="json", context=context) for context in ({"for": "model"}, {}))
    assert MONEY.validate_python(model) == money
    assert MONEY.validate_python(canonical, context={"canonical": True}) == money
    assert Money.of(money.value, money.currency) == money
    assert len(money.value.partition(".")[2]) == DECIMALS[money.currency]


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(4990, "EUR", "49.90 EUR"), (5, "JPY", "5 JPY"), (5, "KWD", "0.005 KWD"), (-5, "EUR", "-0.05 EUR"), (0, "EUR", "0.00 EUR")],
)
def test_money_is_written_with_the_decimals_of_its_currency(minor, currency, text):
    assert str(Money(minor, currency)) == text


def test_fewer_decimals_are_the_same_amount():
    assert Money.of("49.9", "EUR") == Money.of(Decimal("49.90"), "EUR") == Money(4990, "EUR")


BAD = ["4.999", "1e2", "+1", " 1", "1 ", "", "1.", ".5", "01", "1_0", "\uff11", "-1", "NaN", "1" * 17, "90071992547409.93"]


@pytest.mark.parametrize("value", [*BAD, 49.9, 49, None, True, {}])
def test_amounts_that_a_model_may_not_send(value):
    with pytest.raises(ValidationError) as caught:
        MONEY.validate_python({"value": value, "currency": "EUR"})
    assert caught.value.errors()[0]["loc"] == ("value",)


@pytest.mark.parametrize("currency", ["EUX", "eur", "", 978, None, ["EUR"], "XAU"])
def test_currencies_that_a_model_may_not_send(currency):
    with pytest.raises(ValidationError) as caught:
        MONEY.validate_python({"value": "1", "currency": currency})
    assert caught.value.errors()[0]["loc"] == ("currency",)


def test_a_yen_has_no_cents():
    with pytest.raises(ValidationError, match="JPY has 0 decimals"):
        MONEY.validate_python({"value": "5.5", "currency": "JPY"})


def test_the_canonical_form_is_not_for_models():
    with pytest.raises(ValidationError):
        MONEY.validate_python({"minor": 4990, "currency": "EUR"})
    with pytest.raises(ValidationError):
        MONEY.validate_python({"value": "49.90", "currency": "EUR"}, context={"canonical": True})


@pytest.mark.parametrize("given", [5, "5 EUR", [], None, {"value": "1"}, {"value": "1", "currency": "EUR", "x": 1}])
def test_other_shapes_are_refused(given):
    with pytest.raises(ValidationError):
        MONEY.validate_python(given)


def test_negative_only_where_typed_so():
    signed = TypeAdapter(SignedMoney).validate_python({"value": "-1.50", "currency": "EUR"})
    assert signed == SignedMoney(-150, "EUR")
    assert TypeAdapter(SignedMoney).json_schema()["properties"]["value"]["pattern"].startswith("^-?")


def test_arithmetic_within_one_currency():
    assert Money(100, "EUR") + Money(50, "EUR") == Money(150, "EUR")
    assert Money(100, "EUR") - Money(150, "EUR") == Money(-50, "EUR")
    assert Money(1, "EUR") < Money(2, "EUR") <= Money(2, "EUR")


@pytest.mark.parametrize("operation", [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a < b, lambda a, b: a >= b])
def test_two_currencies_do_not_mix(operation):
    with pytest.raises(ValueError, match="EUR and JPY"):
        operation(Money(1, "EUR"), Money(1, "JPY"))


@pytest.mark.parametrize(("minor", "currency"), [(True, "EUR"), (1.5, "EUR"), (2**53, "EUR"), (1, "EUX")])
def test_money_that_can_not_be_made(minor, currency):
    with pytest.raises(ValueError, match=r"minor units|ISO 4217"):
        Money(minor, currency)


def test_each_form_has_its_schema():
    assert set(MONEY.json_schema()["properties"]) == {"value", "currency"}
    assert MONEY.json_schema(mode="serialization")["properties"]["minor"]["type"] == "integer"
    assert MONEY.json_schema()["x-remit"] == MONEY.json_schema(mode="serialization")["x-remit"] == "money"


@pytest.mark.parametrize("value", ["1." + "0" * 40 + "1", "x", "1e50", "NaN", "1.005"])
def test_amounts_are_never_rounded(value):
    with pytest.raises(ValueError, match=r"decimal"):
        Money.of(value, "EUR")
