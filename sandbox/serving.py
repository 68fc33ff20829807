"""An ASGI application on a free loopback port, served by a thread for as long as a block lasts."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

LOOPBACK = "127.0.0.1"


class _Connection(H11Protocol):
    """Let the application cut its own connection: `request.state.abort()`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "abort": transport.abort}


class Serving:
    """Serve `app` on 127.0.0.1 while the `with` or `async with` block lasts, and never beyond.

    Port 0 takes a free one. `url` can be used at once: requests queue until the thread has started. Raise OSError where
    the port is busy.
    """

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        config = uvicorn.Config(app, http=_Connection, ws="none", lifespan="off", log_config=None, access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="remit-sandbox", daemon=True)
        self._port = port

    @property
    def url(self) -> str:
        """Give the address, such as http://127.0.0.1:49152."""
        return f"http://{LOOPBACK}:{self._port}"

    async def pause(self, seconds: float) -> None:
        """Wait inside a request, but not beyond the block."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._server.should_exit:  # noqa: ASYNC110  set from another thread
            await asyncio.sleep(min(0.02, seconds))

    def __enter__(self) -> Self:
        made = socket.create_server((LOOPBACK, self._port))
        # It says that it is TCP: else asyncio leaves small answers lying for 40 ms (TCP_NODELAY).
        self._socket = socket.socket(made.family, made.type, socket.IPPROTO_TCP, made.detach())
        self._port = self._socket.getsockname()[1]
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.should_exit = True
        self._thread.join()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *failure: object) -> None:
        await asyncio.to_thread(self.__exit__, None, None, None)

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])
