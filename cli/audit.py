"""`remit audit`: check the log, and carry it away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .application import load, run
from .options import App, AsJson, example, group
from .output import panel, show, show_json

if TYPE_CHECKING:
    from ..audit import Report

commands = group("Check the audit log, and carry it away.", "remit audit verify")


@commands.command("verify", epilog=example("remit audit verify", "remit audit verify exported-log --key log+8f3a+AbCd"))
def verify(
    path: Annotated[Path | None, typer.Argument(metavar="PATH", help="An exported folder; else the live database.")] = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="The verifier key you were given; else the folder's own word.")] = None,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Check that nothing was changed, dropped or added.

    And that what the log tells makes sense. Of an exported folder, decisions are decided again where --app names the actions; else they count as attested.
    """
    report = run(load(app), lambda runtime: runtime.verify()) if path is None else _verify_folder(path, key, app)
    if as_json:
        show_json(report.to_json())
    else:
        _show_report(report)
        if path and not key:
            show("Whose key signed it, the folder says itself; --key KEY holds it to the one you were given.")
    if not report.ok:
        raise typer.Exit(1)


@commands.command("export", epilog=example("remit audit export exported-log"))
def export(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
    disclose: Annotated[bool, typer.Option("--disclose", help="With the personal values, for whoever may read them.")] = False,
    app: App = None,
) -> None:
    """Write the log as a folder that anyone can verify.

    Verifying it needs neither this database nor its keys.
    """
    run(load(app), lambda runtime: runtime.export(folder, disclose=disclose))
    values = "with personal values" if disclose else "without personal values"
    show(f"Exported to {folder}, {values}.", f"Whoever checks it: remit audit verify {folder} --key {_verifier_key(folder)}")


def _verifier_key(folder: Path) -> str:
    from ..audit import FolderLog, verifier_key

    log = FolderLog(folder)
    return verifier_key(log.origin, log.public_key)


def _verify_folder(path: Path, key: str | None, app: str | None) -> Report:
    from ..audit import FolderLog, verify
    from ..runtime.control import shapes
    from ..runtime.logs import Reproduction

    log = FolderLog(path, key)
    return verify(log, decide=Reproduction(log.bundles(), shapes(load(app).catalog)) if app else None)


def _show_report(report: Report) -> None:
    checked = {
        "events": report.entries,
        "calls": f"{report.calls}, {report.open_calls} of them not ended",
        "checkpoints": report.checkpoints,
        "values opened": report.opened,
        "decided again": report.reproduced,
    }
    unchecked = {
        "not under a checkpoint": report.uncovered,
        "values sealed to you": report.sealed,
        "decisions attested only": report.attested,
    }
    title, style = ("The log verifies", "green") if report.ok else ("The log does NOT verify", "red")
    show(panel(title, checked | {name: number for name, number in unchecked.items() if number}, style=style))
    for finding in report.findings:
        show(panel(finding.code, {"leaf": finding.leaf, "call": finding.call, "what": finding.message}, style="red"))
    if report.found > len(report.findings):
        show(f"and {report.found - len(report.findings)} more")
