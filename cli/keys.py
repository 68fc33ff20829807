"""`remit keys`: the key file of a database, and the API keys of people and services."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from .application import Unusable, load, run, run_with_people
from .options import OPERATOR, App, AsJson, Reason, example, group
from .output import show, show_json

commands = group("Make keys, and make them useless.", "remit keys new --service support-bot --scope calls:write")


class Scope(StrEnum):
    """What the HTTP API may ask of a key; a test compares."""

    TOOLS_READ = "tools:read"
    CALLS_WRITE = "calls:write"
    CALLS_READ = "calls:read"
    CALLS_RESOLVE = "calls:resolve"
    CUSTOMERS_ANSWER = "customers:answer"
    APPROVALS_READ = "approvals:read"
    APPROVALS_VOTE = "approvals:vote"
    EVENTS_READ = "events:read"


@commands.command("init", epilog=example("remit keys init"))
def init(app: App = None) -> None:
    """Make the key file of a database yet to come.

    For a database that exists, only the file that was made with it will do: restore that.
    """
    from ..audit import KeyFile
    from ..runtime.sqlite import keys_path
    from ..runtime.stored import is_made

    runtime = load(app)
    database = runtime.database
    place = keys_path(database) if isinstance(database, Path) else runtime.keys
    if is_made(database):
        raise Unusable(
            f"{database if isinstance(database, Path) else 'the database'} exists, and new keys would not open it; restore {place} from its backup"
        )
    KeyFile.create(place)
    show(f"Made {place}. Back it up, apart from the database: without it nobody can read or extend what is there.")


@commands.command("rotate-signing", epilog=example('remit keys rotate-signing --by eve --reason "yearly"'))
def rotate_signing(
    reason: Reason,
    by: Annotated[str, typer.Option("--by", metavar="PERSON", help="Who has it rotated.")] = OPERATOR,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Let another key sign the log, and destroy the old one.

    One checkpoint is signed by both, so that whoever trusts the old key is led to the new. Put the key file on every machine then.
    """
    rotated = run(load(app), lambda runtime: runtime.rotate_signing_key(by=by, reason=reason))
    if as_json:
        show_json({"old": rotated.old, "new": rotated.new, "waiting": rotated.waiting})
        return
    show(f"From now on signs: {rotated.new}", "Give that to whoever verifies the log, and put the key file on every machine.")
    if rotated.waiting:
        show(f"The old private key stays until it has signed once more for: {', '.join(rotated.waiting)}. A process of theirs does that.")
    else:
        show("The old private key is destroyed.")


@commands.command("new", epilog=example("remit keys new --service support-bot --scope tools:read --scope calls:write"))
def new(
    scope: Annotated[list[Scope], typer.Option(metavar="SCOPE", help=f"{', '.join(Scope)}; may be given several times.")],
    person: Annotated[str | None, typer.Option(metavar="ID", help="The person it belongs to; only a person's key may vote.")] = None,
    service: Annotated[str | None, typer.Option(metavar="NAME", help="The service it belongs to.")] = None,
    app: App = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key, and show it this one time.

    The database keeps its hash only.
    """
    if (owner := person or service) is None or (person and service):
        raise Unusable("say whose key it is: --person ID or --service NAME")
    kind: Literal["person", "service"] = "person" if person else "service"
    key = run_with_people(load(app), lambda people: people.new_key(owner, kind=kind, scopes=scope))
    if as_json:
        show_json({"key": key, "prefix": key.split("_")[1], "owner": owner, "kind": kind, "scopes": sorted(scope)})
    else:
        show(key, f"Keep it now: it is not shown again. `remit keys revoke {key.split('_')[1]}` makes it useless.")


@commands.command("revoke", epilog=example("remit keys revoke 5f0c93ab"))
def revoke(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="The part between remit_ and the next _.")], app: App = None
) -> None:
    """Make an API key useless from now on."""
    from ..runtime.journal import Conflict

    try:
        run_with_people(load(app), lambda people: people.revoke_key(prefix))
    except Conflict:
        raise Unusable(f"there is no API key {prefix} that is not revoked yet; give the part between remit_ and the next _") from None
    show(f"Revoked {prefix}.")
