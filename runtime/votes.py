"""People's answers: staff approve or reject, and whoever may can cancel what has not started."""

from __future__ import annotations

from collections.abc import Mapping

from ..audit import State
from ..errors import AlreadySettled, AlreadyStarted, AlreadyVoted, ApprovalNotOpen, NotAnApprover
from .answering import TRIES, Answer, decline, grant, named_call, open_for
from .approvals import Barred, adds, approvals_of, customer_of, is_customer, seats_of, unfilled, voter_hash
from .call import Call
from .journal import Conflict
from .people import People, Person
from .statements import Write
from .store import Requirement
from .work import Draft, Parts, apart, ending, move


async def vote(
    parts: Parts,
    people: People,
    approval: str,
    *,
    person: str,
    answer: Answer,
    reason: str,
    digest: str | None,
    via: str,
    shown: str | None = None,
) -> Call:
    """Count one person's answer to an approval, named by its own id or its call's.

    A vote counts for whatever approval of the call it fills a seat of. Raises `NotAnApprover`, `AlreadyVoted`, `ApprovalNotOpen`
    (answered, expired, or another digest or sight of it than was shown) and `CallNotFound`. A reject is final for the request.
    """
    for _ in range(TRIES):
        call = await named_call(parts, approval)
        digest = call.digest if digest is None else digest  # a further try must not meet what it was amended to meanwhile
        asked, standing = await open_for(parts, call, "approval", digest=digest, shown=shown), await approvals_of(parts, call)
        # A yes may fill a seat that was granted and let its voter move to an open one; a no is to what is open alone.
        choice = standing if approval == call.id and answer == "approve" else [one for one in asked if approval in {call.id, one.id}]
        if not choice:
            raise ApprovalNotOpen("this approval is not open: it was answered, or asked for anew")
        ballots = await parts.store.ballots(call)
        if person in ballots:
            raise AlreadyVoted
        voter = await entitled(parts, people, person, call, choice)
        named = min((one for one in choice if seats_of(one).roles & voter.roles), key=lambda one: one.state != "open")
        role = named.role if named.role in voter.roles else named.escalate_to
        who, roles = await voter_hash(parts, call, person), sorted(voter.roles)
        row = (call.tenant, named.id, person, answer, role, call.digest, parts.clock.now(), call.id, " ".join(roles), who)
        body = {"approval": named.id, "person": person, "answer": answer, "digest": call.digest, "role": role, "roles": roles, "via": via}
        said, counted = Draft("approval.voted", body, {"/reason": reason} if reason else {}), [Write("vote.add", row)]
        try:
            if answer == "reject":
                return await decline(parts, call, said, named, counted)
            if not adds(standing, ballots, voter):
                raise ApprovalNotOpen(f"enough people with {person}'s roles have approved this")
            left = unfilled(standing, ballots | {person: voter.roles})
            # All are granted together: until then somebody may still have to move to another seat.
            return await grant(parts, call, said, () if left else asked, left=left, writes=counted)
        except Conflict:
            continue
    raise ApprovalNotOpen


async def entitled(parts: Parts, people: People, person_id: str, call: Call, asked: list[Requirement]) -> Person:
    """Give the person who may answer one of these approvals; raises `NotAnApprover` for anybody else."""
    person = await people.get(person_id)
    if person is None or not person.active:
        raise NotAnApprover(f"there is no active person {person_id}; `remit people add` makes one")
    roles = frozenset().union(*(seats_of(one).roles for one in asked))
    if not roles & person.roles:
        wanted = " or ".join(sorted(roles))
        raise NotAnApprover(f"{person_id} does not have the role {wanted}; `remit people role {person_id} --add {min(roles)}` gives it")
    if why := (await Barred.of(parts, call, await customer_of(parts, call))).why(person):
        raise NotAnApprover(why)
    return person


async def cancel(parts: Parts, call_id: str, *, by: str, reason: str) -> Call:
    """End a call that has not started; one that has is told to make no further attempt.

    Raises `AlreadyStarted` or `AlreadySettled`.
    """
    for _ in range(TRIES):
        call = await parts.store.get(call_id)
        if call.final:
            raise AlreadySettled(f"the call has already ended: {call.state}")
        said = {"/reason": reason} if reason else {}
        who = "subject" if await is_customer(parts, call, by) else by  # a customer has no name in an event
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
    owner = await parts.vault.by_pseudonym(call.subject)
    await parts.store.commit([forbid, *apart(parts, "call.cancel_asked", {"call": call.id, "by": by}, owner=owner, personal=said)])
