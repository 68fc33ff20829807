"""Field types that mean something: money, and marks that say who may see a value.

A mark wraps a type: `Personal[str]`. It shows as `x-remit` in the schema of what is stored, never in what the model sees.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import total_ordering
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo, ValidationInfo
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, ValidationError, core_schema

from .currencies import DECIMALS

_EXACT = Context(prec=40, traps=[Inexact, InvalidOperation])
_LARGEST = 2**53 - 1  # what every JSON reader keeps exactly (RFC 8259, section 6)


@total_ordering
@dataclass(frozen=True, slots=True)
class Money:
    """Hold an amount as whole minor units of one currency: `Money(4990, "EUR")` is 49.90 EUR.

    The model sends `{"value": "49.90", "currency": "EUR"}`; stored, hashed and seen by rules is the canonical form
    `{"currency": "EUR", "minor": 4990}`. An unknown currency (ISO 4217) or an amount that JSON can't keep exactly
    raises ValueError; so does adding or comparing two currencies.
    """

    minor: int
    currency: str

    NEGATIVE: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.currency not in DECIMALS:
            raise ValueError(f"{self.currency[:80]!r} is not a currency of ISO 4217")
        if type(self.minor) is not int or abs(self.minor) > _LARGEST:
            raise ValueError("the amount must be a whole number of minor units within ±(2^53 - 1)")

    @classmethod
    def of(cls, value: str | Decimal | int, currency: str) -> Self:
        """Make money from a decimal amount: `Money.of("49.90", "EUR")`. Raise ValueError where it has too many decimals."""
        try:
            minor = Decimal(value).scaleb(DECIMALS.get(currency, 0), _EXACT)
        except (Inexact, InvalidOperation):
            raise ValueError(f"{str(value)[:80]!r} is not an exact decimal number") from None
        if not minor.is_finite() or minor.adjusted() > 15 or minor != int(minor):
            raise ValueError(f"{currency[:80]} has {DECIMALS.get(currency, 0)} decimals")
        return cls(int(minor), currency)

    @property
    def value(self) -> str:
        """Write the amount with exactly the decimals of its currency: "49.90"."""
        return str(Decimal(self.minor).scaleb(-DECIMALS[self.currency])) if DECIMALS[self.currency] else str(self.minor)

    def __str__(self) -> str:
        return f"{self.value} {self.currency}"

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise ValueError(f"{self.currency} and {other.currency} can't be added or compared")
        return other.minor

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(_serialize, info_arg=True),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        currency = {"type": "string", "pattern": "^[A-Z]{3}$", "description": "Currency code of ISO 4217, such as EUR."}
        if handler.mode == "serialization":
            properties = {"currency": currency, "minor": {"type": "integer", "description": "Amount in minor units, such as cents."}}
        else:
            amount = {"type": "string", "pattern": f"^{cls._pattern()}$", "description": "Amount as decimal text, such as 49.90."}
            properties = {"value": amount, "currency": currency}
        return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False, "x-remit": "money"}

    @classmethod
    def _pattern(cls) -> str:
        return ("-?" if cls.NEGATIVE else "") + r"(0|[1-9][0-9]{0,15})(\.[0-9]{1,3})?"

    @classmethod
    def _validate(cls, given: Any, info: ValidationInfo) -> Money:
        if isinstance(given, Money):
            return given
        parts = ("currency", "minor") if info.context and info.context.get("canonical") else ("value", "currency")
        errors = [] if isinstance(given, dict) else [_wrong((), "money_type", "Input should be an object with value and currency", given)]
        if not errors:
            errors = [_wrong((name,), "missing", "", given) for name in parts if name not in given]
            errors += [_wrong((name,), "extra_forbidden", "", given[name]) for name in given if name not in parts]
        if not errors and not (isinstance(given["currency"], str) and given["currency"] in DECIMALS):
            errors = [_wrong(("currency",), "money_currency", "Input should be a currency code of ISO 4217", given["currency"])]
        if not errors and "minor" in parts:
            return cls(given["minor"], given["currency"])
        if not errors and not (isinstance(given["value"], str) and re.fullmatch(cls._pattern(), given["value"])):
            errors = [_wrong(("value",), "money_value", "Input should be an amount as decimal text", given["value"])]
        if errors:
            raise ValidationError.from_exception_data("Money", errors, input_type="json")
        try:
            return cls.of(given["value"], given["currency"])
        except ValueError as error:
            wrong = _wrong(("value",), "money_value", str(error), given["value"])
            raise ValidationError.from_exception_data("Money", [wrong], input_type="json") from None


@dataclass(frozen=True, slots=True)
class SignedMoney(Money):
    """Hold an amount that may be negative, such as a balance or a correction; `Money` in a signature may not be."""

    NEGATIVE: ClassVar[bool] = True


def _wrong(loc: tuple[str, ...], kind: str, message: str, given: Any) -> InitErrorDetails:
    error = PydanticCustomError(kind, message) if message else kind
    return InitErrorDetails(type=error, loc=loc, input=given)


def _serialize(money: Money, info: SerializationInfo) -> dict[str, Any]:
    if info.context and info.context.get("for") == "model":
        return {"value": money.value, "currency": money.currency}
    return {"currency": money.currency, "minor": money.minor}


@dataclass(frozen=True, slots=True)
class Mark:
    """Say of a value who may see it; goes into the metadata of an Annotated type."""

    name: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        described = handler(schema)
        return described | {"x-remit": self.name} if handler.mode == "serialization" else described


T = TypeVar("T")
INJECTED = object()

Personal = Annotated[T, Mark("personal")]
"""A value about a person: committed to in the log, its opening sealed under the person's key."""
Secret = Annotated[T, Mark("secret")]
"""A value that enters no event, opening or outcome; sealed with the call, and only while it is needed."""
Public = Annotated[T, Mark("public")]
"""A value that may stand in the log in clear, for good: it says nothing about anybody."""
Internal = Annotated[T, Mark("internal")]
"""A part of a result that staff may see and the model may not."""
Injected = Annotated[T, INJECTED]
"""A parameter that Remit fills from the resources of the runtime; the model neither sees nor sends it."""
