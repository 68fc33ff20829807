"""Read what a docstring says of a function and of its arguments: Google, numpy and Sphinx style."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator

_HEADING = re.compile(
    r"(Args|Arguments|Parameters|Other Parameters|Returns?|Yields|Raises|Examples?|Notes?|See Also|References|Warnings?):?"
)
_ARGUMENTS = {"Args", "Arguments", "Parameters", "Other Parameters"}
_ENTRY = re.compile(r"(\w+)\s*(?:\([^)]*\))?\s*(?::\s*(.*))?")
_SPHINX = re.compile(r":(?:param|parameter|arg|argument)\s+(?:[^:]*\s)?(\w+)\s*:\s*(.*)")


def parse_docstring(source: str | None) -> tuple[str, dict[str, str]]:
    """Give the text before any section, and the text about each argument; what can't be read is left out."""
    head, found = list[str](), dict[str, list[str]]()
    for section, lines in _sections(inspect.cleandoc(source or "").splitlines()):
        if section == "":
            head = lines
        elif section == ":":
            entry = _SPHINX.fullmatch(lines[0])
            found |= {entry[1]: [entry[2], *lines[1:]]} if entry else {}
        elif section in _ARGUMENTS:
            found |= _entries(lines, typed_heads=bool(lines) and lines[0].startswith("---"))
    return "\n".join(head).strip(), {name: " ".join(" ".join(text).split()) for name, text in found.items()}


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Part the lines at headings, and at Sphinx fields (named ":")."""
    name, body = "", list[str]()
    for line, below in zip(lines, [*lines[1:], ""], strict=False):
        heading = _HEADING.fullmatch(line)
        if heading and (line.endswith(":") or below.startswith("---")):
            yield name, body
            name, body = heading[1], []
        elif line.startswith(":"):
            yield name, body
            name, body = ":", [line]
        else:
            body.append(line)
    yield name, body


def _entries(lines: Iterable[str], *, typed_heads: bool) -> dict[str, list[str]]:
    """Read `name (type): text` (Google), or `name : type` over indented text (numpy, `typed_heads`)."""
    found, current, margin = dict[str, list[str]](), "", None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if not line.strip() or line.startswith("---"):
            continue
        margin = indent if margin is None else margin
        if indent > margin and current:
            found[current].append(line)
        elif entry := _ENTRY.fullmatch(line.strip()):
            current = entry[1]
            found[current] = [] if typed_heads else [entry[2] or ""]
        else:
            current = ""
    return found
