"""Options that several commands share, so that they read alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

App = Annotated[str | None, typer.Option("--app", metavar="MODULE:NAME", help="Where the runtime is. Default: REMIT_APP, or app:runtime.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
CallId = Annotated[str, typer.Argument(metavar="ID", help="The call's id.")]
Tiles = Annotated[
    Path | None, typer.Option("--tiles", metavar="FOLDER", help="Publish the log there as tiles. Default: REMIT_TILES, or not at all.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")]
Reader = Annotated[str, typer.Option("--as", metavar="PERSON", help="Who looks; it is recorded. Default: the local operator.")]
Purpose = Annotated[str, typer.Option("--purpose", metavar="TEXT", help="For what personal values are shown; recorded, so name nobody.")]

OPERATOR = "local operator"
"""Who does what is done from this command line: whoever can read the key file."""


def group(about: str, shown: str) -> typer.Typer:
    """Make a group of commands, with one as an example. Its help is plain text: rich's takes three times as long to start."""
    return typer.Typer(help=about, epilog=example(shown), no_args_is_help=True, rich_markup_mode=None)


def example(*lines: str) -> str:
    """Write the end of a command's help: how it is called, each line as it is typed."""
    return "\n".join(["\b", "Example:", *(f"  {line}" for line in lines)])
