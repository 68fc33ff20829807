"""`remit audit place`: give events their places and sign, in a process that may do nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .application import Unusable, settings
from .log_lines import write_lines
from .options import example
from .signals import signalled

if TYPE_CHECKING:
    from types import ModuleType

commands = typer.Typer()


@commands.command(
    "place",
    epilog=example("remit audit place postgresql://remit_sequencer@db.internal/remit --keys remit.keys"),
)
def place(
    database: Annotated[
        str | None, typer.Argument(metavar="DATABASE", help="postgresql://…, as the sequencer's role; else DATABASE_URL.")
    ] = None,
    keys: Annotated[Path, typer.Option("--keys", metavar="FILE", help="The key file of that database.")] = Path("remit.keys"),
    tenant: Annotated[str, typer.Option("--tenant", metavar="NAME", help="Whose log.")] = "default",
) -> None:
    """Give events their places and sign, until it is stopped.

    For PostgreSQL with the roles of docs/postgresql-roles.sql: it needs no app, reads no personal value, and may write nothing but
    places, the head of the tree and checkpoints. SIGTERM or SIGINT stops it between two steps; a second one stops it at once.
    """
    import asyncio

    from ..runtime.migrating import is_postgres

    url = database or os.environ.get("DATABASE_URL", "")
    if not url:
        raise Unusable("name the database: remit audit place postgresql://ROLE@HOST/NAME, or set DATABASE_URL")
    if not is_postgres(url):
        raise Unusable(
            f"{url} is a file, and needs no process that places: whoever works on it (`remit serve`, `remit worker`, your own runtime) "
            "does it; `place` is for postgresql://…"
        )
    write_lines(settings().logs)
    asyncio.run(_place(_placing(), url, keys, tenant))


def _placing() -> ModuleType:
    try:
        from ..runtime import placing
    except ImportError as error:
        raise Unusable(f"PostgreSQL needs the extra `postgres`: pip install 'remit[postgres]' ({error})") from error
    return placing


async def _place(placing: ModuleType, url: str, keys: Path, tenant: str) -> None:
    import logging

    log = logging.getLogger("remit.sequencer")

    await placing.place_events(url, keys, tenant=tenant, stop=signalled())
    log.info("stopped")
