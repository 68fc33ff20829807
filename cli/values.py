"""Values as a person types them and as a person reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..safe_text import safe
from .application import Unusable

_AMOUNT = re.compile(r"(-?\d+(?:\.\d+)?) ?([A-Z]{3})")


def shown(value: Any) -> str:
    """Write a JSON value on one line, with nothing in it that acts on a terminal; amounts as `49.90 EUR`."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case {"currency": str(currency), "minor": int(minor), **rest} if not rest:
            return _money(minor, currency)
        case {"currency": str(currency), "value": str(amount), **rest} if not rest:
            return safe(f"{amount} {currency}")
        case Mapping():
            return ", ".join(f"{safe(str(name))}: {shown(part)}" for name, part in value.items()) or "-"
        case list() | tuple() | frozenset():
            return ", ".join(map(shown, value)) or "-"
        case _:
            return safe(str(value))


def moment(text: str) -> str:
    """Write an RFC 3339 time in UTC to the second, as `2026-03-01 10:00:05`."""
    return text[:19].replace("T", " ")


def typed(schema: Mapping[str, Any], given: Iterable[str], document: str | None) -> dict[str, Any]:
    """Make arguments of `NAME=VALUE` texts and a JSON document, each value as the action's schema wants it.

    Text stays text where the schema takes text; `15.00 EUR` is an amount where it takes one; all else is read as JSON.
    """
    arguments = _document(document) if document else {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise Unusable(f"--arg {pair}: write NAME=VALUE")
        if name in arguments:
            raise Unusable(f"--arg {pair}: {name} is given twice")
        arguments[name] = _value(text, list(_options(schema.get("properties", {}).get(name, {}), schema)))
    return arguments


def _document(text: str) -> dict[str, Any]:
    from ..actions.strict import Unreadable, load

    try:
        document = load(text)
    except Unreadable as error:
        raise Unusable(f"--json-args: {error.where} {error.problem}".replace("  ", " ")) from None
    if not isinstance(document, dict):
        raise Unusable('--json-args: write one JSON object, such as \'{"order_id": "A-1001"}\'')
    return document


def _options(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Give the schemas that a value may meet, any one of them."""
    if reference := schema.get("$ref"):
        schema = root.get("$defs", {}).get(str(reference).rpartition("/")[2], {})
    if "anyOf" not in schema:
        yield schema
    for option in schema.get("anyOf", ()):
        yield from _options(option, root)


def _value(text: str, options: list[Mapping[str, Any]]) -> Any:
    if any(option.get("type") == "string" for option in options):
        return text
    if (amount := _AMOUNT.fullmatch(text)) and any(option.get("properties", {}).keys() == {"value", "currency"} for option in options):
        return {"value": amount[1], "currency": amount[2]}
    try:
        return json.loads(text)
    except ValueError:
        return text  # what is wrong with it, the action says


def _money(minor: int, currency: str) -> str:
    from ..actions import Money

    try:
        return str(Money(minor, currency))
    except ValueError:  # not money after all
        return safe(f"currency: {currency}, minor: {minor}")


def amount(number: int, currency: str | None) -> str:
    """Show a number of a limit: money if it has a currency, else a count."""
    return shown({"currency": currency, "minor": number}) if currency else f"{number:,}"
