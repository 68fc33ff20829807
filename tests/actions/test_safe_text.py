"""What a terminal is shown: nothing that a model wrote moves its cursor, colours, reorders or hides."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.safe_text import safe

HOSTILE = {
    "colour": ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
    "clear the screen": ("\x1b[2J\x1b[H", "\\x1b[2J\\x1b[H"),
    "title, ended by BEL": ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
    "one-byte CSI": ("\x9b31mred", "\\x9b31mred"),
    "a second line": ("ok\nsucceeded", "ok\\nsucceeded"),
    "over the line": ("paid 5\rpaid 500", "paid 5\\rpaid 500"),
    "backspaces": ("500\x08\x08\x085", "500\\x08\\x08\\x085"),
    "NUL and DEL": ("a\x00b\x7f", "a\\x00b\\x7f"),
    "tab": ("a\tb", "a\\tb"),
    "right-to-left override": ("\u202etxt.exe", "\\u202etxt.exe"),
    "isolates": ("\u2066a\u2069", "\\u2066a\\u2069"),
    "marks of direction": ("\u200e\u200f\u061c", "\\u200e\\u200f\\u061c"),
    "zero width": ("pay\u200bpal\ufeff\u2060", "pay\\u200bpal\\ufeff\\u2060"),
    "soft hyphen": ("in\u00advoice", "in\\xadvoice"),
    "no-break space": ("a\u00a0b", "a\\xa0b"),
    "line separator": ("a\u2028b\u2029", "a\\u2028b\\u2029"),
    "tag characters": ("hi\U000e0041\U000e007f", "hi\\U000e0041\\U000e007f"),
    "variation selectors": ("a\ufe0f\U000e0100", "a\\ufe0f\\U000e0100"),
    "fillers": ("a\u3164\u115f\uffa0\u2800", "a\\u3164\\u115f\\uffa0\\u2800"),
    "lone surrogate": ("\ud800", "\\ud800"),
    "a Cyrillic letter among Latin ones": ("p\u0430ypal", "p\\u0430ypal"),
    "a Latin letter among Cyrillic ones": ("\u0416\u0414\u0418a", "\u0416\u0414\u0418\\x61"),
    "a Greek letter behind a line": ("pay_\u03bf1", "pay_\\u03bf1"),
    "wide letters": ("pay\uff50al", "pay\\uff50al"),
    "mathematical letters": ("re\U0001d41fund", "re\\U0001d41fund"),
    "a heap of marks": ("a" + "\u0301" * 5, "a" + "\\u0301" * 5),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_shown_as_escapes(name):
    text, shown = HOSTILE[name]
    assert safe(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Zoë Müller",
        "Ελένη",
        "渡辺",
        "東京タワーへ Tokyo行き",
        "שלום",
        "5 µg, 1ª, m²",
        "Hawai\u02bbi",
        "Zoe\u0308",
        "Anna und Ελένη",
        "50 % off: [bold]",
        "👍",
        "c:\\new",
    ],
)
def test_plain_text_stays_as_it_is(text):
    assert safe(text) == text


def acts_on_a_terminal(text):
    return any(unicodedata.category(char)[0] == "C" or unicodedata.category(char) in {"Zl", "Zp"} for char in text)


@given(st.text(st.characters()))
def test_nothing_that_acts_is_left(text):
    assert not acts_on_a_terminal(safe(text))


def test_control_the_fixtures_would_be_seen_unescaped():
    assert sum(acts_on_a_terminal(text) for text, _ in HOSTILE.values()) == 17  # the rest are blank, not acting
