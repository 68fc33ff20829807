"""People's answers: staff approve or reject, customers confirm, and whoever may can cancel what has not started."""

from __future__ import annotations

from typing import Literal

from ..audit import State
from ..errors import AlreadySettled, AlreadyStarted, AlreadyVoted, ApprovalNotOpen, CallNotFound, NotAnApprover
from .call import Call
from .journal import Conflict
from .people import People, Person
from .statements import Write
from .store import Requirement
from .work import Draft, Parts, apart, ending, move

Answer = Literal["approve", "reject"]
TRIES = 5


async def vote(
    parts: Parts, people: People, approval: str, *, person: str, answer: Answer, reason: str, digest: str | None, via: str
) -> Call:
    """Count one person's answer to an approval, named by its own id or its call's.

    Raises `NotAnApprover`, `AlreadyVoted`, `ApprovalNotOpen` (answered, expired, or another digest than was shown) and
    `CallNotFound`. A reject is final for the request.
    """
    for _ in range(TRIES):
        requirement, call = _open_requirement(parts, approval, "approval", digest)
        if any(voter == person for voter, _, _ in parts.store.votes(requirement.id)):
            raise AlreadyVoted
        voter = _entitled(parts, people, person, requirement, call)
        role = requirement.role
        row = (call.tenant, requirement.id, voter.id, answer, role, call.digest, parts.clock.now())
        body = {"approval": requirement.id, "person": voter.id, "answer": answer, "digest": call.digest, "role": role, "via": via}
        said = Draft("approval.voted", body, {"/reason": reason} if reason else {})
        try:
            return await _answered(parts, call, requirement, said, [Write("vote.add", row)], granted=answer == "approve", code="declined")
        except Conflict:
            continue
    raise ApprovalNotOpen


async def confirm(parts: Parts, call_id: str, *, subject: str, answer: Answer, digest: str | None) -> Call:
    """Count the customer's own answer, authenticated by the host as that subject; a model can't get here."""
    requirement, call = _open_requirement(parts, call_id, "confirmation", digest)
    asker = await parts.vault.subject(subject)
    held = parts.store.row("SELECT subject FROM effect WHERE tenant = ? AND call = ?", (call.tenant, call.id))
    if held is None or held[0] != asker.pseudonym:
        raise NotAnApprover("only the customer in whose name it happens can confirm it")
    said = Draft("call.confirmed", {"digest": call.digest, "answer": answer})
    return await _answered(parts, call, requirement, said, [], granted=answer == "approve", code="declined")


async def cancel(parts: Parts, call_id: str, *, by: str, reason: str) -> Call:
    """End a call that has not started; one that has is told to make no further attempt.

    Raises `AlreadyStarted` or `AlreadySettled`.
    """
    for _ in range(TRIES):
        call = parts.store.get(call_id)
        if call.final:
            raise AlreadySettled(f"the call has already ended: {call.state}")
        if call.state not in {State.WAITING, State.READY}:
            await _forbid(parts, call, by, reason)
            raise AlreadyStarted
        draft = Draft("call.cancelled", {"by": by}, {"/reason": reason} if reason else {}, (call.state, State.CANCELLED))
        try:
            return await move(parts, call, (draft,), ending(call), wake_at=None, code="cancelled")
        except Conflict:
            continue
    raise AlreadyStarted


async def _forbid(parts: Parts, call: Call, by: str, reason: str) -> None:
    """Forbid further attempts. The call's row keeps its version: the attempt under way must still be able to settle."""
    owner = parts.vault.by_pseudonym(call.subject)
    event = apart(parts, "call.cancel_asked", {"call": call.id, "by": by}, owner=owner, personal={"/reason": reason} if reason else {})
    await parts.store.commit([Write("call.forbid", (call.tenant, call.id)), *event])


async def _answered(
    parts: Parts, call: Call, requirement: Requirement, said: Draft, writes: list[Write], *, granted: bool, code: str
) -> Call:
    place = (call.tenant, requirement.id, "open")
    if granted:
        writes = [*writes, Write("requirement.move", ("approved", *place))]
        return await move(parts, call, (said,), writes, wake_at=parts.clock.now())
    writes = [*writes, Write("requirement.move", ("rejected", *place)), *ending(call)]
    end = Draft("call.declined", {"requirement": requirement.kind}, change=(call.state, State.DECLINED))
    return await move(parts, call, (said, end), writes, wake_at=None, code=code)


def _open_requirement(parts: Parts, named: str, kind: str, digest: str | None) -> tuple[Requirement, Call]:
    if (requirement := parts.store.requirement(named)) is None:
        asked = [one for one in parts.store.requirements(parts.store.get(named).id) if one.kind == kind]
        if not asked:
            raise ApprovalNotOpen(f"call {named} waits for no {kind}")
        requirement = next((one for one in asked if one.state == "open"), asked[-1])
    if (call := parts.store.find(requirement.call)) is None:
        raise CallNotFound
    if requirement.state != "open" or call.state is not State.WAITING:
        raise ApprovalNotOpen(f"this {kind} is not open: it is {requirement.state}, and the call is {call.state}")
    if parts.clock.now() >= requirement.deadline_at:
        raise ApprovalNotOpen(f"the time for this {kind} is over")
    if call.digest != requirement.digest or (digest is not None and digest != call.digest):
        raise ApprovalNotOpen(f"the call has changed since this {kind} was shown; look at it again")
    return requirement, call


def _entitled(parts: Parts, people: People, person_id: str, requirement: Requirement, call: Call) -> Person:
    person = people.get(person_id)
    if person is None or not person.active:
        raise NotAnApprover(f"there is no active person {person_id}; `remit people add` makes one")
    if requirement.role not in person.roles:
        raise NotAnApprover(
            f"{person_id} does not have the role {requirement.role}; `remit people role {person_id} --add {requirement.role}` gives it"
        )
    if person_id in {call.principal, people.owner_of(call.principal)}:
        raise NotAnApprover(f"{person_id} asked for this, or answers for the agent that did, so somebody else must approve it")
    if parts.vault.is_subject(person_id, call.subject):
        raise NotAnApprover(f"this is done for {person_id}, so somebody else must approve it")
    return person
