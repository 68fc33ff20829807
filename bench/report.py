"""Show what was measured: a table, JSON, and a page that is kept with the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

Results = Mapping[str, Any]

BUSY = 0.2

READING = """\
How to read them:

- Everything is from one run on one machine. Where two things are compared, they took their rounds in turn, and the figure is the
  median; so ratios mean more than numbers.
- *Stolen* is the share of CPU time that the host of this virtual machine gave to others while samples were taken (`/proc/stat`);
  *others* is the share that other processes of this machine used. A sample with more than 5 % stolen is taken again, at most twice;
  where that was not enough, it says *disturbed*. Where others were busy as well, the figures are worse than the machine allows.
- A governed call here is an allowed action that writes: strict reading, validation, a decision by ten rules, the effect key, an intent
  that is on the disk before the handler runs, the outcome, four events with commitments and sealed openings in the same two transactions, and
  the sequencer placing them under signed checkpoints meanwhile. No facts, no network, a handler that does nothing. The log of each run is
  verified at the end.
- A limit adds to that: what was used is read before the decision and again in the intent's transaction, and the reservation is an event and
  three rows. cedarpy holds parsed policies and entities, and is handed the request anew; it says yes or no, and asks for nothing.
- CTRLRun decides, reserves the effect key, and writes an effect, a receipt in a hash chain and five events a call, in transactions of their
  own, at synchronous NORMAL: a power loss may take the last of them back, reservations included. Its receipts hold arguments in clear; they are not
  signed, and there is no tree. Threads call it, since it is synchronous. "Its store alone" is its kernel over its SQLite store;
  as set up from a file it also appends to two JSON files, which is its default. After a history: each side's own, ours written by
  `bench/filling.py` through the writer of the runtime, CTRLRun's by making the calls.
- A workflow on DBOS writes its status and the output of its step; it decides, limits, seals and signs nothing. Each runs in a process of
  its own, as it comes (DBOS on SQLite: rollback journal, synchronous FULL); threads call it, since its asynchronous form was slower.
  Remit and DBOS have the same callers, and a database each on the same PostgreSQL.
- On PostgreSQL the server is on the same machine and shares its CPUs; its work counts as ours, not as *others*. With several processes
  the callers are shared out among them. *Executed twice* and *calls lost* are counted over everything in that database, after all
  processes have also made the same calls at once: handlers that ran, against calls and effect keys in the tables, answers, and the log.
- From an approval to the handler: from the moment at which the vote is handed in, so voting is in it.
- More load than can be sustained: callers come at their times and wait for nobody; the time of a call that is let in counts from when it
  was due. They share the loop with the runtime.
- Where a call's time goes: what the loop does at each millisecond, in shares of a call's time in the rounds in turn that nobody looked at.
"""


def show(results: Results, console: Console) -> None:
    """Print a table."""
    table = Table(title="What was measured", show_lines=False)
    for name, side in (("", "left"), ("value", "right"), ("unit", "left"), ("target", "left"), ("", "left")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for one in results["measurements"].values():
        table.add_section()
        table.add_row(f"[bold]{one['title']}[/bold]", "", "", "", f"[dim]{_conditions(one)}[/dim]")
        for figure in one["figures"]:
            verdict = {True: "[green]reached[/green]", False: "[red]missed[/red]", None: ""}[figure["met"]]
            table.add_row("  " + figure["name"], number(figure["value"]), figure["unit"], figure["target"] or "", verdict)
    console.print(table)
    for one in results["measurements"].values():
        for note in one["notes"]:
            console.print(f"[dim]{note}[/dim]")


def page(results: Results) -> str:
    """Write the page RESULTS.md."""
    lines = ["# Figures", "", f"Written by `make bench` on {results['date']}; `bench/results/latest.json` has them for machines.", ""]
    lines += [f"- {name}: {value}" for name, value in results["machine"].items()]
    lines += [f"- load when it began and ended: {results['load'][0]:.2f}, {results['load'][1]:.2f}", ""]
    others = max(one["others"]["median"] for one in results["measurements"].values())
    if others > BUSY:
        lines += [f"Other processes used up to {others:.0%} of the CPUs meanwhile: the machine can do better, and ratios mean more.", ""]
    missed = [
        f"{one['title']}, {figure['name'].strip()}: {number(figure['value'])} {figure['unit']} (target {figure['target']})"
        for one in results["measurements"].values()
        for figure in one["figures"]
        if figure["met"] is False
    ]
    lines += ["Missed in this run:", "", *(f"- {one}" for one in missed), ""] if missed else ["Every target was reached in this run.", ""]
    for one in results["measurements"].values():
        lines += [f"## {one['title']}", "", "| | value | | target | |", "|---|---:|---|---|---|"]
        for figure in one["figures"]:
            verdict = {True: "reached", False: "**missed**", None: ""}[figure["met"]]
            lines.append(
                f"| {figure['name'].strip()} | {number(figure['value'])} | {figure['unit']} | {figure['target'] or ''} | {verdict} |"
            )
        lines += ["", f"{_conditions(one)[0].upper()}{_conditions(one)[1:]}.", "", *(f"- {note}" for note in one["notes"]), ""]
    return "\n".join([*lines, READING])


def number(value: float) -> str:
    """Write a number with the digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _conditions(one: Mapping[str, Any]) -> str:
    stolen, others = one["stolen"], one["others"]
    words = f"stolen {stolen['median']:.1%} (worst sample {stolen['worst']:.1%}), others {others['median']:.0%}, {one['repeated']} repeated"
    return words + (", disturbed" if one["disturbed"] else "")
