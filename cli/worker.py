"""`remit worker`: take up calls that rest, and serve nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import typer

from .application import load, publishing, settings
from .log_lines import write_lines
from .options import App, Tiles, example
from .signals import signalled

if TYPE_CHECKING:
    from ..runtime import Runtime

commands = typer.Typer()

GRACE = 20.0
"""Seconds that calls on their way have to come to rest in; what then still runs is taken up elsewhere when its lease ends."""
LOOK = 1.0


@commands.command("worker", epilog=example("remit worker --app app:runtime"))
def worker(app: App = None, tiles: Tiles = None) -> None:
    """Take up calls that rest, until it is stopped; serve nothing.

    Calls rest while somebody is asked, while they cool off, before another try, and until an effect is looked up. SIGTERM or
    SIGINT stops it when what is on its way has come to rest; a second one stops it at once, and another process takes over.
    """
    import asyncio

    write_lines(settings().logs)
    runtime = publishing(load(app), tiles)
    runtime.wakeups = True  # whatever the app says of its processes that serve
    raise typer.Exit(asyncio.run(_work(runtime)))


async def _work(runtime: Runtime) -> int:
    """Work until a signal; gives the exit code. Raises what `Runtime.start` raises, also when the database is brought forward meanwhile."""
    import asyncio
    import logging

    from ..runtime.heap import keep_what_is_there

    log = logging.getLogger("remit.worker")
    stop = signalled()
    await runtime.start()
    keep_what_is_there()
    log.info("taking up calls of %s in %s", ", ".join(sorted(runtime.catalog)) or "no action", runtime.parts.store.name)
    try:
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK)
            await runtime.start()
    finally:
        try:
            await asyncio.wait_for(runtime.close(), GRACE)
        except TimeoutError:
            log.warning("what still ran after %d s was left; another process takes it up when its lease ends", GRACE)
            os._exit(1)  # a handler in a thread would hold the process
    log.info("stopped")
    return 0
