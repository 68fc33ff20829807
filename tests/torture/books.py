"""Compare what the provider did with what the log says: both ways, matched by the call that each refund names."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from remit import Runtime
from remit.audit import State


@dataclass(frozen=True, slots=True)
class Refunded:
    """One refund that the provider made, the payment that it was of, and the call that it names."""

    payment: str
    call: str | None


@dataclass(frozen=True, slots=True)
class Books:
    """What does not agree; nothing should. `unknown` are the effects that the log itself says it does not know, by kind.

    `hidden` are those of them that no person is told of.
    """

    doubles: dict[str, int]
    lost: list[str]
    unsaid: list[Refunded]
    open: dict[str, str]
    findings: list[str]
    hidden: list[str]
    unknown: Counter[str]
    calls: int
    again: int

    @property
    def agree(self) -> bool:
        """Say whether nobody was paid twice, nothing is lost, nothing is unsaid or left open, and the verifier is content."""
        return not (self.doubles or self.lost or self.unsaid or self.open or self.findings or self.hidden)


def doubles(refunds: Iterable[Refunded]) -> dict[str, int]:
    """Name the payments that were refunded more than once, and how often."""
    return {payment: count for payment, count in Counter(one.payment for one in refunds).items() if count > 1}


async def compare(runtime: Runtime, refunds: Iterable[Refunded], *, settled: bool = False) -> Books:
    """Compare every refund with the log, and every call of the log with the refunds.

    Once `settled`, whatever only a person can find out must be on the list of what people are to find out.
    """
    refunds = list(refunds)
    calls = {call.id: call for call in await runtime.calls(most=1_000_000)}
    kinds = {action.name: action.effect.kind.value for action in runtime.catalog.values()}
    paid = {(one.call, one.payment) for one in refunds}
    lost, left = [], {}
    unknown = [call.id for call in calls.values() if call.state is State.UNKNOWN and kinds[call.action] == "once"]
    for call in calls.values():
        kind = kinds[call.action]
        if not call.final and call.id not in unknown:
            left[call.id] = f"{kind} {call.state.value}"
        if call.state is State.SUCCEEDED and kind != "read":
            payment = (await runtime.view(call.id)).arguments["payment_id"]
            if (call.id, payment) not in paid:
                lost.append(call.id)
    unsaid = [one for one in refunds if one.call not in calls or calls[one.call].state not in {State.SUCCEEDED, State.UNKNOWN}]
    hidden = await _hidden(runtime, unknown) if settled else []
    report = await runtime.verify()
    again = sum(call.attempt > 1 for call in calls.values())
    found = [str(one) for one in report.findings]
    return Books(doubles(refunds), lost, unsaid, left, found, hidden, Counter({"once": len(unknown)}), len(calls), again)


async def _hidden(runtime: Runtime, unknown: Iterable[str]) -> list[str]:
    """Wait a moment for what is unknown to be put before people; gives what is not."""
    for _ in range(200):
        told = {call.id for call in await runtime.dead(most=1_000_000)}
        if not (hidden := [one for one in unknown if one not in told]):
            break
        await asyncio.sleep(0.05)
    return hidden
