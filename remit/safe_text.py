"""Text that is shown as it is: nothing in it moves a cursor, colours, reorders, hides, or passes for other text.

What a model, a customer or a provider wrote ends up before a person who decides by it, in a terminal or on a page. Control
characters (so ANSI sequences), bidirectional controls (Unicode TR 9), invisible ones (TR 36), and letters of another script within
one word (TR 39) are shown as escapes.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that count as printable and show as nothing."""
_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
_WORD = re.compile(rf"[\w{_MARKS}]{{2,}}")
_HEAP = re.compile(rf"[{_MARKS}]{{5,}}")  # so many marks on one letter cover the lines around it
_WRITTEN_TOGETHER = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "HANGUL": "CJK", "BOPOMOFO": "CJK"}
_LATIN = frozenset("ªºµ")  # named after what they mean instead of their script


def safe(text: str) -> str:
    r"""Give `text` with every character that is not plainly what it shows as `\n`, `\x1b`, `\u202e`, `\u0430` or `\U000e0041`."""
    if text.isascii():
        return text if text.isprintable() else "".join(map(_shown, text))
    plain = _HEAP.sub(lambda heap: "".join(map(_escape, heap[0])), _WORD.sub(lambda word: _one_script(word[0]), text))
    return "".join(map(_shown, plain))


@lru_cache(maxsize=4_096)
def _shown(char: str) -> str:
    # `isprintable` is false for the categories Cc, Cf, Cs, Co, Cn, Zl, Zp, and Zs but the space. Variation selectors
    # are printable and can carry hidden text.
    if char.isprintable() and char not in _INVISIBLE and not "\ufe00" <= char <= "\ufe0f" and not "\U000e0100" <= char <= "\U000e01ef":
        return char
    return _escape(char)


def _one_script(word: str) -> str:
    """Escape the letters of a word that are not of its script, so that a Cyrillic letter does not pass for a Latin one."""
    scripts = [] if word.isascii() else [_script(char) for char in word]
    counted = Counter(filter(None, scripts))
    if len(counted) < 2 or counted.keys() == {"CJK", "LATIN"}:
        return word
    own = max(counted, key=lambda script: (counted[script], script == "LATIN"))
    return "".join(char if script in {own, ""} else _escape(char) for char, script in zip(word, scripts, strict=True))


@lru_cache(maxsize=4_096)
def _script(char: str) -> str:
    """Name the script of a letter; "" for digits, marks and letters that modify others, which every script has."""
    if not char.isalpha() or char in _INVISIBLE or unicodedata.category(char) == "Lm":
        return ""
    if char.isascii() or char in _LATIN:
        return "LATIN"
    first = unicodedata.name(char, "").partition(" ")[0]  # Python has no table of scripts; the names begin with them
    return _WRITTEN_TOGETHER.get(first, first)


def _escape(char: str) -> str:
    return f"\\x{ord(char):02x}" if char.isascii() and char.isprintable() else char.encode("unicode_escape").decode()
