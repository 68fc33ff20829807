"""What is printed: tables and panels for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..safe_text import safe
from .values import moment, shown

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.text import Text

    from ..errors import PolicyError
    from ..runtime.switches import Switch

_STYLES = {"succeeded": "green", "waiting": "yellow", "ready": "cyan", "executing": "cyan", "unknown": "magenta", "cancelled": "dim"}
_PIPED = 120
"""The width where nobody looks: a pipe or a file."""
_SHORTEST = 5
"""Characters: a column is never narrower by our choice."""
_KEY = 60
"""Characters of what is no word of a sentence."""


def show_json(document: Any) -> None:
    """Print one JSON document, in ASCII: a terminal shows whatever is in it as escapes."""
    sys.stdout.write(json.dumps(document, indent=2, default=str).replace("\x7f", "\\u007f") + "\n")


def show(*parts: RenderableType) -> None:
    """Print for people. Texts are never read as markup, and one with a key in it is left whole, so that it can be copied."""
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False, width=None if sys.stdout.isatty() else _PIPED)
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, str) and max(map(len, part.split()), default=0) >= _KEY)


def standing(switches: Iterable[Switch]) -> list[Text]:
    """Say loudly what is switched off."""
    from rich.text import Text

    told = (f"SWITCHED OFF: {safe(_what(one))}, since {moment(one.at)} by {safe(one.by)}: {safe(one.reason) or '-'}" for one in switches)
    return [Text(line, style="bold red") for line in told]


def _what(one: Switch) -> str:
    return {"all": "everything", "tenant": f"the tenant {one.target}"}.get(one.kind, f"{one.kind} {one.target}")


def show_problems(problems: Iterable[PolicyError]) -> None:
    """Print on stderr what is wrong with policies, each with its line and a caret."""
    for problem in problems:
        sys.stderr.write("\n".join(map(safe, str(problem).split("\n"))) + "\n")


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> RenderableType:
    """Draw rows under headers; the first column is never broken, and where there is room no word is."""
    return _Rows(headers, [list(map(_cell, row)) for row in rows])


@dataclass(frozen=True, slots=True)
class _Rows:
    headers: Sequence[str]
    rows: Sequence[Sequence[Text]]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        from rich import box
        from rich.table import Table

        widths = self._widths(options.max_width)
        drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0 if widths else 1, 0, 0))
        for place, header in enumerate(self.headers):
            drawn.add_column(header, no_wrap=place == 0, overflow="fold", width=widths[place] if widths else None)
        for row in self.rows:
            drawn.add_row(*row)
        yield drawn

    def _widths(self, room: int) -> Sequence[int]:
        """Give each column its longest word, or as much of it as there is room for, and what is left to those that would break most.

        () where there is room for everything, or for nothing.
        """
        from rich.cells import cell_len

        columns = [[header, *(row[place].plain for row in self.rows)] for place, header in enumerate(self.headers)]
        whole = [max(map(cell_len, "\n".join(texts).split("\n"))) for texts in columns]
        between = len(columns) - 1
        if sum(whole) + 2 * between <= room:
            return ()
        words = [max(map(cell_len, " ".join(texts).split()), default=0) for texts in columns]
        for most in range(max(words), _SHORTEST, -1):
            widths = [whole[0], *(max(1, min(word, most)) for word in words[1:])]
            if (left := room - between - sum(widths)) >= 0:
                for _ in range(left):
                    neediest = max(range(len(widths)), key=lambda place: whole[place] / widths[place])
                    widths[neediest] += 1
                return widths
        return ()


def panel(title: str, fields: Mapping[str, Any], *, style: str = "") -> RenderableType:
    """Draw what is known of one thing: names and values, those that are there."""
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in fields.items():
        if value not in (None, "", (), [], {}):
            grid.add_row(name, _cell(value))
    return Panel(grid, title=Text(safe(title), style="bold"), title_align="left", border_style=style, expand=False)


def state_style(state: str) -> str:
    """Say how a state is coloured; an end without effect is red."""
    return _STYLES.get(state, "red")


def coloured(state: str) -> Text:
    """Write a state in its colour."""
    from rich.text import Text

    return Text(state, style=state_style(state))


def _cell(value: Any) -> Text:
    from rich.text import Text

    return value if isinstance(value, Text) else Text(shown(value))
