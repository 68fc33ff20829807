"""Know where each character of a policy file stands, so that every error can point at its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from ..errors import PolicyError

_ESCAPE_LENGTHS = {"x": 4, "u": 6, "U": 10}
_EXCERPT = 120


@dataclass(frozen=True, slots=True)
class Source:
    """Hold a text and the path that people know it by."""

    path: str
    text: str

    def line_of(self, index: int) -> int:
        """Give the line, from 1, of the character at `index`."""
        return self.text.count("\n", 0, index) + 1

    def error(self, message: str, index: int = 0) -> PolicyError:
        """Make an error that points at the character at `index` (from 0)."""
        start = self.text.rfind("\n", 0, index) + 1
        column = index - start
        line = self.text[start:].partition("\n")[0]
        first = max(0, min(column - _EXCERPT // 2, len(line) - _EXCERPT))
        # Nothing that could move the cursor may reach a terminal, and a tab would shift the caret.
        shown = "".join(char if char.isprintable() else " " for char in line[first : first + _EXCERPT]).rstrip()
        excerpt = f"{shown}\n{' ' * (column - first)}^" if shown else ""
        return PolicyError(message, path=self.path, line=self.line_of(index), column=column + 1, excerpt=excerpt)


@dataclass(frozen=True, slots=True)
class Passage:
    """Hold a piece of a source as a reader understands it, and where each of its characters stands."""

    text: str
    source: Source
    places: Sequence[int]
    written: str
    """The text before definitions were put in."""
    inserted: tuple[tuple[int, Passage], ...] = ()
    """Definitions that were put in, with where in the text each begins."""

    @classmethod
    def whole(cls, text: str, path: str) -> Passage:
        """Make a passage of a text that stands alone, such as the `owns` of an action."""
        return cls(text, Source(path, text), range(len(text) + 1), text)

    @classmethod
    def scalar(cls, text: str, source: Source, start: int, style: str | None) -> Passage:
        """Make the passage of a YAML scalar that starts at `start`, of PyYAML's `style` (nothing, a quote, `|` or `>`)."""
        return cls(text, source, _align(text, source.text, start, style), text)

    def error(self, message: str, at: int = 0) -> PolicyError:
        """Make an error that points at the character `at` of this passage, or of the definition that it belongs to."""
        for start, inner in self.inserted:
            if start <= at < start + len(inner.text):
                return inner.error(message, at - start)
        return self.source.error(message, self.places[min(at, len(self.text))])


def hint(word: str, known: Iterable[str]) -> str:
    """End a message with the known word that was probably meant, if there is one."""
    near = get_close_matches(word, known, 1)
    return f"; did you mean `{near[0]}`?" if near else ""


def _align(text: str, raw: str, start: int, style: str | None) -> list[int]:
    """Find each character of a scalar in the raw text: quotes are undone, and folded lines and their indentation skipped."""
    at = raw.find("\n", start) + 1 if style in {"|", ">"} else start + bool(style)
    places: list[int] = []
    for char in text:
        while not char.isspace() and at < len(raw) and (raw[at].isspace() or (style == '"' and raw.startswith("\\\n", at))):
            at += 1 + (raw[at] == "\\")
        here = raw[at : at + 1]
        places.append(min(at, len(raw)))
        if style == '"' and here == "\\":
            at += _ESCAPE_LENGTHS.get(raw[at + 1 : at + 2], 2)
        elif style == "'" and char == "'":
            at += 2
        elif not char.isspace() or here.isspace():
            at += 1
    return [*places, min(at, len(raw))]
