"""What people are asked: every argument, exact, in their language, and nothing that a model wrote passes for anything else."""

from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from remit.actions import Action, Arguments, Money, Personal, Secret, SignedMoney, action, per_call, render
from remit.actions.currencies import DECIMALS
from remit.actions.library import accounts, appointments, payments, plans
from remit.errors import DefinitionError

NBSP = "\u00a0"


class Speed(Enum):
    NEXT_DAY = "next_day"
    SLOW = "slow"


class Address(BaseModel):
    city: str
    lines: list[str] = []


class Preview(BaseModel):
    due: Money
    day: date
    token: Secret[str] = "s3cret"


async def load_preview() -> Preview | None:
    return None


async def load_anything():
    return {"x": 1}


DECLARED = {"effect": "once", "key": per_call, "owns": None, "owns_reason": "a test", "description": "Do it."}


def declare(fn, **declared):
    from remit.actions import once

    return action(effect=once, key=per_call, owns=None, owns_reason="a test", **declared)(fn)


async def pay(
    amount: Money,
    to: Personal[str],
    speed: Speed = Speed.SLOW,
    count: int = 1,
    share: Decimal = Decimal("0.5"),
    now: bool = True,
    day: date | None = None,
    at: datetime | None = None,
    clock: time | None = None,
    address: Address | None = None,
    tags: list[str] | None = None,
    balance: SignedMoney | None = None,
    private: Personal[Money] | None = None,
    pin: Secret[str] | None = None,
    reason: Literal["damaged", "late"] = "late",
) -> None:
    """Pay."""


PAY = declare(pay, labels={"de": {"amount": "Betrag", "speed.next_day": "Am nächsten Tag", "address.city": "Ort"}})
EUR = {"value": "1234.50", "currency": "EUR"}


def shown(given, locale="en", one=PAY, facts=None, **more):
    read = one.read(given)
    assert isinstance(read, Arguments), read
    return render(one, read.canonical, facts or {}, locale, **more)


def line(given, name, locale="en"):
    return dict(shown({"amount": EUR, "to": "x", **given}, locale).lines)[name]


@pytest.mark.parametrize(
    ("money", "locale", "text"),
    [
        (("1234.50", "EUR"), "en", "€1,234.50"),
        (("1234.50", "EUR"), "de-AT", f"€{NBSP}1.234,50"),
        (("1234.50", "EUR"), "de", f"1.234,50{NBSP}€"),
        (("5000", "JPY"), "en", "¥5,000"),
        (("1.250", "BHD"), "en", "BHD1.250"),
        (("10.50", "AFN"), "en", "AFN10.50"),  # CLDR says that it has no decimals
        (("90071992547409.91", "USD"), "en", "$90,071,992,547,409.91"),
    ],
)
def test_money_is_exact_in_the_customers_locale(money, locale, text):
    value, currency = money
    assert line({"amount": {"value": value, "currency": currency}}, "Betrag" if locale.startswith("de") else "Amount", locale) == text


@given(st.sampled_from(sorted(DECIMALS)), st.integers(0, 2**53 - 1), st.sampled_from(["en", "de", "fr", "hi", "ja", "sv"]))
def test_no_currency_and_no_locale_loses_a_digit(currency, minor, locale):
    written = dict(render(PAY, {"amount": {"currency": currency, "minor": minor}}, {}, locale).lines)
    digits = "".join(char for text in written.values() for char in text if char.isdecimal())
    assert int(digits) == minor


def test_control_cldr_would_lose_digits():
    from babel.numbers import format_currency

    assert "10.50" not in format_currency(Decimal("10.50"), "AFN", locale="en")


