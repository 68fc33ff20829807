"""One line in the log for each request, with an id that a problem carries too, and nothing about a person in it."""

from __future__ import annotations

import logging
import time
import uuid

import structlog
from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..runtime.telemetry import REQUEST
from .problems import unexpected

CLIENT_LEFT = 499

log = logging.getLogger("remit.server")


class Record:
    """Number, time and log each request; whatever an endpoint raises unforeseen ends here, as a problem.

    The line names method, route, status, problem code, and the prefix of the key; no address, no path, no query.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI 3)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, began, status = Request(scope, receive), time.perf_counter(), CLIENT_LEFT
        request.state.id, request.state.code, request.state.key = uuid.uuid4(), "-", None
        structlog.contextvars.bind_contextvars(**{REQUEST: str(request.state.id)})

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["Cache-Control"] = "no-store"  # outcomes are about somebody
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 - the last place: whatever it is, it is answered and logged
            response = unexpected(request, error)
            if status == CLIENT_LEFT:
                await response(scope, receive, answer)
        finally:
            _write(request, status, time.perf_counter() - began)


def _write(request: Request, status: int, seconds: float) -> None:
    route, key = request.scope.get("route"), request.state.key
    place, who = getattr(route, "path", "-"), key.prefix if key else "-"
    log.info(
        "request %s: %s %s -> %d %s, key %s, %.1f ms",
        request.state.id,
        request.method,
        place,
        status,
        request.state.code,
        who,
        seconds * 1000,
    )
