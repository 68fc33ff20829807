"""What can be asked of the log: a search, a call's story, and who else has read it. Each reading is recorded before it is answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..audit import State
from .access import LOCAL_OPERATOR, Access, Kind, accesses, noted, reader, revealer
from .call import Call
from .requirements import waiting_for
from .searching import Page, search
from .searching_query import Query
from .store import Requirement
from .story import Story, story
from .surface import Surface
from .views import CallView, view


class Reading(Surface):
    """The methods of a runtime by which the log is read."""

    async def search(self, query: Query, *, by: str = LOCAL_OPERATOR, after: str | None = None, most: int = 50) -> Page:
        """Give a page of what meets a query, the newest first; `after` is the cursor of the page before.

        `by` names who reads: an active person. No personal value is in a page. Raises `BadSearch` and `NotAReader`.
        """
        await self.start()
        who = await reader(self.people, by)
        pseudonym = "" if query.subject is None else (await self.parts.vault.subject(query.subject, keep=False)).pseudonym
        page = await search(self.parts, query, pseudonym, after=after, most=most)
        await noted(self.parts, "audit.read", who, sought=query.sought(pseudonym), found=len(page.found))
        return page

    async def story(self, call_id: str, *, by: str = LOCAL_OPERATOR, reveal: bool = False, purpose: str = "") -> Story:
        """Tell everything about a call in order, in plain words; personal values only with `reveal`, a purpose and a role for it.

        Raises `CallNotFound`, `NotAReader` and `PurposeMissing`.
        """
        await self.start()
        who = await (revealer(self.people, by, purpose) if reveal else reader(self.people, by))
        told = await story(self.parts, await self.parts.store.get(call_id), reveal=reveal)
        kind: Kind = "personal.revealed" if reveal else "audit.read"
        found = sum(len(one.personal) for one in told.events) if reveal else len(told.events)
        await noted(self.parts, kind, who, call=call_id, found=found, purpose=purpose)
        return told

    async def opened(self, call_id: str, *, by: str, purpose: str = "") -> None:
        """Record that a call is shown to a person, before it is; raises `CallNotFound`, `NotAReader` and `PurposeMissing`."""
        await self.start()
        await self.revealing.call(await self.parts.store.get(call_id), by, purpose)

    async def view(self, call_id: str, *, by: str = LOCAL_OPERATOR, purpose: str = "") -> CallView:
        """Give everything about a call, for people: what was asked, by whom, what it waits for, and its events. It is recorded.

        `by` is a person who may approve it, or says a `purpose`; raises `CallNotFound`, `NotAReader` and `PurposeMissing`.
        """
        await self.start()
        call = await self.parts.store.get(call_id)
        await self.revealing.call(call, by, purpose)
        return await view(self.parts, call)

    async def calls(
        self, *, state: str | None = None, action: str | None = None, before: int | None = None, most: int = 50, by: str = LOCAL_OPERATOR
    ) -> list[Call]:
        """List calls, the latest first, without personal values. It is recorded, the same list of one reader once an hour."""
        await self.start()
        who = await reader(self.people, by)
        found = await self.parts.store.calls(state=state, action=action, before=before, most=most)
        await self.revealing.list(who, {"calls": {"state": state, "action": action}}, len(found))
        return found

    async def waited_for(self, calls: Iterable[Call]) -> Mapping[str, tuple[str, ...]]:
        """Say for whom each of these calls waits, by its id: a role, or its customer; calls that wait for nobody are left out."""
        await self.start()
        digests = {call.id: call.digest for call in calls if call.state is State.WAITING}
        asked: dict[str, list[Requirement]] = {}
        for one in await self.parts.store.asked_of(list(digests)) if digests else ():
            if one.kind == "step_up" or one.digest == digests[one.call]:
                asked.setdefault(one.call, []).append(one)
        return {name: tuple(each["for"] for each in waiting_for(found)) for name, found in asked.items()}

    async def accesses(self, *, by: str = LOCAL_OPERATOR, most: int = 50) -> list[Access]:
        """List who has read the log, the latest first; this is recorded as well. Raises `NotAReader`."""
        await self.start()
        who = await reader(self.people, by)
        found = await accesses(self.parts, most=most)
        await noted(self.parts, "audit.read", who, sought={"accesses": most}, found=len(found))
        return found
