"""Replace named expressions by what they stand for, without touching texts, comments and fields that bear the same name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from .expression import MAX_LENGTH
from .facts import SESSION_SCHEMAS
from .source import Passage

_TOKEN = re.compile(
    r"""
    //[^\n]*                                                        # a comment
    | [bB]?[rR](?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\n]*"|'[^'\n]*')     # raw text, in which a backslash is a character
    | [bB]?(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    | `[^`\n]*` | \d[\w.]*                                          # a quoted field, a number
    | (?P<name>[A-Za-z_]\w*)
    | (?P<mark>&&|\|\||["'`].*|\S)                                  # a text that is not closed goes on to the end
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENING = re.compile(r"\s*\(")
_PAIRS = {")": "(", "]": "[", "}": "{"}
_WORDS = (
    "as break const continue else false for function if import in let loop package namespace null return true var void while "
    "bool bytes double dyn duration int list map null_type string timestamp type uint"
)
RESERVED = frozenset(_WORDS.split()) | SESSION_SCHEMAS.keys() | {"arguments", "facts"}
"""What a definition can't be called: the inputs, and the words of CEL itself."""


def tokens(text: str) -> Iterator[re.Match[str]]:
    """Give the words of an expression in order; `name` is one that stands for itself, `mark` a sign."""
    before = ""
    for token in _TOKEN.finditer(text):
        if token["name"] and (before == "." or _OPENING.match(text, token.end())):
            before = token[0]
            continue  # a field, or a function
        if not token[0].startswith("//"):
            before = token[0]
        yield token


def loose_end(text: str) -> int | None:
    """Say where an expression closes what it did not open, or leaves a bracket or a text open; None where it stands by itself."""
    opened: list[re.Match[str]] = []
    for token in tokens(text):
        mark = token["mark"] or ""
        if mark in _PAIRS.values():
            opened.append(token)
        elif mark[:1] in {"'", '"', "`"} or (mark in _PAIRS and (not opened or opened.pop()[0] != _PAIRS[mark])):
            return token.start()
    return opened[-1].start() if opened else None


def expand(passage: Passage, scope: Mapping[str, Passage]) -> Passage:
    """Put what its definitions stand for into an expression, in parentheses.

    A place within what was put in is one in the definition; the parentheses stand where the name stood. Raises PolicyError where the
    whole is too long: definitions of definitions could make it so beyond measure.
    """
    if len(passage.text) > MAX_LENGTH:
        raise passage.error(f"longer than {MAX_LENGTH:,} characters: split it")
    text, places, inserted, at = "", list[int](), list[tuple[int, Passage]](), 0
    for token in tokens(passage.text) if scope else ():
        if token["name"] in scope:
            meant = scope[token["name"]]
            text += passage.text[at : token.start()] + "("
            places += [*passage.places[at : token.start()], *[passage.places[token.start()]] * (len(meant.text) + 3)]
            inserted.append((len(text), meant))
            # A definition may end in a comment, which the line break ends.
            text += meant.text + "\n)"
            at = token.end()
            if len(text) > MAX_LENGTH:
                raise passage.error(f"longer than {MAX_LENGTH:,} characters with what `{token['name']}` stands for: split it", at)
    return replace(passage, text=text + passage.text[at:], places=[*places, *passage.places[at:]], inserted=tuple(inserted))
