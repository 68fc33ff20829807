"""A small SCIM 2 directory (RFC 7643, 7644) on a loopback port: find people, read one, change whether an account is active."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .serving import Serving

_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
_TERM = re.compile(r'(userName|emails\.value|id) eq ("(?:[^"\\]|\\.)*")(?: or |$)')


@dataclass(slots=True)
class Person:
    """One user of the directory; `email` is the address on file, an account that is not active is locked."""

    id: str
    user_name: str
    email: str | None = None
    active: bool = True

    def resource(self) -> dict[str, Any]:
        """Give the User resource (RFC 7643, section 4.1)."""
        emails = [{"value": self.email, "primary": True}] if self.email else []
        return {"schemas": [_USER], "id": self.id, "userName": self.user_name, "active": self.active, "emails": emails}

    def has(self, attribute: str, value: str) -> bool:
        """Compare one attribute as SCIM does: ids exactly, names and addresses without case."""
        if attribute == "id":
            return self.id == value
        own = self.user_name if attribute == "userName" else self.email
        return own is not None and own.casefold() == value.casefold()


class DirectoryServer(Serving):
    """Serve a directory of `people` at `url` + "/v2" while the block lasts; with a `token`, only to its bearer.

    Filters are `userName`, `emails.value` and `id` with `eq`, joined by `or`; a PATCH may replace `active`.
    """

    def __init__(self, people: Iterable[Person], *, token: str | None = None, port: int = 0) -> None:
        self.people = {person.id: person for person in people}
        self._token = token
        routes = [
            Route("/v2/Users", self._search, methods=["GET"]),
            Route("/v2/Users/{id}", self._read, methods=["GET"]),
            Route("/v2/Users/{id}", self._patch, methods=["PATCH"]),
        ]
        super().__init__(Starlette(routes=routes), port)

    async def _search(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        terms = _terms(request.query_params.get("filter", ""))
        if terms is None:
            return _error(400, "invalidFilter")
        found = [person for person in self.people.values() if not terms or any(person.has(*term) for term in terms)]
        wanted = found[: int(request.query_params.get("count", "100"))]
        resources = [person.resource() for person in wanted]
        return _scim({"schemas": [_LIST], "totalResults": len(found), "itemsPerPage": len(wanted), "startIndex": 1, "Resources": resources})

    async def _read(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        person = self.people.get(request.path_params["id"])
        return _scim(person.resource()) if person else _error(404)

    async def _patch(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        person = self.people.get(request.path_params["id"])
        if person is None:
            return _error(404)
        try:
            operations = [(one["op"].lower(), one["path"], one["value"]) for one in (await request.json())["Operations"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            return _error(400, "invalidSyntax")
        for op, path, value in operations:
            if (op, path) != ("replace", "active") or not isinstance(value, bool):
                return _error(400, "invalidPath")
            person.active = value
        return Response(status_code=204)

    def _refused(self, request: Request) -> Response | None:
        held = request.headers.get("Authorization")
        return _error(401) if self._token and held != f"Bearer {self._token}" else None


def _terms(text: str) -> list[tuple[str, str]] | None:
    """Read a filter into its terms; None where it is not one that is served here."""
    terms, at = [], 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            return None
        try:
            terms.append((found[1], json.loads(found[2])))
        except ValueError:
            return None
        at = found.end()
    return terms


def _scim(body: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(body, status, media_type="application/scim+json")


def _error(status: int, kind: str | None = None) -> Response:
    body = {"schemas": [_ERROR], "status": str(status)} | ({"scimType": kind} if kind else {})
    return _scim(body, status)
