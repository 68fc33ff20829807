"""`remit policy`: write, check and test what is allowed, and put it in force."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..errors import PolicyError
from ..safe_text import safe
from .application import load, run
from .options import OPERATOR, App, AsJson, example, group
from .output import show, show_json, show_problems
from .policy_diff import diff
from .policy_tests import run_tests

commands = group("Write, check and test policies, and put them in force.", "remit policy check")


@commands.command("check", epilog=example("remit policy check"))
def check(app: App = None, as_json: AsJson = False) -> None:
    """Check the policies as they lie there now.

    Names every mistake, and warns of what is probably not meant: what never matters, what nobody uses, files that overlap.
    Needs no database; where there is one, it warns of roles that nobody has as well.
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
    show_problems(problems)
    if problems:
        raise typer.Exit(2)


tested = example("remit policy test", "remit policy test policies/refunds_test.yaml", "remit policy test --coverage-required")
commands.command("test", epilog=tested)(run_tests)
commands.command("diff", epilog=example("remit policy diff active policies", "remit policy diff 3f9a21 active --json"))(diff)
described = example("remit policy schema", "remit policy schema --tests")


@commands.command("schema", epilog=described)
def schema(tests: Annotated[bool, typer.Option("--tests", help="Of test files instead.")] = False) -> None:
    """Print the JSON Schema of policy files, for editors.

    An editor with a YAML language server completes, explains and checks a file that begins with a line like this one, which gives
    the path of the schema from there, or its address:

    \b
      # yaml-language-server: $schema=policy.schema.json
    """  # noqa: D301 - click takes the backspace, and leaves the line as it is
    from ..policies.editor_schema import cases_schema, policy_schema

    show_json(cases_schema() if tests else policy_schema())


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
