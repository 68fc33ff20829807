"""The door that every request but a health check passes: a key first, then a body that is bounded and strictly read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer, SecurityScopes

from ..actions import strict
from ..runtime import Runtime
from ..runtime.people import KeyOwner
from .problems import (
    BodyTooLarge,
    BodyTooSlow,
    BodyUnreadable,
    InvalidRequest,
    NotJson,
    PersonNeeded,
    ScopeMissing,
    ServiceNeeded,
    Unauthenticated,
)

MOST_BYTES = 262_144
MOST_DEPTH = 65
"""One level more than arguments may have, which are one level down."""
BODY_SECONDS = 10.0

_bearer = HTTPBearer(
    scheme_name="key",
    bearerFormat="remit_PREFIX_SECRET",
    description="An API key of a service or a person, made by `remit keys new` and shown once. Each endpoint names its scope.",
    auto_error=False,
)


class StrictRequest(Request):
    """A request whose body has been read."""

    raw: bytes
    document: Any

    async def body(self) -> bytes:
        """Give the bytes."""
        return self.raw

    async def json(self) -> Any:
        """Give what the bytes say, fractions as Decimal."""
        return self.document


class Door(APIRoute):
    """A route that authenticates before it reads a byte of the body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put the door before the framework's own handler, which validates and calls the endpoint."""
        handle = super().get_route_handler()

        async def enter(request: Request) -> Response:
            request.state.key = await _owner(await served(request), request.headers.getlist("authorization"))
            _refuse_repeats(request)
            return await handle(await _read(request) if request.method == "POST" else request)

        return enter


async def served(request: Request) -> Runtime:  # async, as is the next: FastAPI would run a plain function in a thread
    """Give the runtime that the application serves."""
    runtime: Runtime = request.app.state.runtime
    return runtime


async def entitled(request: Request, scopes: SecurityScopes, _documented: Annotated[object, Security(_bearer)]) -> KeyOwner:
    """Give the owner of the request's key; raises `ScopeMissing`."""
    key: KeyOwner = request.state.key
    for scope in scopes.scopes:
        if scope not in key.scopes:
            raise ScopeMissing(f"This takes a key with the scope {scope}.")
    return key


async def service(request: Request, scopes: SecurityScopes, documented: Annotated[object, Security(_bearer)]) -> KeyOwner:
    """Give the owner of a service's key; raises `ServiceNeeded` for a person's, and `ScopeMissing`."""
    key = await entitled(request, scopes, documented)
    if key.kind != "service":
        raise ServiceNeeded
    return key


async def person(request: Request, scopes: SecurityScopes, documented: Annotated[object, Security(_bearer)]) -> KeyOwner:
    """Give the owner of a person's key; raises `PersonNeeded` for a service's, and `ScopeMissing`."""
    key = await entitled(request, scopes, documented)
    if key.kind != "person":
        raise PersonNeeded
    return key


async def _owner(runtime: Runtime, authorization: list[str]) -> KeyOwner:
    scheme, _, key = authorization[0].partition(" ") if len(authorization) == 1 else ("", "", "")
    owner = await runtime.people.who(key.strip()) if scheme.lower() == "bearer" else None
    if owner is None:
        raise Unauthenticated
    return owner


def _refuse_repeats(request: Request) -> None:
    """Refuse what a proxy may read otherwise than we do: of `?dry_run=true&dry_run=false` one takes the first, another the last."""
    names = [name for name, _ in request.query_params.multi_items()]
    headers = ["Idempotency-Key"] * len(request.headers.getlist("idempotency-key"))
    if repeated := next((name for given in (names, headers) for name in given if given.count(name) > 1), None):
        raise InvalidRequest(f"{repeated[:80]} is given more than once.")


async def _read(request: Request) -> StrictRequest:
    known = StrictRequest(request.scope, request.receive)
    known.raw = await read_body(request)
    if known.raw:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise NotJson
        try:
            known.document = strict.load(known.raw, max_depth=MOST_DEPTH)
        except strict.Unreadable as error:
            raise BodyUnreadable(f"The body is not usable JSON: {error}.") from None
    return known


async def read_body(request: Request) -> bytes:
    """Read the body, in chunks or not, and stop at the bounds whatever its length was said to be."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise BodyTooLarge
    except TimeoutError:
        raise BodyTooSlow from None
    return bytes(body)
