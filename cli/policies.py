"""`remit policy`: check what is allowed, and put it in force."""

from __future__ import annotations

import sys
from typing import Any

import typer

from ..errors import PolicyError
from ..safe_text import safe
from .application import load, run
from .options import OPERATOR, App, AsJson, example, group
from .output import show, show_json

commands = group("Check policies, and put them in force.", "remit policy check")


@commands.command("check", epilog=example("remit policy check"))
def check(app: App = None, as_json: AsJson = False) -> None:
    """Check the policies as they lie there now.

    Names every mistake, and what is probably not meant. Needs no database.
    """
    try:
        found = load(app).check_policies()
        problems, warnings = found.problems, found.warnings
    except PolicyError as error:
        problems, warnings = (error, *error.others), ()
    if as_json:
        notices = [{"path": one.path, "line": one.line, "message": one.message} for one in warnings]
        show_json({"ok": not problems, "problems": [_described(one) for one in problems], "warnings": notices})
    else:
        for warning in warnings:
            show(f"warning: {safe(str(warning))}")
        if not problems:
            show("The policies can be used. `remit policy reload` puts them in force.")
    for problem in problems:
        sys.stderr.write("\n".join(map(safe, str(problem).split("\n"))) + "\n")
    if problems:
        raise typer.Exit(2)


@commands.command("reload", epilog=example("remit policy reload"))
def reload(app: App = None, as_json: AsJson = False) -> None:
    """Put the policies as they lie there now in force.

    That goes for every process that uses this database; what waits is decided again before it runs.
    """
    digest = run(load(app), lambda runtime: runtime.reload_policies(by=OPERATOR))
    if as_json:
        show_json({"policy": digest})
    else:
        show(f"In force: {digest[:12]}")


def _described(problem: PolicyError) -> dict[str, Any]:
    return {"path": problem.path, "line": problem.line, "column": problem.column, "message": problem.message}
