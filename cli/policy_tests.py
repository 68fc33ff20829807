"""`remit policy test`: what the test files expect, what is decided instead, and what no test ever matched."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import PolicyError
from ..safe_text import safe
from .application import Unusable, load
from .options import App, AsJson
from .output import show, show_json, show_problems, table
from .values import shown

if TYPE_CHECKING:
    from rich.text import Text

    from ..policies.testing import Result, Results

CoverageRequired = Annotated[bool, typer.Option("--coverage-required", help="End with 1 also when a rule or a limit was never matched.")]
Tested = Annotated[
    Path | None,
    typer.Argument(metavar="PATH", help="Another folder of policies and tests, or one test file. Default: those of the app."),
]


def run_tests(path: Tested = None, coverage_required: CoverageRequired = False, app: App = None, as_json: AsJson = False) -> None:
    """Decide the cases of the *_test.yaml files beside the policies.

    Compares what the cases expect, and names the rules that no case matched and the limits that none exceeded. Needs no database.
    """
    try:
        found = load(app).test_policies(path)
    except PolicyError as error:
        show_problems((error, *error.others))
        raise typer.Exit(2) from None
    if not found.results:
        raise Unusable("there are no tests here; write them beside the policies, such as refunds_test.yaml")
    if as_json:
        show_json(_described(found))
    else:
        rows = [(f"{one.path}:{one.line}", one.name, _verdict(one)) for one in found.results]
        show(table(("where", "case", "result"), rows), "", _summary(found), *(_never(found)))
    if found.failed or (coverage_required and found.unmatched):
        raise typer.Exit(1)


def _verdict(result: Result) -> Text:
    from rich.text import Text

    if result.ok:
        return Text("ok", style="green")
    lines = [f"{one.key}: expected {shown(one.expected)}; got {shown(one.got)}" for one in result.differences]
    return Text("\n").join([*(Text(line, style="red") for line in lines), Text(safe(f"because {result.reason}"), style="dim")])


def _summary(found: Results) -> str:
    passed, matched = len(found.results) - len(found.failed), found.total - len(found.unmatched)
    return f"{passed} of {len(found.results)} cases are as expected. {matched} of {found.total} rules and limits were matched."


def _never(found: Results) -> list[str]:
    return [safe(f"never matched: {one.name} ({one.path}:{one.line})") for one in found.unmatched]


def _described(found: Results) -> dict[str, Any]:
    return {
        "ok": not found.failed,
        "results": [{"ok": one.ok, **asdict(one)} for one in found.results],
        "unmatched": [asdict(one) for one in found.unmatched],
        "total": found.total,
    }
