"""The customer's own yes or no, out of the model's reach: what it is shown, bound to the digest, and its one answer."""

from __future__ import annotations

from dataclasses import dataclass

from ..actions import Summary, render
from ..audit import State
from ..errors import ApprovalNotOpen, AuditError, CallNotFound
from .answering import TRIES, Answer, customers_call, decline, grant, open_for
from .call import Call
from .clock import to_text
from .journal import Conflict
from .views import until_of
from .work import Draft, Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What a customer is asked to agree to, and until when (RFC 3339); `state` is open, approved, used, rejected, voided or expired.

    While the call cools off, whatever it was asked, the state is "delayed", and until then the customer can cancel it. `digest` names what would run, `shown` what the customer is shown of it, facts such as a price included.
    """

    call: str
    digest: str
    shown: str
    until: str
    summary: Summary
    state: str


async def confirmation(parts: Parts, call_id: str, *, subject: str) -> Confirmation:
    """Give what the customer is shown; raises `NotAnApprover` for anybody else, `ApprovalNotOpen` where nothing was ever asked."""
    call = await customers_call(parts, call_id, subject)
    cools_off = call.state is State.READY and until_of(parts, call)
    asked = [one for one in await parts.store.requirements(call.id) if one.kind == "confirmation"]
    if cools_off or (call.delayed_until and not asked):
        return await _delayed(parts, call, call.delayed_until or 0, "delayed" if cools_off else "used")
    if not asked:
        raise ApprovalNotOpen(f"call {call.id} waits for no confirmation")
    last = next((one for one in asked if one.state == "open"), asked[-1])
    over = last.state == "open" and parts.clock.now() >= last.deadline_at
    return Confirmation(
        call=call.id,
        digest=last.digest,
        shown=last.shown,
        until=to_text(last.deadline_at),
        summary=await summary_of(
            parts, await parts.store.get(call.id)
        ),  # no older than `shown`, which another process may just have changed
        state="expired" if over else last.state,
    )


async def _delayed(parts: Parts, call: Call, until: int, state: str) -> Confirmation:
    summary = await summary_of(parts, call)
    return Confirmation(call=call.id, digest=call.digest, shown="", until=to_text(until), summary=summary, state=state)


async def summary_of(parts: Parts, call: Call) -> Summary:
    """Render a stored call exactly as it was asked: by its sealed arguments and facts, in the customer's language."""
    try:
        kept = (await parts.vault.by_pseudonym(call.subject)).open(call.sealed, call.id)
    except AuditError:
        raise CallNotFound from None  # erased, or the row was changed
    if (action := parts.catalog.get(call.action)) is None:
        raise CallNotFound(f"{call.action} is not registered here")
    return render(action, kept["arguments"], kept.get("facts", {}), kept["locale"], after=kept["after"])


async def confirm(parts: Parts, call_id: str, *, subject: str, answer: Answer, digest: str | None, shown: str | None) -> Call:
    """Count the customer's own answer, authenticated by the host as that subject; a model can't get here.

    One answer is to all that the call asks the customer now. Raises `NotAnApprover` for anybody else, `ApprovalNotOpen` (answered,
    expired, or another digest or sight of it than is open now) and `CallNotFound`.
    """
    for _ in range(TRIES):
        call = await customers_call(parts, call_id, subject)
        digest = call.digest if digest is None else digest  # a further try must not meet what it was amended to meanwhile
        asked = await open_for(parts, call, "confirmation", digest=digest, shown=shown)
        told = {"shown": asked[0].shown} if asked[0].shown else {}  # what was asked by an earlier version kept none
        said = Draft("call.confirmed", {"digest": call.digest, "answer": answer, **told})
        try:
            return await (grant(parts, call, said, asked) if answer == "approve" else decline(parts, call, said, asked[0]))
        except Conflict:
            continue
    raise ApprovalNotOpen
