"""`remit audit reconcile`: the log against what the providers themselves keep."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from .application import load, run
from .options import OPERATOR, App, AsJson, example
from .output import panel, show, show_json, table
from .times import time_of
from .values import moment

if TYPE_CHECKING:
    from ..runtime import Runtime
    from ..runtime.reconciling import Reconciliation

commands = typer.Typer()


@commands.command(
    "reconcile",
    epilog=example("remit audit reconcile --since 7d", "remit audit reconcile --since 2026-03-01 --by rita --json"),
)
def reconcile(
    since: Annotated[
        str, typer.Option(metavar="TIME", help="What was done since then: 7d, 12h, or 2026-03-01[T10:00[:00]] in UTC.")
    ] = "7d",
    most: Annotated[int, typer.Option(min=1, max=1_000, help="Show at most so many differences.")] = 50,
    by: Annotated[str, typer.Option("--by", metavar="PERSON", help="Who compares: a person's id. It is recorded.")] = OPERATOR,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Compare the log with the providers' own ledgers.

    Both ways: is what the log says was done there, and is what is there in the log? The result is recorded. Nothing is changed at a
    provider, and no call is settled by it. Ends with 1 where they differ, and with 2 where they could not be compared, or not wholly.
    """
    asked = time_of("--since", since) or timedelta(days=7)

    async def compared(runtime: Runtime) -> Reconciliation:
        return await runtime.reconcile(since=asked, by=by, progress=told)

    with _progress() as told:
        report = run(load(app), compared)
    if as_json:
        show_json(report.to_json())
    else:
        _show(report, most)
    if report.found:
        raise typer.Exit(1)
    if not report.complete:
        raise typer.Exit(2)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """Draw a bar on stderr, where somebody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking for calls", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(report: Reconciliation, most: int) -> None:
    compared = {
        "since": moment(report.since),
        "with": ", ".join(report.ledgers),
        "calls looked for there": f"{report.calls:,}, {report.agree:,} of them as the log says",
        "entries looked for here": f"{report.entries:,}",
    }
    rest = {
        "still under way": report.under_way,
        "not to be said yet": report.settling,
        "written over since": report.superseded,
        "left nothing, as they say": report.nothing_entered,
        "erased, or not readable": report.not_readable,
        "of actions without a ledger": ", ".join(f"{name} ({times:,})" for name, times in report.not_compared.items()),
    }
    title, style = _verdict(report)
    show(panel(title, compared | {name: value for name, value in rest.items() if value}, style=style))
    if report.unread:
        show(table(("not read, so nothing is said about it", "what", "why", "times"), map(astuple, report.unread)))
    for one in report.differences[:most]:  # not a table: in a narrow one no id could be copied
        told = {"call": one.call, "reference": one.reference, "ledger": one.ledger, "what": one.says, "do": one.do}
        show(panel(one.code, told, style="red"))
    if report.found > min(most, len(report.differences)):
        show(f"and {report.found - min(most, len(report.differences)):,} more")


def _verdict(report: Reconciliation) -> tuple[str, str]:
    if report.found:
        return f"The log and the ledgers DIFFER in {report.found:,} place{'s' if report.found > 1 else ''}", "red"
    if not report.complete:
        return "The ledgers could not be read wholly", "yellow"
    if not report.calls and not report.entries:
        return "Nothing was done since then, here or there", ""
    return "The log and the ledgers agree", "green"
