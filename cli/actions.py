"""`remit actions`: what can be done, and how a model sees it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..safe_text import safe
from .application import Unusable, load
from .options import App, AsJson, example, group
from .output import show, show_json, table

if TYPE_CHECKING:
    from ..actions import Action, Catalog

commands = group("See what can be done.", "remit actions list")


def find(catalog: Catalog, name: str) -> Action:
    """Find an action by name; raises `Unusable` with the nearest name."""
    if (found := catalog.get(name)) is not None:
        return found
    near = catalog.suggest(name)
    raise Unusable(f"there is no action {name}; " + (f"did you mean {near}?" if near else "`remit actions list` lists them"))


def _dialects() -> list[str]:
    from ..actions.dialects import DIALECTS

    return list(DIALECTS)


@commands.command("list", epilog=example("remit actions list"))
def list_actions(app: App = None, as_json: AsJson = False) -> None:
    """List the actions."""
    found = [_described(action) for action in load(app).catalog.values()]
    if as_json:
        show_json({"actions": found})
    elif found:
        show(
            table(("action", "effect", "effect key", "what it does"), [(a["name"], a["effect"], a["key"], a["description"]) for a in found])
        )
    else:
        show("There are no actions yet. `remit new action NAME` makes one.")


@commands.command("schema", epilog=example("remit actions schema give_credit --dialect anthropic"))
def schema(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The action.")],
    dialect: Annotated[
        str, typer.Option(help="openai, openai-responses, anthropic, gemini, bedrock or mcp.", autocompletion=_dialects)
    ] = "mcp",
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Print an action as a provider's API takes it.

    What the provider can't express is reported on stderr, and enforced all the same.
    """
    from ..actions.dialects import dialect as named

    spoken, action = named(dialect), find(load(app).catalog, name)
    tools, losses = spoken.tools([action]), spoken.lossiness([action])
    if as_json:
        show_json(
            {"dialect": dialect, "tools": tools, "losses": [{"path": one.path, "keyword": one.keyword, "why": one.why} for one in losses]}
        )
        return
    show_json(tools[0] if len(tools) == 1 else tools)
    for one in losses:
        sys.stderr.write(safe(f"{dialect} can't express {one.keyword} at {one.path or 'the arguments as a whole'}: {one.why}") + "\n")


def _described(action: Action) -> dict[str, Any]:
    return {
        "name": action.name,
        "title": action.title,
        "version": action.version,
        "description": action.description,
        "effect": action.effect.kind.value,
        "key": action.key and getattr(action.key, "text", "per_call"),
        "tags": sorted(action.tags),
    }
