"""What customers answer through the service that has authenticated them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Query, Response, Security

from ..errors import AlreadySettled, AlreadyStarted, ApprovalNotOpen, CallNotFound, CodeNotAccepted, CodeNotSent, NotAnApprover
from ..runtime.clock import to_text
from ..runtime.people import KeyOwner
from .bodies import (
    CodeSentBody,
    ConfirmationBody,
    Customer,
    CustomerAnswer,
    CustomerCancellation,
    CustomerQuery,
    LinkBody,
    LinkWanted,
    Proof,
)
from .documents import KEYED, outcomes, problems
from .door import Door, service
from .endpoints import BODY, CallId, Served, answered
from .links import Link
from .problems import ServiceNeeded

SECOND = 1_000_000
CUSTOMERS = (ServiceNeeded, NotAnApprover, CallNotFound, ApprovalNotOpen)

customers = APIRouter(prefix="/v1", route_class=Door)
ForCustomers = Annotated[KeyOwner, Security(service, scopes=["customers:answer"])]


@customers.get("/confirmations/{call_id}", summary="What a customer is asked to agree to", responses=problems(*KEYED, *CUSTOMERS))
async def get_confirmation(call_id: CallId, query: Annotated[CustomerQuery, Query()], runtime: Served, _: ForCustomers) -> ConfirmationBody:
    """Give what would be done, in the customer's language, and how the question stands. Changes nothing."""
    return ConfirmationBody.of(await runtime.confirmation(call_id, subject=query.subject))


@customers.post("/confirmations/{call_id}", summary="Answer for a customer", responses=outcomes(*CUSTOMERS, *BODY))
async def answer_confirmation(call_id: CallId, sent: Annotated[CustomerAnswer, Body()], runtime: Served, _: ForCustomers) -> Response:
    """Count the customer's answer, which came through a channel that no model reaches, and take the call on from there."""
    outcome = await runtime.confirm(call_id, subject=sent.subject, answer=sent.answer, digest=sent.digest, shown=sent.shown)
    return answered(outcome)


@customers.post(
    "/confirmations/{call_id}/cancel",
    summary="Cancel for a customer",
    responses=outcomes(ServiceNeeded, NotAnApprover, CallNotFound, AlreadyStarted, AlreadySettled, *BODY),
)
async def cancel_for_customer(call_id: CallId, sent: Annotated[CustomerCancellation, Body()], runtime: Served, _: ForCustomers) -> Response:
    """End a call that its customer no longer wants, while it waits or cools off. One that has started makes no further attempt."""
    return answered(await runtime.cancel(call_id, subject=sent.subject, reason=sent.reason))


@customers.post("/calls/{call_id}/code", summary="Send a one-time code", responses=problems(*KEYED, *CUSTOMERS, CodeNotSent, *BODY))
async def send_code(call_id: CallId, sent: Annotated[Customer, Body()], runtime: Served, _: ForCustomers) -> CodeSentBody:
    """Send the customer a code to prove who they are, to the address on file; the code before it is no longer good."""
    went = await runtime.send_code(call_id, subject=sent.subject)
    return CodeSentBody(to=went.to, until=went.until, left=went.left)


@customers.post("/calls/{call_id}/step-up", summary="Prove who a customer is", responses=outcomes(*CUSTOMERS, CodeNotAccepted, *BODY))
async def step_up(call_id: CallId, sent: Annotated[Proof, Body()], runtime: Served, _: ForCustomers) -> Response:
    """Take the code, or a token that the host has signed, and take the call on from there."""
    return answered(await runtime.step_up(call_id, subject=sent.subject, code=sent.code, token=sent.token))


@customers.post("/calls/{call_id}/link", summary="Make a link for a customer", responses=problems(*KEYED, *CUSTOMERS, *BODY))
async def make_link(call_id: CallId, sent: Annotated[LinkWanted, Body()], runtime: Served, _: ForCustomers) -> LinkBody:
    """Make a link to a page where the customer can answer; it is good for this call in this form only, and for one answer."""
    asked = await runtime.confirmation(call_id, subject=sent.subject)
    if asked.state not in {"open", "delayed"}:
        raise ApprovalNotOpen(f"this confirmation is {asked.state}")
    now, until = runtime.parts.clock.now() // SECOND, int(datetime.fromisoformat(asked.until).timestamp())
    expires = min(now + sent.within, until)
    token = Link(asked.call, sent.subject, asked.digest, expires).seal(runtime.link_key)
    return LinkBody(path=f"/confirm/{token}", until=to_text(expires * SECOND))
