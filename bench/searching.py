"""A filtered page of the log, and a call's story, over a short and a long history, on either database: neither should grow."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from remit import Money, Runtime
from remit.audit import State
from remit.runtime import Query

from .filling import PEOPLE, fill
from .sampling import Measurement, Sizes, median, quantile, timed
from .server import databases, or_said
from .workload import open_runtime

SHORT = 2_500
"""Calls of four events each."""
TIMES = 60
FEW = 2
"""So many are there of each customer in the short history; more in the long one would be another page."""
ALIKE = "one conversation"
"""It has as many calls as the history was written in parts: in the long one a hundred times as many."""
PAGE_MS, STORY_MS, FLAT = 100, 20, 1.3


def _queries(dice: random.Random) -> dict[str, Callable[[], Query]]:
    """Give the searches: what most entries meet, what few meet, both together, and what nothing meets though much must be looked at."""
    return {
        "everything": Query,
        "one action": lambda: Query(action="refund_payment"),
        "one customer": lambda: Query(subject=f"earlier_customer_{dice.randrange(PEOPLE)}"),
        ALIKE: lambda: Query(conversation=f"earlier_conversation_{dice.randrange(1_000)}"),
        "customer, action, outcome, amount": lambda: Query(
            subject=f"earlier_customer_{dice.randrange(PEOPLE)}",
            action="refund_payment",
            outcome=State.SUCCEEDED,
            at_least=Money(1, "EUR"),
        ),
        "action, outcome, kind": lambda: Query(action="refund_payment", outcome=State.SUCCEEDED, kind="call.intended"),
        "an approver who never was": lambda: Query(action="refund_payment", approver="nobody"),
        "an amount that never was": lambda: Query(at_least=Money(10**12, "EUR")),
    }


async def measure(sizes: Sizes, folder: Path, *, postgres: bool = False) -> Measurement:
    """Search both histories in turn, each search many times: its first page, and one from the middle of the log."""
    where = "PostgreSQL" if postgres else "SQLite"
    measured = Measurement(f"A page of 50 of {4 * sizes.history:,} events beside one of {4 * SHORT:,}, on {where}")
    with or_said(measured), databases(2, postgres=postgres) as urls:
        for name, calls, url in (("short", min(SHORT, sizes.history), urls[0]), ("long", sizes.history, urls[1])):
            await fill(folder / name, calls, url)
        short, long = await open_runtime(folder / "short", url=urls[0]), await open_runtime(folder / "long", url=urls[1])
        try:
            await _searches(measured, short, long)
            await _stories(measured, short, long)
        finally:
            await short.close()
            await long.close()
    measured.notes.append("Each page was recorded in the access log, durably, before it was given: that is in these figures.")
    return measured


async def _searches(measured: Measurement, short: Runtime, long: Runtime) -> None:
    for name, query in _queries(random.Random(5)).items():
        taken: dict[str, list[float]] = {"short": [], "long": []}
        for _ in range(TIMES):
            for which, runtime in (("short", short), ("long", long)):
                asked = query()
                most = FEW if asked.subject or asked.conversation else 50
                page = await _timed(taken[which], lambda runtime=runtime, asked=asked, most=most: runtime.search(asked, most=most))
                if page.after:
                    after = page.after
                    await _timed(
                        taken[which],
                        lambda runtime=runtime, asked=asked, after=after, most=most: runtime.search(asked, after=after, most=most),
                    )
        _add(measured, name, taken, PAGE_MS)


async def _stories(measured: Measurement, short: Runtime, long: Runtime) -> None:
    taken: dict[str, list[float]] = {"short": [], "long": []}
    for which, runtime in (("short", short), ("long", long)):
        calls = [one.call for one in (await runtime.search(Query(action="refund_payment"), most=TIMES)).found if one.call]
        for call in calls:
            await _timed(taken[which], lambda runtime=runtime, call=call: runtime.story(call))
    _add(measured, "a story", taken, STORY_MS)


async def _timed(into: list[float], work: Callable[[], Any]) -> Any:
    given: list[Any] = []

    async def kept() -> None:
        given.append(await work())

    into.append(1e3 * await timed(kept))
    return given[0]


def _add(measured: Measurement, name: str, taken: dict[str, list[float]], most: float) -> None:
    worst, ratio = quantile(taken["long"], 0.99), median(taken["long"]) / median(taken["short"])
    measured.add(f"{name}, short, median", median(taken["short"]), "ms")
    measured.add(f"{name}, long, median", median(taken["long"]), "ms")
    measured.add(f"{name}, long, p99", worst, "ms", target=f"≤ {most:g}", met=worst <= most)
    held = name != ALIKE
    measured.add(f"{name}, long beside short", ratio, "times", target=f"≤ {FLAT}" if held else "", met=ratio <= FLAT if held else None)
