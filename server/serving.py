"""Serve a runtime over HTTP until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress

import uvicorn

from ..errors import RemitError
from ..runtime import Runtime
from ..runtime.heap import keep_what_is_there
from .app import create_app

GRACE = 20
"""Seconds that requests have to end in; then the runtime lets its calls rest, however long their handlers may take."""

log = logging.getLogger("remit.server")


class CannotListen(RemitError):
    """This address can't be listened on."""

    code = "cannot_listen"


def serve(runtime: Runtime, host: str = "127.0.0.1", port: int = 8000, *, stripe_secret: str | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then let what runs come to rest; `stripe_secret` as for `create_app`.

    Where log lines go is for whoever calls this to say. Raises `CannotListen` for a busy port, and what `Runtime.start` raises, before anything is served.
    """
    with listen(host, port) as listening, suppress(KeyboardInterrupt):
        asyncio.run(_serve(runtime, listening, stripe_secret))


def listen(host: str, port: int) -> socket.socket:
    """Take an address, 0 being any free port; raises `CannotListen` in one line that says what to do."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)
    except OSError as error:
        why = str(error.strerror).partition(" (")[0]  # Python adds the address to some
        raise CannotListen(f"{host}:{port} can't be listened on ({why}); stop what listens there, or choose another --port") from error


async def _serve(runtime: Runtime, listening: socket.socket, stripe_secret: str | None) -> None:
    await runtime.start()
    config = uvicorn.Config(
        create_app(runtime, stripe_secret=stripe_secret),
        ws="none",
        log_config=None,
        access_log=False,  # Record writes a line without addresses and queries
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
    )
    host, port = listening.getsockname()[:2]
    log.info("serving on http://%s:%d", f"[{host}]" if ":" in host else host, port)
    keep_what_is_there()
    await uvicorn.Server(config).serve(sockets=[listening])
