"""What staff are asked: whose key it is, what they could answer, what exactly they would approve, and their answer."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Body, Path, Response, Security

from ..errors import AlreadySettled, AlreadyStarted, AlreadyVoted, ApprovalNotOpen, CallNotFound, NotAmended, NotAnApprover
from ..runtime.people import KeyOwner
from .bodies import Amendment, ApprovalBody, ApprovalBrief, Approvals, SummaryBody, Vote
from .documents import KEYED, outcomes, problems
from .door import Door, person
from .endpoints import BODY, CallId, Served, answered
from .problems import PersonNeeded

approvals = APIRouter(prefix="/v1", route_class=Door)
Reader = Annotated[KeyOwner, Security(person, scopes=["approvals:read"])]


@approvals.get("/approvals", summary="What a person could answer", responses=problems(*KEYED, PersonNeeded))
async def get_inbox(runtime: Served, key: Reader) -> Approvals:
    """Give the calls that wait for an approval which the person whose key this is could give, the most urgent first."""
    found = await runtime.inbox(person=key.owner)
    return Approvals(approvals=[ApprovalBrief.model_validate(one) for one in found])


@approvals.get(
    "/approvals/{call_id}", summary="What an approval would do", responses=problems(*KEYED, PersonNeeded, NotAnApprover, CallNotFound)
)
async def get_approval(call_id: CallId, runtime: Served, key: Reader) -> ApprovalBody:
    """Give exactly what would run, and why it stopped, to whoever has a role that an approval of it names."""
    named, reader = await runtime.roles_asked(call_id), await runtime.people.get(key.owner)
    if reader is None or not named & reader.roles:
        raise NotAnApprover("This call asks for no approval by anybody with a role of yours.")
    review = await runtime.review(call_id, by=key.owner)
    brief = ApprovalBrief.model_validate(review.call).model_dump()
    summary = SummaryBody.of(review.summary) if review.summary else None
    told = {name: list(value) for name, value in asdict(review).items() if name not in {"call", "summary"}}
    return ApprovalBody(**brief, summary=summary, **told)


@approvals.post(
    "/approvals/{approval_id}/votes",
    summary="Vote on an approval",
    responses=outcomes(PersonNeeded, NotAnApprover, CallNotFound, AlreadyVoted, ApprovalNotOpen, *BODY),
)
async def vote(
    approval_id: Annotated[str, Path(max_length=200, description="The approval's id, or its call's.")],
    sent: Annotated[Vote, Body(openapi_examples={"approve": {"value": {"answer": "approve", "reason": "The photograph shows it."}}})],
    runtime: Served,
    key: Annotated[KeyOwner, Security(person, scopes=["approvals:vote"])],
) -> Response:
    """Count the answer of the person whose key this is, and take the call on from there."""
    return answered(await runtime.vote(approval_id, person=key.owner, **sent.model_dump()))


@approvals.post(
    "/calls/{call_id}/amend",
    summary="Amend a call that waits",
    responses=outcomes(PersonNeeded, NotAnApprover, CallNotFound, NotAmended, AlreadyStarted, AlreadySettled, ApprovalNotOpen, *BODY),
)
async def amend_call(
    call_id: CallId,
    sent: Annotated[Amendment, Body()],
    runtime: Served,
    key: Annotated[KeyOwner, Security(person, scopes=["approvals:vote"])],
) -> Response:
    """Put other arguments in place of those asked for. It is decided anew, all are asked again, and whoever amends can't vote on it."""
    return answered(await runtime.amend(call_id, by=key.owner, **sent.model_dump()))
