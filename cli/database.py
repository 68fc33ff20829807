"""`remit db`: bring the database forward."""

from __future__ import annotations

from .application import load
from .options import App, example, group
from .output import show

commands = group("Look after the database.", "remit db upgrade")


@commands.command("upgrade", epilog=example("remit db upgrade"))
def upgrade(app: App = None) -> None:
    """Bring the database to this version's form.

    Where there is none, it is made, with its keys.
    """
    from ..runtime.database import LATEST, open_database

    runtime = load(app)
    database = open_database(runtime.database)
    database.reader.close()
    database.writer.close()
    show(f"{runtime.database} is at revision {LATEST}, which this version needs.")


@commands.callback()
def _together() -> None:
    """Keep `upgrade` a word of its own: typer would drop the name of an only command."""
