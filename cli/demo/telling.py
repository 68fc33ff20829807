"""Tell the story on a terminal: who said what, what the model sent, what Remit answered and why, and the sum at the end.

Texts are never read as markup, and what a model, a customer or a provider wrote goes through `safe`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, assert_never

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ...safe_text import safe
from ..output import state_style
from ..values import shown
from .record import Answered, Asked, Expected, Handled, Happened, Line, Move, Moved, Reason, Said, Shown, Step
from .stage import Stage

WIDEST = 120
_THEN = {
    "allow": ("allowed by", "green"),
    "deny": ("denied by", "red"),
    "require_step_up": ("held by", "yellow"),
    "require_confirmation": ("held by", "yellow"),
    "require_approval": ("held by", "yellow"),
    "repeat": ("answered by", "cyan"),
}
_NO_HELP = {"", "a value", "nothing here"}

Row = tuple[Text, Text]


def terminal(*, quiet: bool) -> Console:
    """Make the console: no wider than reads well, and plain where nobody looks. A `quiet` one prints nothing."""
    if not (sys.stdout.encoding or "").lower().startswith("utf"):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    console = Console(markup=False, emoji=False, highlight=False, quiet=quiet)
    console.width = min(console.width, WIDEST)
    return console


class Telling:
    """Tell each step when it has been played; while it is, say so where somebody looks."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begins(self, stage: Stage) -> None:
        """Say what is played with."""
        policies = len(list((stage.folder / "policies").glob("*.yaml")))
        self._console.print(Text(f"A support desk: {len(stage.runtime.catalog)} actions, {policies} policy files", style="bold"))
        self._console.print(
            f"Payments are made at {stage.account.api.base_url}; beside it are a directory of people, a mail server and a calendar. "
            "What the model sends is written down. All else is real: the wire formats, the database, the servers, the process that dies.\n",
            style="dim",
        )

    def playing(self, title: str) -> AbstractContextManager[object]:
        """Say that a step is being played."""
        return (
            self._console.status(Text(f"{title} …", style="dim"))
            if self._console.is_terminal and not self._console.quiet
            else nullcontext()
        )

    def played(self, number: int, step: Step) -> None:
        """Tell a step that was played."""
        grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
        grid.add_column(width=8, no_wrap=True)
        grid.add_column(ratio=1, overflow="fold")
        for line in step.lines:
            for row in rows(line):
                grid.add_row(*row)
        if step.skipped:
            grid.add_row(Text("skipped", style="yellow"), step.skipped)
        self._console.print(Rule(Text(f"{number:>2}  {step.title}", style="bold"), align="left", style="dim"))
        self._console.print(grid, "")


def rows(line: Line) -> Iterator[Row]:
    """Write one line of a step: who, and what."""
    match line:
        case Said(who, text):
            yield Text(safe(who), style="bold"), Text(f"“{safe(text)}”")
        case Asked(dialect, _, calls):
            for name, arguments in calls:
                yield Text("model", style="bold blue"), _call(name, arguments, dialect)
        case Answered(_, _, handled):
            for one in handled:
                yield from _answer(one)
        case Moved(outcome, moves):
            yield Text("Remit", style="bold"), _way("…", moves, outcome)
        case Happened(where, text):
            yield Text(safe(where), style="bold cyan"), Text(safe(text))
        case Shown(locale, sentence, lines):
            yield Text(f"page {locale}", style="bold cyan"), Text(sentence, style="bold")
            yield from ((Text(), Text.assemble((f"{label}: ", "dim"), value)) for label, value in lines)
        case Expected(text, held, found):
            yield Text(), Text(f"✓ {text}", style="green") if held else Text(f"✗ {text}: found {safe(found)}", style="bold red")
        case _:
            assert_never(line)


def _call(name: str, arguments: Mapping[str, Any], dialect: str) -> Text:
    written = ", ".join(f"{safe(key)}={safe(json.dumps(value, ensure_ascii=False))}" for key, value in arguments.items())
    return Text.assemble((safe(name), "bold"), f"({written})", (f"  {dialect}", "dim"))


def _answer(one: Handled) -> Iterator[Row]:
    way = _way("new", one.moves, one.outcome)
    yield Text("Remit", style="bold"), way if one.milliseconds is None else way.append(f"  {one.milliseconds}\u00a0ms", style="dim")
    for reason in one.reasons:
        yield Text(), _reason(reason)
    for wrong in one.outcome.get("error", {}).get("field_errors", ()):
        yield Text(), _wrong(wrong)
    result = f" {_result(one.outcome['result'])}" if "result" in one.outcome else ""
    yield Text("→ model", style="dim blue"), Text.assemble((f"“{safe(one.outcome['message'])}”", "italic"), (result, "dim"))


def _way(start: str, moves: Iterable[Move], outcome: Mapping[str, Any]) -> Text:
    """Write the states that a call went through, with what the log says of why, and where it stands."""
    way = Text()
    for move in moves:
        way.append(" → " if way else f"{start} → ", style="dim").append(move.to, style=state_style(move.to))
        if move.why:
            way.append(f" ({safe(move.why)})", style="dim")
    if outcome.get("repeated"):
        way.append(str(outcome["state"]), style=state_style(str(outcome["state"]))).append(", repeated", style="cyan")
    return way


def _reason(reason: Reason) -> Text:
    words, style = _THEN[reason.then]
    return Text.assemble((words, style), f" {safe(reason.rule)}", (f": {safe(reason.text)}" if reason.text else "", "dim"))


def _wrong(error: Mapping[str, str]) -> Text:
    expected = "" if error["expected"] in _NO_HELP else f"expected {error['expected']}"
    hint = error.get("suggestion") or expected
    return Text.assemble((safe(error["path"]), "yellow"), f" {safe(error['problem'])}", (f"; {safe(hint)}" if hint else "", "cyan"))


def _result(result: Any) -> str:
    """Write a result in brief: of a long list only how many, and the first ids."""
    if isinstance(result, Mapping):
        briefly = {name: _listed(value) if isinstance(value, list) else value for name, value in result.items()}
        return ", ".join(shown(value) for value in briefly.values())
    return shown(result)


def _listed(values: list[Any]) -> str:
    first = [str(value.get("id", "")) if isinstance(value, Mapping) else str(value) for value in values[:3]]
    return f"{len(values)} of them, from {', '.join(first)} …"
