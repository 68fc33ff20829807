"""Compare what the provider did with what the log says: both ways, matched by the call that each refund names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from remit import Runtime
from remit.audit import State


@dataclass(frozen=True, slots=True)
class Refunded:
    """One refund that the provider made, the payment that it was of, and the call that it names."""

    payment: str
    call: str | None


@dataclass(frozen=True, slots=True)
class Books:
    """What does not agree; nothing should. `unknown` are the effects that the log itself says it does not know, by kind."""

    doubles: dict[str, int]
    lost: list[str]
    unsaid: list[Refunded]
    open: dict[str, str]
    findings: list[str]
    unknown: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    again: int = 0

    @property
    def agree(self) -> bool:
        """Say whether nobody was paid twice, nothing is lost, nothing is unsaid or left open, and the verifier is content."""
        return not (self.doubles or self.lost or self.unsaid or self.open or self.findings)


def doubles(refunds: Iterable[Refunded]) -> dict[str, int]:
    """Name the payments that were refunded more than once, and how often."""
    return {payment: count for payment, count in Counter(one.payment for one in refunds).items() if count > 1}


async def compare(runtime: Runtime, refunds: Iterable[Refunded]) -> Books:
    """Compare every refund with the log, and every call of the log with the refunds."""
    refunds = list(refunds)
    calls = {call.id: call for call in await runtime.calls(most=1_000_000)}
    kinds = {action.name: action.effect.kind.value for action in runtime.catalog.values()}
    paid = {(one.call, one.payment) for one in refunds}
    lost, unknown, left = [], Counter[str](), {}
    for call in calls.values():
        kind = kinds[call.action]
        if call.state is State.UNKNOWN and kind == "once":
            unknown[kind] += 1  # said to be so; nobody but a person can find it out
        elif not call.final:
            left[call.id] = f"{kind} {call.state.value}"
        if call.state is State.SUCCEEDED and kind != "read":
            payment = (await runtime.view(call.id)).arguments["payment_id"]
            if (call.id, payment) not in paid:
                lost.append(call.id)
    unsaid = [one for one in refunds if one.call not in calls or calls[one.call].state not in {State.SUCCEEDED, State.UNKNOWN}]
    report = await runtime.verify()
    again = sum(call.attempt > 1 for call in calls.values())
    return Books(doubles(refunds), lost, unsaid, left, [str(one) for one in report.findings], unknown, len(calls), again)
