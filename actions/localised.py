"""Write values in a person's language: money to its last unit, numbers to their last digit, dates and times with their zone.

What can't be written exactly in that language is written as it is stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.numbers import format_decimal

from .fields import Money

_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8}){0,5}")
_LONGEST_NUMBER = 28  # digits; Babel computes with so many and rounds what is longer
WORDS = {
    "en": {"yes": "Yes", "no": "No", "before": "This was done before."},
    "de": {"yes": "Ja", "no": "Nein", "before": "Das wurde schon einmal getan."},
    "fr": {"yes": "Oui", "no": "Non", "before": "Cela a déjà été fait."},
    "es": {"yes": "Sí", "no": "No", "before": "Esto ya se hizo antes."},
}
NOTHING = "—"


@dataclass(frozen=True, slots=True)
class Language:
    """Write for the people of one locale."""

    locale: Locale

    @property
    def tag(self) -> str:
        """Give the BCP 47 tag, such as de-AT."""
        return str(self.locale).replace("_", "-")

    @property
    def direction(self) -> str:
        """Give the direction of its script: ltr or rtl."""
        return self.locale.text_direction

    @property
    def ranges(self) -> Iterator[str]:
        """List the tags that would do, the closest first: de-AT, de, en."""
        subtags = self.tag.lower().split("-")
        yield from ("-".join(subtags[:length]) for length in range(len(subtags), 0, -1))
        yield "en"

    def word(self, name: str) -> str:
        """Give one of the built-in words, in English where there is none."""
        return next(WORDS[tag] for tag in self.ranges if tag in WORDS)[name]

    def money(self, money: Money) -> str:
        """Write an amount with exactly the decimals of its currency; CLDR's own tables would round some away."""
        pattern, value = copy(self.locale.currency_formats["standard"]), Decimal(money.value)
        decimals = -int(value.as_tuple().exponent)
        pattern.frac_prec = (decimals, decimals)
        return str(pattern.apply(value, self.locale, currency=money.currency, currency_digits=False))

    def number(self, number: str | int) -> str:
        """Write a whole number or decimal text with all its digits."""
        text = str(number)
        return text if len(text) > _LONGEST_NUMBER else format_decimal(Decimal(text), locale=self.locale, decimal_quantization=False)

    def instant(self, text: str) -> str:
        """Write a date and time (RFC 3339) with its offset, UTC shown as such."""
        at = datetime.fromisoformat(text)
        day, clock = format_date(at.date(), "long", locale=self.locale), format_time(at.time(), "medium", locale=self.locale)
        together = str(self.locale.datetime_formats["long"]).replace("'", "").replace("{1}", day).replace("{0}", clock)
        return text if at.microsecond else _with_offset(together, at)

    def date(self, text: str) -> str:
        """Write a date in words."""
        return format_date(date.fromisoformat(text), "long", locale=self.locale)

    def time(self, text: str) -> str:
        """Write a time of day, with its offset where it has one."""
        at = time.fromisoformat(text)
        clock = format_time(at.replace(tzinfo=None), "medium", locale=self.locale)
        return text if at.microsecond else _with_offset(clock, at)


@lru_cache(maxsize=64)
def language(tag: str | None) -> Language:
    """Find the language of a BCP 47 tag or what is closest to it; English for what is no tag, or unknown. Never raises."""
    parts = re.split("[-_]", tag) if tag and _TAG.fullmatch(tag) else []
    for length in range(len(parts), 0, -1):
        try:
            found = Locale.parse("_".join(parts[:length]))
        except (UnknownLocaleError, ValueError, TypeError):
            continue
        if found.language != "root":
            return Language(found)
    return Language(Locale("en"))


def _with_offset(written: str, at: datetime | time) -> str:
    offset = at.isoformat()[len(at.replace(tzinfo=None).isoformat()) :]
    return f"{written} UTC{'' if offset == '+00:00' else offset}" if at.tzinfo else written
