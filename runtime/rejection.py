"""Calls with unusable arguments: recorded, answered with how to repair them, and kept from flooding anything.

Three unusable calls to one action in a conversation turn into `retry: never` until the customer's next turn. Beyond 20 a
minute and principal they are no longer recorded one by one but counted in one event.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from ..actions import Problem
from ..audit import State
from .call import Call
from .clock import to_text
from .receive import Submission, readable_name
from .statements import add_call
from .work import Draft, Parts, apart, new_id, record

UNUSABLE_A_TURN = 3
RECORDED_A_MINUTE = 20
MINUTE = 60_000_000
REMEMBERED = 50_000


@dataclass(slots=True)
class _Window:
    since: int
    kind: str
    count: int = 0


class Rejections:
    """Count unusable calls by conversation and by principal, in bounded memory."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._by_turn: OrderedDict[tuple[str, ...], int] = OrderedDict()
        self._by_principal: OrderedDict[str, _Window] = OrderedDict()

    def capped(self, submission: Submission, problem: Problem) -> Problem:
        """Turn the third unusable call to one action in one turn into `never`."""
        session = submission.session
        name = readable_name(submission.tool_call.name) or "?"
        place = (session.principal, session.conversation, name, str(session.turn))
        count = self._by_turn[place] = self._by_turn.pop(place, 0) + 1
        _bound(self._by_turn)
        if count < UNUSABLE_A_TURN:
            return problem
        message = f"{problem.message} This was unusable call {count} to this action: stop, and tell the customer that it can't be done now."
        return replace(problem, retry="never", message=message)

    async def record(self, submission: Submission, problem: Problem) -> str | None:
        """Write the rejected call, or only count it; gives the call's id if there is one."""
        now, principal = self._parts.clock.now(), submission.session.principal
        window = self._by_principal.get(principal)
        if window is None or now - window.since >= MINUTE:
            ended, window = window, _Window(now, submission.session.kind)
            self._by_principal[principal] = window
            _bound(self._by_principal)
            await self._flush(principal, ended)
        window.count += 1
        if window.count > RECORDED_A_MINUTE:
            return None
        return await self._write(submission, problem, now)

    async def flush(self) -> None:
        """Write the counts that are still open: at close, and as their minute ends."""
        for principal, window in list(self._by_principal.items()):
            del self._by_principal[principal]
            await self._flush(principal, window)

    async def flush_ended(self) -> None:
        """Write the counts whose minute has ended."""
        now = self._parts.clock.now()
        for principal, window in list(self._by_principal.items()):
            if now - window.since >= MINUTE:
                del self._by_principal[principal]
                await self._flush(principal, window)

    async def _flush(self, principal: str, window: _Window | None) -> None:
        if window is None or window.count <= RECORDED_A_MINUTE:
            return
        body = {"counted": window.count - RECORDED_A_MINUTE, "since": to_text(window.since)}
        await self._parts.store.commit(apart(self._parts, "call.rejected", body, principal={"id": principal, "kind": window.kind}))

    async def _write(self, submission: Submission, problem: Problem, now: int) -> str:
        parts, session = self._parts, submission.session
        owner = await parts.vault.subject(session.subject)
        call_id, name = new_id("call", now), readable_name(submission.tool_call.name) or ""
        action = parts.catalog.get(name)
        call = Call(
            tenant=session.tenant,
            id=call_id,
            version=0,
            state=State.REJECTED,
            action=name,
            action_version=action.version if action else "",
            schema_digest=action.schema_digest if action else "",
            kind=action.effect.kind.value if action else "",
            principal=session.principal,
            principal_kind=session.kind,
            subject=owner.pseudonym,
            conversation=session.conversation,
            channel=session.channel,
            model=session.model,
            assurance=session.assurance,
            idempotency=None,
            fingerprint=None,
            digest="",
            effect_key=None,
            ordinal=0,
            sealed=b"",
            created_at=now,
            updated_at=now,
            code=problem.code,
            result=owner.seal({"error": problem.to_json()}, call_id),
        )
        body = {"code": problem.code, "fields": len(problem.field_errors), "retry": problem.retry}
        draft = Draft("call.rejected", body, {"/problem": problem.to_json()}, (State.NEW, State.REJECTED))
        call, writes = record(parts, call, (draft,), owner)
        await parts.store.commit([add_call(call), *writes])
        return call_id


def _bound(counts: OrderedDict[str, _Window] | OrderedDict[tuple[str, ...], int]) -> None:
    while len(counts) > REMEMBERED:
        counts.popitem(last=False)
