"""Twice as many calls as can be done, from callers who don't wait for each other: how those let in fare, and how the others are refused."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from remit import Outcome, Runtime

from .sampling import Measurement, Sizes, median, quantile, timed
from .workload import done, next_call, open_runtime, submit_many

CALLERS = 64
TIMES = 2
BOUNDED = 1.5


@dataclass(frozen=True, slots=True)
class Answer:
    """What one caller got: when it was to call, when it did, and when it had the answer, in seconds since the first."""

    due: float
    called: float
    answered: float
    outcome: Outcome

    @property
    def refused(self) -> bool:
        return self.outcome.error is not None and self.outcome.error.code == "overloaded"

    @property
    def says_when(self) -> bool:
        return self.outcome.error is not None and self.outcome.error.retry == "later"


async def measure(sizes: Sizes, folder: Path) -> Measurement:
    """Find out what can be sustained, then offer twice that, and see that everything let in was done."""
    measured = Measurement(f"{TIMES} times the load that can be sustained, SQLite")
    runtime = await open_runtime(folder)
    try:
        await submit_many(runtime, max(CALLERS, sizes.calls // 4), CALLERS)
        rounds = [await measured.sample(lambda: timed(lambda: submit_many(runtime, sizes.calls, CALLERS))) for _ in range(sizes.rounds)]
        rate = sizes.calls / median(rounds)
        answers = await measured.sample(lambda: offer(runtime, TIMES * rate, sizes.seconds))
        conclude(measured, answers, rate, sizes.seconds)
        report = await runtime.verify()
        if not report.ok or report.open_calls:
            raise AssertionError(f"the audit log does not verify: {report.to_json()}")
    finally:
        await runtime.close()
    return measured


async def offer(runtime: Runtime, rate: float, seconds: float) -> list[Answer]:
    """Make so many calls a second for so long, each when it is due and whatever became of those before."""
    begun, answers, running = time.perf_counter(), list[Answer](), set[asyncio.Task[None]]()

    async def one(due: float) -> None:
        called = time.perf_counter() - begun
        outcome = await runtime.submit(*next_call())
        answers.append(Answer(due, called, time.perf_counter() - begun, outcome))

    number = 0
    while (due := number / rate) < seconds:
        if (early := begun + due - time.perf_counter()) > 0:
            await asyncio.sleep(early)  # late, it makes all that are due by now at once, and never waits for a turn between them
        task = asyncio.create_task(one(due))
        running.add(task)
        task.add_done_callback(running.discard)
        number += 1
    await asyncio.gather(*running)
    return answers


def conclude(measured: Measurement, answers: list[Answer], rate: float, seconds: float) -> None:
    """Tell those let in from those refused."""
    refused = [one for one in answers if one.refused]
    let_in = [one for one in answers if not one.refused]
    for one in let_in:
        done(one.outcome)
    took = [one.answered - one.due for one in let_in]
    measured.add("sustained, 64 callers who wait", rate, "calls/s")
    measured.add("offered", len(answers) / seconds, "calls/s")
    measured.add("done meanwhile", len(let_in) / max(one.answered for one in answers), "calls/s")
    measured.add("let in, p50 from when the call was due", 1e3 * quantile(took, 0.5), "ms")
    measured.add("let in, p99 from when the call was due", 1e3 * quantile(took, 0.99), "ms")
    middle, last = (
        quantile([one.answered - one.due for one in let_in if seconds * part <= one.due < seconds * (part + 1 / 3)] or took, 0.99)
        for part in (1 / 3, 2 / 3)
    )
    measured.add("p99 in the last third to that in the middle", last / middle, "times", target=f"≤ {BOUNDED}", met=last / middle <= BOUNDED)
    measured.add("refused", len(refused), "calls")
    if refused:
        quick = [one.answered - one.called for one in refused]
        measured.add("refused, p50 from the call", 1e3 * quantile(quick, 0.5), "ms")
        measured.add("refused, p99 from the call", 1e3 * quantile(quick, 0.99), "ms")
        measured.add("refused, p99 from when the call was due", 1e3 * quantile([one.answered - one.due for one in refused], 0.99), "ms")
        saying = 100 * sum(one.says_when for one in refused) / len(refused)
        measured.add("refused that are told to come back later", saying, "%", target="100 %", met=saying == 100)
        measured.notes.append(f"A refusal says: {refused[0].outcome.to_json()['error']}.")
    else:
        measured.notes.append("Nothing was refused: the line was never full within that time.")
