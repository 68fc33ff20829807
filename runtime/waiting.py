"""What can be done about a call while it waits: see what it asks, answer it, prove who one is, change what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .access import LOCAL_OPERATOR, roles_asked
from .amend import amend
from .answering import Answer
from .confirmation import Confirmation, confirm, confirmation
from .inbox import most_urgent
from .outcome import Outcome
from .review import Review, review
from .step_up import CodeSent, send_code, step_up
from .surface import Surface
from .views import CallView, outcome_of, view
from .votes import vote


class Waiting(Surface):
    """The methods of a runtime by which approvers and customers answer a call that waits for them."""

    async def inbox(self, *, person: str | None = None) -> list[CallView]:
        """List the calls that somebody is asked about now, or that `person` could approve: the 200 most urgent ones.

        That they were shown is recorded, of each call once an hour and when it has changed.
        """
        await self.start()
        found = await most_urgent(self.parts, self.people, person)
        await self.revealing.inbox(found, person or LOCAL_OPERATOR)
        return [await view(self.parts, call) for call in found]

    async def vote(
        self,
        approval: str,
        *,
        person: str,
        answer: Answer,
        reason: str = "",
        digest: str | None = None,
        shown: str | None = None,
        via: str = "api",
    ) -> Outcome:
        """Count a person's answer to an approval (its id, or its call's), and take the call on from there."""
        await self.start()
        seen = {"digest": digest, "shown": shown}
        voted = await vote(self.parts, self.people, approval, person=person, answer=answer, reason=reason, via=via, **seen)
        return await outcome_of(self.parts, await self._journeys.advance(voted.id))

    async def confirm(
        self, call_id: str, *, subject: str, answer: Answer = "approve", digest: str | None = None, shown: str | None = None
    ) -> Outcome:
        """Count the customer's own answer; the host has authenticated them as `subject`, through a channel that no model reaches."""
        await self.start()
        confirmed = await confirm(self.parts, call_id, subject=subject, answer=answer, digest=digest, shown=shown)
        return await outcome_of(self.parts, await self._journeys.advance(confirmed.id))

    async def confirmation(self, call_id: str, *, subject: str) -> Confirmation:
        """Give what the customer is asked to confirm, in their own language; the host has authenticated them as `subject`."""
        await self.start()
        return await confirmation(self.parts, call_id, subject=subject)

    async def send_code(self, call_id: str, *, subject: str) -> CodeSent:
        """Send the customer a one-time code; raises `CodeNotSent` where none could be sent, or too many were."""
        await self.start()
        return await send_code(self.parts, call_id, subject=subject)

    async def step_up(self, call_id: str, *, subject: str, code: str | None = None, token: str | None = None) -> Outcome:
        """Take the customer's one-time code, or a token of the host, as proof, and take the call on; raises `CodeNotAccepted`."""
        await self.start()
        proved = await step_up(self.parts, call_id, subject=subject, code=code, token=token)
        return await outcome_of(self.parts, await self._journeys.advance(proved.id))

    async def amend(self, call_id: str, *, by: str, arguments: Mapping[str, Any], reason: str = "", digest: str | None = None) -> Outcome:
        """Put arguments, as a model sends them, in place of those of a waiting call, and decide it anew; raises `NotAmended`."""
        await self.start()
        amended = await amend(self.parts, self.people, call_id, by=by, arguments=arguments, reason=reason, digest=digest)
        return await outcome_of(self.parts, await self._journeys.advance(amended.id))

    async def review(self, call_id: str, *, by: str = LOCAL_OPERATOR, purpose: str = "") -> Review:
        """Give what an approver needs to know: the call, why it stopped, what it does to the limits, and what was done before.

        It is recorded. `by` is a person who may approve it, or says a `purpose`; raises `NotAReader` and `PurposeMissing`.
        """
        await self.start()
        call = await self.parts.store.get(call_id)
        await self.revealing.call(call, by, purpose)
        return await review(self.parts, call)

    async def roles_asked(self, call_id: str) -> frozenset[str]:
        """Name the roles whose people approvals of a call ask for, or will once they are widened; raises `CallNotFound`."""
        await self.start()
        return await roles_asked(self.parts, (await self.parts.store.get(call_id)).id)

    @property
    def link_key(self) -> bytes:
        """Give the key (32 bytes) that seals links to a confirmation; it can be had once the runtime has started."""
        return self.parts.vault.hash("key", "link")
