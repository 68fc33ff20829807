"""The endpoints of calls and of the log: each reads what was sent, asks the runtime, and says what became of it."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Body, Depends, Header, Path, Query, Response, Security

from ..actions import ToolCall
from ..audit import State
from ..errors import (
    AlreadySettled,
    AlreadyStarted,
    CallNotFound,
    KeyReused,
    Overloaded,
    StoreError,
)
from ..runtime import Outcome, Runtime
from ..runtime.access import NotAReader
from ..runtime.people import KeyOwner
from .bodies import CallQuery, Cancellation, Events, EventsQuery, HealthBody, NewCall, SubmitQuery, Tools, ToolsQuery
from .documents import KEYED, NEW_CALL, outcomes, problems
from .door import Door, entitled, served, service
from .problems import BodyTooLarge, BodyTooSlow, BodyUnreadable, NotJson, ServiceNeeded

BODY = (BodyUnreadable, BodyTooSlow, BodyTooLarge, NotJson)
PEOPLE_TAKE, MACHINES_TAKE = 15, 1
"""Seconds after which to look again."""

Served = Annotated[Runtime, Depends(served)]
CallId = Annotated[str, Path(max_length=200, description="The call's id, as the outcome gives it.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The caller's name for this submission, unique in principal and conversation. Best is the provider's tool-call id.",
    ),
]

keyed = APIRouter(prefix="/v1", route_class=Door)
open_to_all = APIRouter()


@keyed.get("/tools", summary="The actions, as a provider's API takes them", responses=problems(*KEYED))
async def tools(
    query: Annotated[ToolsQuery, Query()], runtime: Served, _: Annotated[KeyOwner, Security(entitled, scopes=["tools:read"])]
) -> Tools:
    """Give the value of the request's `tools` in the wire form of `dialect`."""
    return Tools(tools=runtime.tools(query.dialect))


@keyed.post("/calls", summary="Submit a call", responses=outcomes(ServiceNeeded, KeyReused, *BODY, Overloaded))
async def submit_call(
    sent: Annotated[NewCall, Body(openapi_examples={"refund": {"value": NEW_CALL}})],
    query: Annotated[SubmitQuery, Query()],
    runtime: Served,
    _: Annotated[KeyOwner, Security(service, scopes=["calls:write"])],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Take a model's tool call as far as it goes within `wait` seconds; beyond them, and without this client, it goes on.

    The same `Idempotency-Key` with the same content gives that call as it stands; with other content it is refused.
    """
    call = ToolCall(id=None, name=sent.name, arguments=sent.arguments)
    session = sent.session.as_session(runtime.tenant)
    outcome = await runtime.submit(call, session, idempotency_key=idempotency_key, wait=query.wait, dry_run=query.dry_run)
    if outcome.call_id is None and outcome.error is not None and outcome.error.code == Overloaded.code:
        raise Overloaded(after=outcome.retry_after or 1)
    return answered(outcome)


@keyed.get("/calls/{call_id}", summary="What became of a call", responses=outcomes(CallNotFound, NotAReader))
async def get_call(
    call_id: CallId,
    query: Annotated[CallQuery, Query()],
    runtime: Served,
    key: Annotated[KeyOwner, Security(entitled, scopes=["calls:read"])],
) -> Response:
    """Give a call as it stands, or, with `wait`, as soon as it is final.

    With a person's key to whoever asked for it, may approve it, or has a role that may see it; that they saw it is recorded.
    """
    if key.kind == "person":
        await runtime.opened(call_id, by=key.owner, purpose="how a call stands")
    return answered(await runtime.wait(call_id, query.wait) if query.wait else await runtime.get(call_id))


@keyed.post("/calls/{call_id}/cancel", summary="Cancel a call", responses=outcomes(CallNotFound, AlreadyStarted, AlreadySettled, *BODY))
async def cancel_call(
    call_id: CallId,
    runtime: Served,
    key: Annotated[KeyOwner, Security(entitled, scopes=["calls:write"])],
    sent: Annotated[Cancellation | None, Body()] = None,
) -> Response:
    """End a call that has not started. One that has makes no further attempt."""
    reason = sent.reason if sent else ""
    return answered(await runtime.cancel(call_id, by=f"{key.kind} {key.owner}", reason=reason))


@keyed.get("/events", summary="The log, in its order", responses=problems(*KEYED))
async def events(
    query: Annotated[EventsQuery, Query()], runtime: Served, key: Annotated[KeyOwner, Security(entitled, scopes=["events:read"])]
) -> Events:
    """Give events that have their place in the log. Begin with no `after`, then pass on the one that came back."""
    who = key.owner if key.kind == "person" else f"service {key.owner}"
    page = await runtime.events(after=query.after, most=query.limit, by=who)
    return Events(events=page, after=page[-1]["place"] if page else query.after)


@open_to_all.get("/healthz", summary="How the service stands", responses=problems(StoreError))
async def healthz(runtime: Served) -> HealthBody:
    """Answer 200 while the database can be read, without a key; 503 otherwise."""
    health = await runtime.health()
    age = health.oldest_unsequenced.total_seconds()
    counts = {name: getattr(health, name) for name in ("running", "queued", "switches", "dead")}
    return HealthBody(database="ok", oldest_unsequenced_seconds=age, **counts)


def answered(outcome: Outcome) -> Response:
    """Answer 200 when nothing will move any more, whatever became of it; else 202, and where to look again."""
    body, media_type = orjson.dumps(outcome.to_json()), "application/json"
    if outcome.final or outcome.dry_run:
        return Response(body, media_type=media_type)
    pause = PEOPLE_TAKE if outcome.state is State.WAITING else MACHINES_TAKE
    headers = {"Location": f"/v1/calls/{outcome.call_id}", "Retry-After": str(pause)}
    return Response(body, status_code=202, headers=headers, media_type=media_type)
