"""`remit db`: bring the database forward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .application import load
from .options import App, example, group
from .output import show

if TYPE_CHECKING:
    from ..runtime.database import Database

commands = group("Look after the database.", "remit db upgrade")


@commands.command("upgrade", epilog=example("remit db upgrade"))
def upgrade(app: App = None) -> None:
    """Bring the database to this version's form.

    Where there is no file yet, it is made, with its keys; on PostgreSQL the database and `remit keys init` come first. Processes of
    the version before notice, and begin nothing more.
    """
    import asyncio

    from ..runtime.database import open_database
    from ..runtime.migrating import LATEST

    runtime = load(app)
    database = open_database(runtime.database, tenant=runtime.tenant, keys=runtime.keys)
    asyncio.run(closed(database))
    show(f"{database.name} is at revision {LATEST}, which this version needs.")


async def closed(database: Database) -> None:
    """Close a database that was only to be opened."""
    await database.writer.close()
    await database.close()


@commands.callback()
def _together() -> None:
    """Keep `upgrade` a word of its own: typer would drop the name of an only command."""
