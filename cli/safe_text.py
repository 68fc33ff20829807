"""Text that a terminal shows as it is: nothing in it moves the cursor, colours, reorders, or hides.

What a model, a customer or a provider wrote ends up before a person who decides by it. Control characters (so ANSI
sequences), bidirectional controls (Unicode TR 9), and invisible ones (TR 36) are shown as escapes.
"""

from __future__ import annotations

_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that count as printable and show as nothing."""


def safe(text: str) -> str:
    r"""Give `text` with every character that is not plainly visible as `\n`, `\x1b`, `\u202e` or `\U000e0041`."""
    return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))


def _shown(char: str) -> str:
    # `isprintable` is false for the categories Cc, Cf, Cs, Co, Cn, Zl, Zp, and Zs but the space. Variation selectors
    # are printable and can carry hidden text.
    if char.isprintable() and char not in _INVISIBLE and not "\ufe00" <= char <= "\ufe0f" and not "\U000e0100" <= char <= "\U000e01ef":
        return char
    return char.encode("unicode_escape").decode()
