"""Turn everything that can go wrong with a request into an RFC 9457 problem. No other file words one.

    RequestRefused       the request itself can't be served
    ├── Unauthenticated, ScopeMissing, ServiceNeeded, PersonNeeded
    ├── BodyUnreadable, BodyTooSlow, BodyTooLarge, NotJson
    ├── SessionNeeded, NotSigned
    └── LinkInvalid, LinkExpired (links.py)

The exceptions of `remit.errors` bring their own code and status; the first sentence of a docstring is the title.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from ..errors import CallError, CodeNotSent, Overloaded, RemitError

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20

log = logging.getLogger("remit.server")


class RequestRefused(RemitError):
    """This request can't be served."""

    code = "bad_request"
    status = 400


class Unauthenticated(RequestRefused):
    """An API key is needed. Send `Authorization: Bearer remit_…` with a key that is neither revoked nor expired."""

    code = "unauthenticated"
    status = 401


class ScopeMissing(RequestRefused):
    """This API key may not do that. Use a key that was made with the scope."""

    code = "scope_missing"
    status = 403


class ServiceNeeded(RequestRefused):
    """Only a service's key submits calls and answers for customers. The service is what has authenticated them."""

    code = "service_needed"
    status = 403


class PersonNeeded(RequestRefused):
    """Only a person's key looks at approvals, votes, amends and resolves. A service can't approve anything."""

    code = "person_needed"
    status = 403


class SessionNeeded(RequestRefused):
    """A service's key undoes a call in the session of an agent, and a person's key in that person's own name."""

    code = "session_needed"
    status = 422


class NotSigned(RequestRefused):
    """This is no event that the provider has signed, or it is too old."""

    code = "not_signed"


class BodyUnreadable(RequestRefused):
    """The body is not JSON that everybody reads alike."""

    code = "body_unreadable"


class BodyTooSlow(RequestRefused):
    """The body did not arrive in time."""

    code = "body_too_slow"
    status = 408


class BodyTooLarge(RequestRefused):
    """The body is too large. At most 262,144 bytes are read."""

    code = "body_too_large"
    status = 413


class NotJson(RequestRefused):
    """The body must be JSON. Send `Content-Type: application/json`."""

    code = "unsupported_media_type"
    status = 415


class Unexpected(RemitError):
    """Something went wrong here. The log tells what, under the id in `instance`."""

    code = "unexpected"


class InvalidRequest(RequestRefused):
    """Some parts of the request can't be used. `field_errors` says which."""

    code = "invalid_request"
    status = 422


HEADERS: Mapping[type[RemitError], Mapping[str, str]] = {
    Unauthenticated: {"WWW-Authenticate": 'Bearer realm="remit"'},
    ScopeMissing: {"WWW-Authenticate": 'Bearer realm="remit", error="insufficient_scope"'},
    BodyTooSlow: {"Connection": "close"},
    CodeNotSent: {"Retry-After": "30"},
    BodyTooLarge: {"Connection": "close"},
}


def install(app: FastAPI) -> None:
    """Answer every exception of `app` with a problem."""
    app.add_exception_handler(RemitError, _of_remit)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)


def members(kind: type[RemitError], detail: str, instance: str) -> dict[str, Any]:
    """Give the members of an exception's problem (RFC 9457, section 3), with `code` for machines."""
    return _members(kind.code, kind.status, text(kind).partition(". ")[0].rstrip("."), detail, instance)


def text(kind: type[RemitError]) -> str:
    """Give the words of an exception's class, which are the same at every occurrence."""
    return " ".join((kind.__doc__ or "").split())


def unexpected(request: Request, error: Exception) -> Response:
    """Answer what nobody foresaw: an id for the caller, and for the log the place, without the values that were at hand."""
    places = "".join(traceback.format_tb(error.__traceback__))
    log.error("request %s raised %s\n%s", request.state.id, type(error).__name__, places)
    return _answer(request, members(Unexpected, text(Unexpected), _instance(request)))


async def _of_remit(request: Request, error: Exception) -> Response:
    assert isinstance(error, RemitError)
    kind = type(error)
    if kind.status >= 500 and kind is not Overloaded:  # in a flood the request's own line is enough
        log.error("request %s: %s: %s", request.state.id, kind.code, error)
    # What the store says names files and commands of this machine; to a caller its class says enough.
    told = isinstance(error, CallError | RequestRefused) and (kind.status not in {404, 503} or kind is Overloaded)
    headers = {"Retry-After": str(getattr(error, "after", 1))} if kind.status == 503 else HEADERS.get(kind)
    return _answer(request, members(kind, error.message if told else text(kind), _instance(request)), headers)


async def _of_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    field_errors = list(_field_errors(error.errors()[:MOST_ERRORS]))
    return _answer(request, members(InvalidRequest, text(InvalidRequest), _instance(request)) | {"field_errors": field_errors})


async def _of_http(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses by itself: no such path, no such method."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    found = _members(status.name.lower(), status, status.phrase, status.description or status.phrase, _instance(request))
    return _answer(request, found, error.headers)


def _field_errors(found: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, str]]:
    """Say where and what, in the form that unusable arguments have; the value itself is not repeated."""
    for one in found:
        path = ".".join(str(part)[:80] for part in one["loc"])
        if one["type"] == "missing":
            yield {"path": path, "problem": "is missing", "expected": "a value"}
        elif one["type"] == "extra_forbidden":
            yield {"path": path, "problem": "is not known here", "expected": "nothing here"}
        else:
            yield {"path": path, "problem": "can't be used", "expected": one["msg"].removeprefix("Input should be ")[:200]}


def _members(code: str, status: int, title: str, detail: str, instance: str) -> dict[str, Any]:
    kind = f"urn:remit:problem:{code}"
    return {"type": kind, "title": title, "status": int(status), "detail": detail, "code": code, "instance": instance}


def _instance(request: Request) -> str:
    return f"urn:uuid:{request.state.id}"


def _answer(request: Request, problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    request.state.code = problem["code"]
    return Response(orjson.dumps(problem), status_code=problem["status"], headers=headers, media_type=MEDIA_TYPE)
