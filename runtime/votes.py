"""People's answers: staff approve or reject, customers confirm, and whoever may can cancel what has not started."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from ..audit import State
from ..errors import AlreadySettled, AlreadyStarted, AlreadyVoted, ApprovalNotOpen, AuditError, CallNotFound, NotAnApprover
from .call import Call
from .journal import Conflict
from .people import People
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
        voter = people.get(person)
        requirement, call = _open_requirement(parts, approval, "approval", digest, voter.roles if voter else ())
        if any(who == person for who, _, _ in parts.store.votes(requirement.id)):
            raise AlreadyVoted
        _check_entitled(parts, people, person, requirement, call)
        role = requirement.role
        roles = " ".join(sorted(voter.roles)) if voter else ""
        who = parts.vault.hash("person", person)
        row = (call.tenant, requirement.id, person, answer, role, call.digest, parts.clock.now(), call.id, roles, who)
        body = {"approval": requirement.id, "person": person, "answer": answer, "digest": call.digest, "role": role, "via": via}
        said = Draft("approval.voted", body, {"/reason": reason} if reason else {})
        try:
            return await _answered(parts, call, requirement, said, [Write("vote.add", row)], granted=answer == "approve", code="declined")
        except Conflict:
            continue
    raise ApprovalNotOpen


async def confirm(parts: Parts, call_id: str, *, subject: str, answer: Answer, digest: str | None) -> Call:
    """Count the customer's own answer, authenticated by the host as that subject; a model can't get here.

    Raises `NotAnApprover` for anybody else, `ApprovalNotOpen` and `CallNotFound`.
    """
    for _ in range(TRIES):
        requirement, call = _open_requirement(parts, call_id, "confirmation", digest)
        if subject != _asker(parts, call):
            raise NotAnApprover("only the customer in whose name it happens can confirm it")
        said = Draft("call.confirmed", {"digest": call.digest, "answer": answer})
        try:
            return await _answered(parts, call, requirement, said, [], granted=answer == "approve", code="declined")
        except Conflict:
            continue
    raise ApprovalNotOpen


async def cancel(parts: Parts, call_id: str, *, by: str, reason: str) -> Call:
    """End a call that has not started; one that has is told to make no further attempt.

    Raises `AlreadyStarted` or `AlreadySettled`.
    """
    for _ in range(TRIES):
        call = parts.store.get(call_id)
        if call.final:
            raise AlreadySettled(f"the call has already ended: {call.state}")
        said = {"/reason": reason} if reason else {}
        who = "subject" if _is_customer(parts, call, by) else by  # a customer has no name in an event
        draft = Draft("call.cancelled", {"by": who}, said, (call.state, State.CANCELLED))
        try:
            if call.state in {State.WAITING, State.READY}:
                return await move(parts, call, (draft,), ending(call), wake_at=None, code="cancelled")
            await _forbid(parts, call, who, said)
        except Conflict:
            continue
        raise AlreadyStarted
    raise AlreadyStarted


async def _forbid(parts: Parts, call: Call, by: str, said: Mapping[str, str]) -> None:
    """Forbid further attempts."""
    forbid = Write("call.forbid", (call.tenant, call.id))
    if call.state is State.UNKNOWN:  # a replay that is being prepared must meet the new version
        await move(parts, call, (Draft("call.cancel_asked", {"by": by}, said),), (forbid,))
        return
    # The call's row keeps its version: the attempt under way must still be able to settle.
    owner = parts.vault.by_pseudonym(call.subject)
    await parts.store.commit([forbid, *apart(parts, "call.cancel_asked", {"call": call.id, "by": by}, owner=owner, personal=said)])


async def _answered(
    parts: Parts, call: Call, requirement: Requirement, said: Draft, writes: list[Write], *, granted: bool, code: str
) -> Call:
    place = (call.tenant, requirement.id, "open")
    if granted:
        writes = [*writes, Write("requirement.move", ("approved", *place))]
        others = any(one.state == "open" and one.id != requirement.id for one in parts.store.requirements(call.id))
        return await move(parts, call, (said,), writes, wake_at=call.deadline_at if others else parts.clock.now())
    writes = [*writes, Write("requirement.move", ("rejected", *place)), *ending(call)]
    end = Draft("call.declined", {"requirement": requirement.kind}, change=(call.state, State.DECLINED))
    return await move(parts, call, (said, end), writes, wake_at=None, code=code)


def _open_requirement(parts: Parts, named: str, kind: str, digest: str | None, roles: Collection[str] = ()) -> tuple[Requirement, Call]:
    requirement = parts.store.requirement(named)
    if requirement is None or requirement.kind != kind:
        asked = [one for one in parts.store.requirements(parts.store.get(named).id) if one.kind == kind]
        if not asked:
            raise ApprovalNotOpen(f"call {named} waits for no {kind}")
        # Of several that are open, the one that this person can answer.
        requirement = max(asked, key=lambda one: (one.state == "open", one.role in roles))
    if (call := parts.store.find(requirement.call)) is None:
        raise CallNotFound
    if requirement.state != "open" or call.state is not State.WAITING:
        raise ApprovalNotOpen(f"this {kind} is not open: it is {requirement.state}, and the call is {call.state}")
    if parts.clock.now() >= requirement.deadline_at:
        raise ApprovalNotOpen(f"the time for this {kind} is over")
    if call.digest != requirement.digest or (digest is not None and digest != call.digest):
        raise ApprovalNotOpen(f"the call has changed since this {kind} was shown; look at it again")
    return requirement, call


def _check_entitled(parts: Parts, people: People, person_id: str, requirement: Requirement, call: Call) -> None:
    person = people.get(person_id)
    if person is None or not person.active:
        raise NotAnApprover(f"there is no active person {person_id}; `remit people add` makes one")
    if requirement.role not in person.roles:
        raise NotAnApprover(
            f"{person_id} does not have the role {requirement.role}; `remit people role {person_id} --add {requirement.role}` gives it"
        )
    if person_id in {call.principal, people.owner_of(call.principal)}:
        raise NotAnApprover(f"{person_id} asked for this, or answers for the agent that did, so somebody else must approve it")
    if _is_customer(parts, call, person_id):
        raise NotAnApprover(f"this is done for {person_id}, so somebody else must approve it")


def _asker(parts: Parts, call: Call) -> str | None:
    """Name the customer in whose name the call happens, who need not be the one whose data it is about."""
    try:
        return str(parts.vault.by_pseudonym(call.subject).open(call.sealed, call.id)["subject"])
    except AuditError:
        return None  # erased, or the row was changed


def _is_customer(parts: Parts, call: Call, person_id: str) -> bool:
    return person_id == _asker(parts, call) or parts.vault.is_subject(person_id, call.subject)
