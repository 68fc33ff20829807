"""`remit serve`: the HTTP API over a runtime."""

from __future__ import annotations

from typing import Annotated

import typer

from .application import load, publishing, settings
from .log_lines import write_lines
from .options import App, Tiles, example

commands = typer.Typer()


@commands.command("serve", epilog=example("remit serve --app app:runtime --port 8000"))
def serve(
    app: App = None,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Default: REMIT_HOST, or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", min=1, max=65_535, help="Default: REMIT_PORT, or 8000.")] = None,
    tiles: Tiles = None,
) -> None:
    """Serve the HTTP API until it is stopped.

    Calls that rest are taken up here as well, unless the app says `wakeups=False`: then `remit worker` does it.
    """
    from ..server.serving import serve as serve_forever

    chosen = settings()
    write_lines(chosen.logs)
    secret = chosen.stripe_webhook_secret.get_secret_value() or None
    runtime = publishing(load(app), tiles)
    serve_forever(runtime, host or chosen.host, port or chosen.port, stripe_secret=secret)
