"""`remit policy diff`: which rules and limits another bundle has, and whether they allow more or less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..safe_text import safe
from .application import load
from .options import App, AsJson
from .output import show, show_json, table
from .values import shown

if TYPE_CHECKING:
    from rich.text import Text

    from ..policies.difference import Change

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_STYLES = {"looser": "yellow", "tighter": "cyan"}

Old = Annotated[str, typer.Argument(metavar="OLD", help="A folder, a file, `active`, `shadow`, or how a bundle's digest begins.")]
New = Annotated[str, typer.Argument(metavar="NEW", help="Likewise.")]


def diff(old: Old, new: New, app: App = None, as_json: AsJson = False) -> None:
    """Compare two bundles, rule by rule and limit by limit.

    Says where it is sure that a change is looser or tighter. Ends with 0 when nothing differs, with 1 otherwise. Of the database
    only stored bundles are read, so the folder need not be in force.
    """
    from ..policies.difference import difference

    changes = difference(_sources(old, app), _sources(new, app))
    if as_json:
        show_json({"equal": not changes, "changes": [asdict(change) for change in changes]})
    elif changes:
        show(table(("what", "effect", "where", "changed"), map(_row, changes)))
    else:
        show("Nothing differs.")
    if changes:
        raise typer.Exit(1)


def _sources(named: str, app: str | None) -> Mapping[str, str]:
    from ..policies.folder import read_folder
    from ..runtime.stored import bundle_sources

    if named and (path := Path(named)).exists():
        return read_folder(path)
    runtime = load(app)
    return bundle_sources(runtime.database, runtime.tenant, named)


def _row(change: Change) -> tuple[str, Text, str, Text]:
    from rich.text import Text

    keys = "\n".join(f"{safe(one.key)}: {shown(one.old)} -> {shown(one.new)}" for one in change.keys)
    what = f"{_SIGNS[change.what]} {change.kind} {change.name}"
    return what, Text(change.effect, style=_STYLES.get(change.effect, "")), f"{change.path}:{change.line}", Text(keys)
