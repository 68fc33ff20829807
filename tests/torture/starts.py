"""The states from which a call is taken up: each is brought about, and then gone on from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from remit import Runtime
from remit.audit import State
from remit.errors import CallError
from tests.torture.paying import ACTIONS, LARGE, SMALL, asks, session
from tests.torture.steered import Steered, order

APPROVER, OPERATOR = "fay", "olga"


@dataclass(frozen=True, slots=True)
class Case:
    """One call on its way: of which kind its effect is, at which payment of which customer, and the time it lives in."""

    runtime: Runtime
    kind: str
    customer: str
    payment: str
    url: str
    time: Steered

    @property
    def action(self) -> str:
        """Name the action."""
        return ACTIONS[self.kind].name

    async def ask(self) -> tuple[str, State]:
        """Ask as a model does: the same again gives the call that there is."""
        outcome = await self.runtime.submit(asks(self.kind, self.payment), session(self.customer))
        assert outcome.call_id, outcome
        return outcome.call_id, outcome.state

    async def approve(self, call_id: str) -> None:
        """Let the approver agree, if that is still asked for."""
        try:
            await self.runtime.vote(call_id, person=APPROVER, answer="approve")
        except CallError:
            return

    async def end(self, call_id: str, *, hurry: bool = False) -> State:
        """Wait until nothing more becomes of the call by itself; in a `hurry`, while it only waits for its time, that comes at once."""
        ends = {State.SUCCEEDED, State.FAILED, State.DENIED, *([State.UNKNOWN] if self.kind == "once" else [])}
        parts = self.runtime.parts
        async with asyncio.timeout(20):
            while (call := await parts.store.get(call_id)).state not in ends:
                # Never while it is on its way: its lease would be over before it was sent.
                if hurry and call.state in {State.READY, State.UNKNOWN} and call.wake_at is not None:
                    self.time.pass_(max(0, call.wake_at - parts.clock.now()) / 1_000_000)
                await asyncio.sleep(0.02)
        return call.state


async def _none(_case: Case) -> None:
    return


async def _fresh(case: Case, _call: None) -> None:
    call_id, _ = await case.ask()
    await case.end(call_id)


async def _wait(case: Case) -> str:
    call_id, state = await case.ask()
    assert state is State.WAITING, state
    return call_id


async def _approved(case: Case, call_id: str) -> None:
    await case.approve(call_id)
    await case.end(call_id)


def _after(fault: str, rests_as: State) -> Callable[[Case], Awaitable[str]]:
    async def prepare(case: Case) -> str:
        await order(case.url, fault, seconds=500)
        call_id, state = await case.ask()
        assert state is rests_as, state
        return call_id

    return prepare


async def _due(case: Case, call_id: str) -> None:
    case.time.pass_(600)
    await case.end(call_id)


def _resolved(*, applied: bool) -> Callable[[Case, str], Awaitable[None]]:
    async def resolve(case: Case, call_id: str) -> None:
        case.time.pass_(600)
        await case.runtime.resolve(call_id, applied=applied, by=OPERATOR, reason="looked at the provider")

    return resolve


@dataclass(frozen=True, slots=True)
class Start:
    """How a state is brought about, before anything is counted, and how the call goes on from there; `amount` is the payment's."""

    kinds: tuple[str, ...]
    prepare: Callable[[Case], Awaitable[str | None]]
    go_on: Callable[[Case, str | None], Awaitable[None]]
    amount: int = SMALL


STARTS = {
    "fresh": Start(("read", "keyed", "lookup", "once"), _none, _fresh),
    "approved": Start(("read", "keyed", "lookup", "once"), _wait, _approved, LARGE),
    "ready again": Start(("keyed", "lookup", "once"), _after("too_many", State.READY), _due),
    "unknown, applied": Start(("keyed", "lookup", "once"), _after("answer_lost", State.UNKNOWN), _due),
    "unknown, not applied": Start(("keyed", "lookup", "once"), _after("dropped", State.UNKNOWN), _due),
    "resolved as applied": Start(("once",), _after("answer_lost", State.UNKNOWN), _resolved(applied=True)),
    "resolved as not applied": Start(("once",), _after("dropped", State.UNKNOWN), _resolved(applied=False)),
}
