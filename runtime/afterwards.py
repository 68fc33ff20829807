"""What can be done about a call later: cancel it, resolve it, undo it, take down that the provider has reversed it."""

from __future__ import annotations

from ..actions import Problem
from ..errors import NoUndo, StoreError
from .access import LOCAL_OPERATOR, reader
from .answering import customers_call
from .breaker import Breakers
from .call import Call
from .outcome import Outcome
from .receive import parse
from .resolving import resolve
from .session import Session
from .surface import Surface
from .undoing import reverse, submission_of
from .views import outcome_of
from .votes import cancel


class Afterwards(Surface):
    """The methods of a runtime by which a call is stopped, settled by people, or taken back."""

    tenant: str

    @property
    def breakers(self) -> Breakers:
        """Give this process's breakers, once it has started: how each connector stands, and who listens."""
        return self.parts.breakers

    async def cancel(self, call_id: str, *, by: str = "", subject: str | None = None, reason: str = "") -> Outcome:
        """End a call that has not started: one that waits, cools off, or is to be tried again.

        `by` names who asks; or the host has authenticated its customer as `subject`. Raises `AlreadyStarted`, `AlreadySettled`, and
        `NotAnApprover` for the subject of another call.
        """
        await self.start()
        if subject is not None:
            await customers_call(self.parts, call_id, subject)
        return await outcome_of(self.parts, await cancel(self.parts, call_id, by=by or subject or "somebody", reason=reason))

    async def dead(self, *, most: int = 50, by: str = LOCAL_OPERATOR) -> list[Call]:
        """List the calls of unknown outcome that only a person can settle, the longest dead first; see `resolve`. It is recorded."""
        await self.start()
        who = await reader(self.people, by)
        sql = "SELECT id FROM call WHERE tenant = ? AND dead_at IS NOT NULL ORDER BY dead_at LIMIT ?"
        found = [await self.parts.store.get(call_id) for (call_id,) in await self.parts.store.rows(sql, (self.tenant, most))]
        await self.revealing.list(who, {"calls": "dead"}, len(found))
        return found

    async def resolve(self, call_id: str, *, applied: bool, by: str, reason: str, via: str = "api") -> Outcome:
        """Settle a call of unknown outcome by what a person of the role operator has found out at the provider.

        Raises `NotAnOperator`, `NotUnknown`, `StillRunning`, `AlreadySettled` and `CallNotFound`.
        """
        await self.start()
        return await outcome_of(self.parts, await resolve(self.parts, self.people, call_id, applied=applied, by=by, reason=reason, via=via))

    async def undo(self, call_id: str, *, by: str | Session, reason: str = "", wait: float | None = None, channel: str = "api") -> Outcome:
        """Ask for the call that undoes another: decided, approved and done like any. Gives the outcome of the one that is under way, or done.

        `by` is an active person, or the session of an agent with the same customer. Once it has succeeded, the first call is undone: its
        limits and effect key are free. Raises `NotSettled`, `NothingToUndo`, `NoUndo`, `BadPerson` and `CallNotFound`.
        """
        await self.start()
        if isinstance(by, Session) and by.tenant != self.tenant:
            raise StoreError(f"this runtime serves the tenant {self.tenant!r}, not {by.tenant!r}")
        submission = await submission_of(self.parts, self.people, call_id, asker=by, reason=reason, channel=channel)
        read = parse(self.parts, submission)
        if isinstance(read, Problem):
            raise NoUndo(f"{submission.tool_call.name} does not take what this call gives it: {read.message}")
        with self._journeys.admitted():
            return await self._journeys.submit(submission, *read, wait=wait)

    async def reversed(self, call_id: str, *, by: str, reference: str | None = None, code: str = "reversed") -> Outcome:
        """Take down that the provider has reversed an effect later: the call stays succeeded, its limits and effect key are free.

        `by` names who says so, `reference` the provider's own record of it. Once it was taken down, this changes nothing. Raises
        `NotSettled`, `NothingToUndo` and `CallNotFound`.
        """
        await self.start()
        return await outcome_of(self.parts, await reverse(self.parts, call_id, reference=reference, by=by, code=code))