@pytest.mark.parametrize(
    ("given", "name", "text"),
    [
        ({"count": 12345}, "Count", "12,345"),
        ({"share": "0.1234567890123456789"}, "Share", "0.1234567890123456789"),
        ({"now": False}, "Now", "No"),
        ({"speed": "next_day"}, "Speed", "Next day"),
        ({}, "Speed", "Slow"),
        ({"reason": "damaged"}, "Reason", "Damaged"),
        ({"day": "2026-03-01"}, "Day", "March 1, 2026"),
        ({"at": "2026-03-01T10:00:00+01:00"}, "At", "March 1, 2026, 9:00:00\u202fAM UTC"),
        ({"at": "2026-03-01T10:00:00.25Z"}, "At", "2026-03-01T10:00:00.250000Z"),
        ({"clock": "10:05:00+01:00"}, "Clock", "10:05:00\u202fAM UTC+01:00"),
        ({"clock": "22:05:00"}, "Clock", "10:05:00\u202fPM"),
        ({"address": {"city": "Ulm", "lines": ["a", "b"]}}, "Address · City", "Ulm"),
        ({"address": {"city": "Ulm", "lines": ["a", "b"]}}, "Address · Lines · 2", "b"),
        ({"tags": []}, "Tags", "—"),
        ({"to": ""}, "To", "—"),
        ({"balance": {"value": "-5.00", "currency": "EUR"}}, "Balance", "-€5.00"),
        ({"private": {"value": "5.00", "currency": "EUR"}}, "Private", "€5.00"),
        ({"pin": "1234"}, "Pin", "•••"),
        ({"to": "<b>&x"}, "To", "<b>&x"),
    ],
)
def test_every_kind_of_value_is_readable(given, name, text):
    if "share" in given:
        given = {"share": Decimal(given["share"])}
    assert line(given, name) == text


def test_the_language_of_the_customer_is_used():
    summary = shown(
        {"amount": EUR, "to": "x", "speed": "next_day", "address": {"city": "Ulm"}, "day": "2026-03-01"}, "de-DE", after="call_1"
    )
    lines = dict(summary.lines)
    assert lines["Betrag"] == f"1.234,50{NBSP}€"
    assert (lines["Speed"], lines["Address · Ort"], lines["Now"], lines["Day"]) == ("Am nächsten Tag", "Ulm", "Ja", "1. März 2026")
    assert (summary.locale, summary.direction, summary.notes) == ("de-DE", "ltr", ("Das wurde schon einmal getan. (call_1)",))
    assert shown({"amount": EUR, "to": "x"}, "ar").direction == "rtl"


def hidden(read, summary):
    """Name the arguments that have no line."""
    tops = {label.partition(" · ")[0] for label, _ in summary.lines}
    return [name for name in read if name.replace("_", " ").capitalize() not in tops]


@given(st.fixed_dictionaries({"to": st.text(), "tags": st.lists(st.text(), max_size=200)}))
def test_no_argument_is_left_out_and_none_breaks_it(given):
    read = {"amount": {"currency": "EUR", "minor": 1}, **given}
    summary = render(PAY, read, {}, "en")
    assert hidden(read, summary) == []
    for _, text in summary.lines:
        assert text.replace(NBSP, " ").isprintable()


def test_control_a_hidden_argument_is_noticed():
    summary = shown({"amount": EUR, "to": "x"})
    assert hidden(["amount", "surprise"], summary) == ["surprise"]


def test_what_has_too_many_parts_is_shown_as_it_is():
    assert line({"tags": ["x"] * 101}, "Tags") == "[" + ",".join(['"x"'] * 101) + "]"
    assert line({"tags": ["x"] * 100}, "Tags · 100") == "x"


def test_lines_come_in_one_order_however_they_were_stored():
    read = PAY.read({"amount": EUR, "to": "x", "address": {"city": "Ulm"}}).canonical
    stirred = {name: read[name] for name in sorted(read, reverse=True)}
    assert render(PAY, read, {}, "en") == render(PAY, stirred, {}, "en")


HEBREW = "\u05e9\u05dc\u05d5\u05dd 5"
HOSTILE = ["\u202egnp.exe", "p\u0430ypal", "a\u200bb", "line\nAmount: €1", "\x1b[2J", "\u2066x\u2069"]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_model_wrote_shows_what_it_is(text):
    one = declare(pay, summary="Pay {to}")
    summary = shown({"amount": EUR, "to": text}, one=one)
    shown_text = dict(summary.lines)["To"]
    assert "\\" in shown_text
    assert summary.sentence == f"Pay {shown_text}"


def test_a_value_from_right_to_left_stays_in_its_place():
    one = declare(pay, summary="Pay {to} {amount}")
    assert shown({"amount": EUR, "to": HEBREW}, one=one).sentence == "Pay \u2068" + HEBREW + "\u2069 €1,234.50"


