"""`remit audit`: check the log, and carry it away."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import AuditError
from .application import Unusable, load, run
from .audit_export import Form, export_file
from .options import OPERATOR, App, AsJson, Purpose, Reader, example, group
from .output import panel, show, show_json

if TYPE_CHECKING:
    from ..audit import Report

commands = group("Check the audit log, and carry it away.", "remit audit verify")


@commands.command("verify", epilog=example("remit audit verify", "remit audit verify exported-log --key log+8f3a+AbCd"))
def verify(
    place: Annotated[
        str | None, typer.Argument(metavar="PATH|URL", help="An exported folder, or where one is published; else the live database.")
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="The verifier key you were given; else the log's own word.")] = None,
    seen: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where you keep the last checkpoint you saw: the log must begin with that; written when it verifies."
        ),
    ] = None,
    tree_only: Annotated[
        bool, typer.Option("--tree-only", help="Hold leaves against tree and signatures, and leave what they say unread.")
    ] = False,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Check that nothing was changed, dropped or added.

    And that what the log tells makes sense. Of an exported log, decisions are decided again where --app names the actions; else they count as attested.
    """
    if place is None and seen is not None:
        raise typer.BadParameter("it goes with an exported log: name its folder or URL", param_hint="--seen")
    if place is None:
        report = run(load(app), lambda runtime: runtime.verify(meaning=not tree_only))
    else:
        report = _verify_exported(place, key, seen, app, meaning=not tree_only)
    if as_json:
        show_json(report.to_json())
    else:
        _show_report(report, tree_only=tree_only)
        if tree_only:
            show("What the leaves say was not read: leave --tree-only out to check that as well.")
        if place and not key:
            show(
                f"Whose key signed it, the {'server' if '://' in place else 'folder'} says itself; --key KEY holds it to the one you were given."
            )
    if not report.ok:
        raise typer.Exit(1)


@commands.command(
    "export",
    epilog=example(
        "remit audit export exported-log",
        'remit audit export for-the-auditor --disclose --as eve --purpose "yearly audit" --subject ada',
        "remit audit export --tiles public/log",
        "remit audit export --format csv --out events.csv --since 7d",
    ),
)
def export(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="A new folder; with --tiles, also one that an earlier export is in.")
    ] = None,
    disclose: Annotated[
        bool, typer.Option("--disclose", help="With the personal values; takes --as, a role that may reveal them, and --purpose.")
    ] = False,
    subject: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="With --disclose: of this customer alone; may be given several times. Others stay sealed."),
    ] = None,
    by: Reader = OPERATOR,
    purpose: Purpose = "",
    tiles: Annotated[bool, typer.Option("--tiles", help="As C2SP tlog-tiles, for a static server; what is new is added.")] = False,
    form: Annotated[Form | None, typer.Option("--format", help="Events as one file instead.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The new file.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="From then on: 7d for how far back, or a date or time.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Until before then.")] = None,
    action: Annotated[str | None, typer.Option(metavar="NAME", help="Events of this action alone.")] = None,
    app: App = None,
) -> None:
    """Write the log as a folder that anyone can verify, or events as one file.

    Verifying it needs neither this database nor its keys.
    """
    if form is not None:
        if folder is not None or disclose or tiles or subject:
            raise Unusable("--format writes one file, without personal values: leave FOLDER, --disclose, --subject and --tiles out")
        export_file(form, out, since=since, until=until, action=action, by=by, app=app)
        return
    if folder is None or any((out, since, until, action)):
        raise Unusable("name a new FOLDER, or say --format with --out, --since, --until and --action")
    if tiles and disclose:
        raise typer.BadParameter("tiles are for publishing, and hold no personal values", param_hint="--disclose")
    if subject and not disclose:
        raise typer.BadParameter("it says whose personal values go with --disclose", param_hint="--subject")
    whose = {*subject} if subject else None
    run(load(app), lambda runtime: runtime.export(folder, disclose=disclose, subjects=whose, tiles=tiles, by=by, purpose=purpose))
    values = "without personal values" if not disclose else f"with those of {_customers(len(whose))}" if whose else "with personal values"
    show(f"Exported to {folder}, {values}.", f"Whoever checks it: remit audit verify {folder} --key {_verifier_key(folder)}")


def _customers(number: int) -> str:
    return f"{number} customers" if number > 1 else "one customer"


def _verifier_key(folder: Path) -> str:
    from ..audit import verifier_key
    from .log_sources import opened

    with opened(str(folder), None) as log:
        return verifier_key(log.origin, log.public_key)


def _verify_exported(place: str, key: str | None, seen: Path | None, app: str | None, *, meaning: bool) -> Report:
    from ..audit import SeenLog, verify
    from ..runtime.control import shapes
    from ..runtime.logs import Reproduction
    from .log_sources import opened
    from .progress import progress

    with opened(place, key, sealed=not meaning) as log, progress("events", log.size) as told:
        held = SeenLog(log, seen.read_text(errors="replace")) if seen and seen.exists() else log
        decide = Reproduction(log.bundles(), shapes(load(app).catalog)) if app else None
        report = verify(held, decide=decide, progress=told, meaning=meaning)
        if isinstance(held, SeenLog) and held.pruned:
            sys.stderr.write(
                f"The checkpoint in {seen} is of what was pruned since: nothing shows that this log goes on from it. "
                "Verify more often than the log is pruned.\n"
            )
        if seen and report.ok and (notes := [*log.checkpoints()]):
            _remember(notes[-1], seen)
    return report


def _remember(note: str, file: Path) -> None:
    unfinished = file.with_name(f".{file.name}.new")
    try:
        unfinished.write_text(note)
        unfinished.replace(file)
    except OSError as error:
        raise AuditError(f"{file} can't be written: {error.strerror}; the checkpoint that was seen is not kept") from error


def _show_report(report: Report, *, tree_only: bool) -> None:
    read = {
        "calls": f"{report.calls}, {report.open_calls} of them not ended",
        "values opened": report.opened,
        "decided again": report.reproduced,
    }
    checked = {"events": report.entries, "checkpoints": report.checkpoints} | ({} if tree_only else read)
    unchecked = {
        "not under a checkpoint": report.uncovered,
        "values sealed to you": report.sealed,
        "of these by an erasure": report.erased,
        "decisions attested only": report.attested,
        "pruned before leaf": report.begins,
        "not checked, as it was pruned": report.unchecked,
    }
    what = "The tree" if tree_only else "The log"
    title, style = (f"{what} verifies", "green") if report.ok else (f"{what} does NOT verify", "red")
    show(panel(title, checked | {name: number for name, number in unchecked.items() if number}, style=style))
    for finding in report.findings:
        show(panel(finding.code, {"leaf": finding.leaf, "call": finding.call, "what": finding.message}, style="red"))
    if report.found > len(report.findings):
        show(f"and {report.found - len(report.findings)} more")
