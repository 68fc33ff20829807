"""Write docs/cli.md from the commands themselves: `python -m remit.cli.reference > docs/cli.md`. A test compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

from .app import app

_HEAD = """\
# The command line

`remit` finds the runtime by `--app MODULE:NAME`, else by `REMIT_APP`, else `app:runtime` in the current folder. Whoever can run it
beside the database and its key file may do everything; what it does is recorded as done by the local operator.

With `--json` a command prints one JSON document on stdout. What stops a command is one line on stderr, never a traceback: what,
where, and what to do; below the line about a policy stand the place in the file and a caret.

| exit code | means |
|---|---|
| 0 | done, or waiting for somebody |
| 1 | what was asked for is not so: a call denied, failed or unknown, a log that does not verify |
| 2 | could not be tried: how it was called, the app, the policies, the database, a busy port |

| environment | means | default |
|---|---|---|
"""


def reference() -> str:
    """Write the reference as Markdown."""
    from ..settings import Settings

    fields = Settings.model_fields.items()
    settings = "".join(f"| `REMIT_{name.upper()}` | {field.description} | `{field.default}` |\n" for name, field in fields)
    return _HEAD + settings + "".join(_sections(typer.main.get_command(app), "remit", None))


def _sections(command: Any, name: str, parent: Any) -> Iterator[str]:
    context = typer.Context(command, info_name=name, parent=parent, terminal_width=100, max_content_width=100)
    yield f"\n## {context.command_path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    for below, found in getattr(command, "commands", {}).items():
        yield from _sections(found, below, context)


if __name__ == "__main__":
    sys.stdout.write(reference())