BAD_LOCALES = [None, "", "xx", "root", "../../etc", "de\x00", "e" * 500, "en_US.UTF-8", "zz-ZZ", "-", "de--AT", "i-klingon", "日本"]


@pytest.mark.parametrize("locale", BAD_LOCALES)
def test_a_bad_locale_is_english(locale):
    assert shown({"amount": EUR, "to": "x"}, locale).locale == "en"


@given(st.text() | st.from_regex(r"\A[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8}){0,5}\Z"))
def test_no_locale_raises(locale):
    summary = render(PAY, {"amount": {"currency": "EUR", "minor": 5}, "day": "0001-01-01", "at": "9999-12-31T23:59:59Z"}, {}, locale)
    assert summary.direction in {"ltr", "rtl"}


async def change(plan: str, amount: Money, address: Address | None = None, pin: Secret[str] | None = None) -> None:
    """Change."""


FACTS = {"preview": load_preview, "anything": load_anything}


def test_a_sentence_tells_arguments_and_facts_and_the_facts_are_wanted():
    texts = {"en": "To {plan} in {address.city} for {facts.preview.due}", "de": "Zu {plan}, am {facts.preview.day} {facts.anything.x}"}
    one = declare(change, facts=FACTS, summary=texts)
    assert one.summary_facts == {"preview", "anything"}
    facts = {"preview": {"due": {"currency": "EUR", "minor": 900}, "day": "2026-03-01"}, "anything": {"x": 1}}
    given = {"plan": "pro", "amount": EUR}
    assert shown(given, "en", one, facts).sentence == "To pro in — for €9.00"
    assert shown(given, "de-CH", one, facts).sentence == "Zu pro, am 1. März 2026 1"
    assert shown(given, "fr", one, facts).sentence == f"To pro in — for 9,00{NBSP}€"
    assert shown(given, "en", one, {"preview": None}).sentence == "To pro in — for —"
    assert declare(change, facts=FACTS).summary_facts == frozenset()
    assert shown(given, "en", declare(change)).sentence == ""


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"summary": "To {plam}"}, "{plam} is unknown; known are address, address.city"),
        ({"summary": {"de": "{facts.preview.dew}"}}, "facts.preview.due"),
        ({"summary": "{facts.previw}"}, "{facts.previw} is unknown"),
        ({"summary": "{facts}"}, "{facts} is unknown"),
        ({"summary": "{}"}, "{} is unknown"),
        ({"summary": "To {plan"}, "a brace is not closed"),
        ({"summary": "{pin}"}, "{pin} is secret"),
        ({"summary": "{facts.preview.token}"}, "is secret"),
        ({"summary": {"Deutsch!": "x"}}, "is not a language"),
        ({"labels": {"en": {"plam": "Plan"}}}, "labels: 'plam' is unknown"),
    ],
)
def test_a_summary_that_could_not_be_filled_is_refused_at_the_definition(declared, said):
    with pytest.raises(DefinitionError) as raised:
        declare(change, facts=FACTS, **declared)
    assert said in str(raised.value)


def test_foreign_actions_have_summaries_too():
    schema = {
        "type": "object",
        "properties": {"n": {"type": "number"}, "free": {"type": "object", "additionalProperties": True}},
        "required": ["n"],
    }
    from remit.actions import once

    async def handle(arguments: dict) -> None: ...

    one = Action.from_schema(
        "count_it",
        schema,
        handle,
        effect=once,
        key=per_call,
        owns=None,
        owns_reason="a test",
        description="Count.",
        summary="Count {n}",
    )
    summary = shown({"n": Decimal("1234.5"), "free": {"b_b": "1234.5", "a": 12345}}, one=one)
    assert summary.sentence == "Count 1,234.5"
    assert summary.lines == (("N", "1,234.5"), ("Free · a", "12,345"), ("Free · b_b", "1234.5"))


@pytest.mark.parametrize(
    "one", [one for module in (accounts, appointments, payments, plans) for one in vars(module).values() if isinstance(one, Action)]
)
def test_what_the_library_does_is_worded_in_english_and_german(one):
    assert set(one.wording.texts) == ({"en", "de"} if one.effect.writes else set())
