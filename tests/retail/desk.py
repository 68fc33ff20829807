"""A desk to try: the example's actions and policies over the test bed in memory, a clock that moves when told to, and people who answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from examples.retail.shop import changes, lookups
from examples.retail.shop.database import Database
from remit import Outcome, Runtime, Session
from remit.audit import State
from tests.retail.bed import Bed
from tests.runtime.bank import FakeTime

POLICIES = Path(__file__).parents[2] / "examples" / "retail" / "policies"
FLOOR = "flo"


class Desk:
    """`shop` is the database that the actions change; it begins anew with `start_over`."""

    def __init__(self, bed: Bed, folder: Path, actions: Iterable[Any], policies: Path) -> None:
        self._bed, self._time, self._numbers = bed, FakeTime(), count(1)
        self.shop = Database(bed.tables)
        self.runtime = Runtime(actions, policies=policies, database=folder / "remit.db", resources=[self.shop], clock=self._time.clock)

    def start_over(self) -> None:
        self.shop.tables = Database(self._bed.tables).tables

    def session(self, customer: str, conversation: str | None = None, *, assurance: int = 1) -> Session:
        """Log a customer in, each time in a conversation of its own where none is named."""
        conversation = conversation or f"chat-{next(self._numbers)}"
        self.shop.open_conversation(conversation, customer)
        return Session(principal="desk-agent", subject=customer, conversation=conversation, assurance=assurance)

    async def ask(self, who: Session | str, name: str, arguments: dict[str, Any]) -> Outcome:
        """Let the model ask, and nobody answer."""
        who = self.session(who) if isinstance(who, str) else who
        return await self.runtime.submit({"id": f"call_{next(self._numbers)}", "name": name, "arguments": arguments}, who)

    async def done(self, who: Session | str, name: str, arguments: dict[str, Any]) -> Outcome:
        """Let the model ask, and the customer or the person on the floor agree; then two seconds pass."""
        who = self.session(who) if isinstance(who, str) else who
        outcome = await self.ask(who, name, arguments)
        while outcome.state is State.WAITING:
            if outcome.waiting[0]["requirement"] == "confirmation":
                outcome = await self.runtime.confirm(outcome.call_id, subject=who.subject)
            else:
                outcome = await self.runtime.vote(outcome.call_id, person=FLOOR, answer="approve")
        self.pause()
        return outcome

    def pause(self) -> None:
        """Let the time pass in which a change keeps the next one out."""
        self._time.pass_(seconds=2)

    async def denials(self, outcome: Outcome) -> set[str]:
        """Name the rules that denied a call; none may be one that could not be evaluated."""
        decision = await self.decision(outcome)
        assert not decision.get("errors")
        return {match["rule"] for match in decision["matched"] if match["then"] == "deny"}

    async def decision(self, outcome: Outcome) -> dict[str, Any]:
        seen = await self.runtime.view(outcome.call_id)
        return next((event["body"]["decision"] for event in reversed(seen.events) if event["kind"] == "call.decided"), {"matched": []})


@asynccontextmanager
async def opened(bed: Bed, folder: Path, actions: Iterable[Any] = (lookups, changes), policies: Path = POLICIES) -> AsyncIterator[Desk]:
    """Open a desk."""
    desk = Desk(bed, folder, actions, policies)
    async with desk.runtime:
        await desk.runtime.people.add(FLOOR, roles=["floor"])
        yield desk
