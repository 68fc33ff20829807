"""`remit doctor`: what is stuck or amiss, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from .application import load
from .options import App, AsJson, example
from .output import show, show_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..runtime.finding import Finding

commands = typer.Typer()

_STYLES = {"ok": "green", "warn": "yellow", "bad": "bold red"}


@commands.command("doctor", epilog=example("remit doctor", "remit doctor --json"))
def doctor(app: App = None, as_json: AsJson = False) -> None:
    """Look for what is stuck or amiss: calls, events, wake-ups, keys, schema, clock, policies, retention.

    It only reads: nothing is started, migrated or put in force. Ends with 1 where something is bad.
    """
    from ..runtime.doctor import examine

    found = examine(load(app))
    bad = any(one.verdict == "bad" for one in found)
    if as_json:
        show_json({"ok": not bad, "findings": [asdict(one) for one in found]})
    else:
        show(_lines(found))
    raise typer.Exit(1 if bad else 0)


def _lines(found: list[Finding]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    from ..safe_text import safe

    grid = Table.grid(padding=(0, 2, 0, 0))
    for no_wrap in (True, True, False):
        grid.add_column(no_wrap=no_wrap, overflow="fold")
    for one in found:
        said = Text(safe(one.found))
        if one.calls:
            said.append(f"\n{' '.join(one.calls)}", style="cyan")
        if one.do:
            said.append(f"\n-> {safe(one.do)}", style="dim")
        grid.add_row(Text(one.verdict, style=_STYLES[one.verdict]), Text(one.about), said)
    return grid
