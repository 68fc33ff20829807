"""Undo a call by another, linked one, which is governed like any; or take down that the provider has reversed it by itself.

Either way the first call stays succeeded, since it was; what it took of limits and its effect key are free again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..actions import Action, ToolCall, Undo
from ..audit import State
from ..errors import AuditError, CallNotFound, NothingToUndo, NotSettled, NoUndo
from .answering import TRIES
from .approvals import customer_of
from .call import UNDOING, Call
from .journal import Conflict
from .people import People
from .phases import deny
from .receive import Submission
from .session import Session
from .work import Draft, Parts, Work, move, releasing

REVERSED, UNDONE = "reversed", "undone"


async def submission_of(parts: Parts, people: People, call_id: str, *, asker: Session | str, reason: str, channel: str) -> Submission:
    """Make the submission that undoes a call, in the name of its customer; `asker` is a session of theirs, or an active person.

    Raises `NotSettled`, `NothingToUndo`, `NoUndo`, `BadPerson`, and `CallNotFound`, also for the session of another customer.
    """
    call = await parts.store.get(call_id)
    customer = await customer_of(parts, call)
    if isinstance(asker, Session) and asker.subject != customer:
        raise CallNotFound(f"no call {call_id} of this customer")
    _refuse_unsettled(call, "undone")
    if call.state is not State.SUCCEEDED or call.taken_back == REVERSED:
        raise NothingToUndo(_nothing(call))
    action = parts.catalog.get(call.action)
    if action is None or action.undo is None:
        raise NoUndo(f"{call.action} names no action that reverses it; undo it at the provider, then `remit calls reversed {call.id}`")
    if customer is None:
        why = "its record was pruned by retention" if call.pruned else "its customer was erased"
        raise NoUndo(f"what was asked for can't be read any more: {why}")
    raw = await _arguments(parts, call, action, action.undo)
    session = asker if isinstance(asker, Session) else await _of_person(people, call, asker, customer, channel)
    return Submission(tool_call=ToolCall(None, action.undo.action, raw), session=session, key=None, undoes=call.id, reason=reason)


async def undo_of(parts: Parts, call_id: str) -> Call | None:
    """Give the call that undoes another, or has done so."""
    sql = f"SELECT id FROM call WHERE tenant = ? AND undoes = ? AND {UNDOING}"  # noqa: S608 - words of this package
    row = await parts.store.row(sql, (parts.store.tenant, call_id))
    return await parts.store.get(row[0]) if row else None


async def still_stands(parts: Parts, work: Work) -> Work:
    """Undo nothing that was taken back since: at every decision on a call that undoes another."""
    if work.call.undoes is None:
        return work
    first = await parts.store.find(work.call.undoes)
    stands = first is not None and first.state is State.SUCCEEDED and first.taken_back is None
    return work if stands else deny(work, "nothing_to_undo")


async def reverse(parts: Parts, call_id: str, *, reference: str | None, by: str, code: str) -> Call:
    """Take down that a provider has reversed an effect; once it has, this changes nothing.

    Raises `NotSettled`, `NothingToUndo` where there was no effect or it was undone, and `CallNotFound`.
    """
    for _ in range(TRIES):
        call = await parts.store.get(call_id)
        _refuse_unsettled(call, "reversed")
        if call.taken_back == REVERSED:
            return call
        if call.state is not State.SUCCEEDED or call.taken_back:
            raise NothingToUndo(_nothing(call))
        body = {"code": code, "by": by} | ({"reference": reference} if reference else {})
        try:
            return await move(parts, call, (Draft("effect.reversed", body),), releasing(parts, call), taken_back=REVERSED)
        except Conflict:
            continue
    raise NotSettled


def _refuse_unsettled(call: Call, what: str) -> None:
    if not call.final:
        raise NotSettled(f"the call is {call.state}: it can be {what} only once it has settled")


def _nothing(call: Call) -> str:
    if call.taken_back:
        return f"its effect was {call.taken_back} already"
    return f"the call ended without an effect: it is {call.state}"


async def _arguments(parts: Parts, call: Call, action: Action, undo: Undo) -> Mapping[str, Any]:
    other = parts.catalog[undo.action]
    try:
        owner = await parts.vault.by_pseudonym(call.subject)
        kept = owner.open(call.sealed, call.id)
        result = owner.open(call.result, call.id).get("canonical") if call.result else None
        facts = await _facts(parts, call, undo)
        return undo.raw(other, call_id=call.id, arguments=kept["arguments"], result=result, facts=facts)
    except (AuditError, ValueError) as error:
        why = error.message if isinstance(error, AuditError) else str(error)
        raise NoUndo(f"{action.name} can't be undone by {other.name} here: {why}") from None


async def _facts(parts: Parts, call: Call, undo: Undo) -> Mapping[str, Any]:
    """Give the facts that the call was last decided on, where its undo asks for any."""
    from .views import events  # it looks at calls that undo others as well

    if not any(str(source).startswith("facts.") for source in (undo.arguments or {}).values()):
        return {}
    decided = [event for event in await events(parts, call) if event["kind"] == "call.decided"]
    told = decided[-1]["personal"] if decided else {}
    return {name.removeprefix("/inputs/facts/"): value for name, value in told.items() if name.startswith("/inputs/facts/")}


async def _of_person(people: People, call: Call, person: str, customer: str, channel: str) -> Session:
    await people.active(person)
    return Session(tenant=call.tenant, principal=person, kind="person", subject=customer, conversation=call.conversation, channel=channel)
