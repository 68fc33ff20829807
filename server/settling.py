"""What is done over HTTP about a call that was sent: a person says what became of it, or it is undone."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response, Security

from ..errors import AlreadySettled, CallNotFound, NotAnOperator, NothingToUndo, NotSettled, NotUnknown, NoUndo, Overloaded, StillRunning
from ..runtime.people import BadPerson, KeyOwner
from .bodies import Resolution, SubmitQuery, Undoing
from .documents import outcomes
from .door import Door, entitled, person
from .endpoints import BODY, CallId, Served, answered
from .problems import PersonNeeded, SessionNeeded

settling = APIRouter(prefix="/v1", route_class=Door)


@settling.post(
    "/calls/{call_id}/resolve",
    summary="Say what became of a call",
    responses=outcomes(PersonNeeded, NotAnOperator, CallNotFound, NotUnknown, StillRunning, AlreadySettled, *BODY),
)
async def resolve_call(
    call_id: CallId,
    sent: Annotated[Resolution, Body(openapi_examples={"applied": {"value": {"applied": True, "reason": "It is in the bank's list."}}})],
    runtime: Served,
    key: Annotated[KeyOwner, Security(person, scopes=["calls:resolve"])],
) -> Response:
    """Settle a call of unknown outcome by what the person whose key this is has found out; they have the role operator."""
    return answered(await runtime.resolve(call_id, applied=sent.applied, by=key.owner, reason=sent.reason, via="api"))


@settling.post(
    "/calls/{call_id}/undo",
    summary="Undo a call",
    responses=outcomes(SessionNeeded, BadPerson, CallNotFound, NotSettled, NothingToUndo, NoUndo, *BODY, Overloaded),
)
async def undo_call(
    call_id: CallId,
    sent: Annotated[Undoing, Body(openapi_examples={"person": {"value": {"reason": "Booked by mistake."}}})],
    runtime: Served,
    key: Annotated[KeyOwner, Security(entitled, scopes=["calls:write"])],
) -> Response:
    """Ask for the call that reverses this one, which is decided and approved like any; the outcome is that call's."""
    if (key.kind == "service") == (sent.session is None):
        raise SessionNeeded
    by = sent.session.as_session(runtime.tenant) if sent.session else key.owner
    return answered(await runtime.undo(call_id, by=by, reason=sent.reason, wait=SubmitQuery().wait))
