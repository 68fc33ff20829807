"""Draw the sum on a terminal: the providers' ledgers beside the audit log, the verdict, and where to look further."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ...safe_text import safe
from .agreement import Row
from .record import Expected
from .story import Story

WIDE = 104
"""Columns from which ids are written out."""


def close(console: Console, story: Story, kept: Path | None, seconds: float) -> None:
    """Print the sum of the story."""
    console.print(Rule(Text("What the providers did, and what the log says", style="bold"), align="left", style="dim"))
    console.print(_ledgers(story.rows, wide=console.width >= WIDE))
    lines = Text("\n").join(_verdict(story, seconds))
    title = Text("Agreed and verified" if story.ok else "Not as it must be", style="bold")
    console.print(Panel(lines, title=title, title_align="left", border_style="green" if story.ok else "red", padding=(0, 1)))
    console.print(_further(story, kept))


def _ledgers(rows: list[Row], *, wide: bool) -> Table:
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    drawn.add_column("effect", no_wrap=True)
    drawn.add_column("at the provider", no_wrap=True, style="cyan")
    drawn.add_column("amount", no_wrap=True, justify="right", style="cyan")
    drawn.add_column("", no_wrap=True)
    drawn.add_column("call in the log", no_wrap=True, style="blue")
    drawn.add_column("amount", no_wrap=True, justify="right", style="blue")
    drawn.add_column("leaf", no_wrap=True, justify="right", style="blue")
    for row in rows:
        for cells in _cells(row, wide=wide):
            drawn.add_row(*cells)
    return drawn


def _cells(row: Row, *, wide: bool) -> Iterator[list[Text]]:
    done, told, known = row.provider, row.log, row.provider or row.log
    texts = [
        known.kind if known else "",
        _id(done.reference or "taken", wide=wide) if done else "nothing",
        str(done.amount or "") if done else "",
        "✗" if row.wrong else "=",
        _id(told.call or "", wide=wide) if told else "nothing",
        str(told.amount or "") if told else "",
        str(told.place) if told else "",
    ]
    style = "bold red" if row.wrong else ""
    cells = [Text(safe(text), style=style) for text in texts]
    cells[3].stylize("bold red" if row.wrong else "green")
    yield cells
    if row.wrong:
        yield [Text(), Text(row.wrong, style=style)]


def _id(text: str, *, wide: bool) -> str:
    return text if wide or len(text) <= 14 else f"{text[:5]}…{text[-8:]}"  # ids begin with their time, so their ends differ


def _verdict(story: Story, seconds: float) -> Iterator[Text]:
    report, wrong = story.report, [row for row in story.rows if row.wrong]
    yield _line(
        not wrong,
        f"{len(story.rows)} effects, each at its provider and in the log: call, reference and amount are the same.",
        f"{len(wrong)} of {len(story.rows)} effects differ between the providers and the log.",
    )
    yield _line(
        report.ok,
        f"The log verifies: {report.entries} events of {report.calls} calls, under {report.checkpoints} signed checkpoints; "
        f"{report.reproduced} decisions were made again and came out the same.",
        f"The log does not verify: {safe(str(report.first))}",
    )
    expected = sum(isinstance(line, Expected) for step in story.steps for line in step.lines)
    played = [step for step in story.steps if not step.skipped]
    skipped = f" ({len(story.steps) - len(played)} skipped)" if len(played) < len(story.steps) else ""
    yield _line(
        not story.failed,
        f"{expected} expectations of {len(played)} steps{skipped} are met. It took {seconds:.1f} s, with {story.provider}.",
        f"{len(story.failed)} of {expected} expectations are not met:",
    )
    for title, failed in story.failed:
        yield Text(f"  {title}: {failed.text}; found {safe(failed.found)}", style="red")


def _line(held: bool, good: str, bad: str) -> Text:
    return Text.assemble(("✓ ", "bold green"), good) if held else Text.assemble(("✗ ", "bold red"), bad)


def _further(story: Story, kept: Path | None) -> Text:
    if kept is None:
        return Text("`remit demo --keep FOLDER` keeps the app and its database, to look around in it.", style="dim")
    last = next((row.log.call for row in reversed(story.rows) if row.log and row.log.kind == "refund"), "ID")
    commands = [
        f"cd {shlex.quote(str(kept))}",
        "remit calls list",
        f"remit calls show {last}",
        "remit audit verify",
        "remit audit export log",
    ]
    return Text("Look around in it:\n" + "\n".join(f"  {command}" for command in commands))
