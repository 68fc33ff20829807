"""`remit audit follow`: the log as files that grow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .application import load, run
from .options import App, example

if TYPE_CHECKING:
    from ..runtime import Runtime

commands = typer.Typer()


@commands.command("follow", epilog=example("remit audit follow --out events", "remit audit follow --out events --once"))
def follow(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the files are, or will be. One process at a time.")],
    largest: Annotated[int, typer.Option(metavar="MB", min=1, help="When the next file is begun.")] = 64,
    once: Annotated[bool, typer.Option("--once", help="End when there is no more.")] = False,
    app: App = None,
) -> None:
    """Write events to JSONL files as they get their place in the log, until stopped.

    Called again, it goes on where the files end: no event is left out, and none is there twice. No personal values are in them.
    """

    async def followed(runtime: Runtime) -> None:
        from ..runtime import sink

        begins = await (await runtime.start()).retention.begins()
        files = sink.Sink(out, largest=largest * 1024 * 1024, begins=begins)
        try:
            await sink.follow(lambda after: runtime.events(after=after, most=1_000), files, once=once)
        finally:
            files.close()

    run(load(app), followed)
