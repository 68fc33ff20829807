"""From an approval to the handler, on PostgreSQL: where the process that takes the vote has the action, and where only another one has it."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import ExitStack
from pathlib import Path

from .program import Worker
from .sampling import Measurement, Sizes, median, quantile
from .server import databases, or_said, processes
from .workload import APPROVER, open_approved

HERE, ELSEWHERE = 50.0, 600.0
APART = 0.5
"""Seconds over which votes are spread: a queue that is polled must not be met at its best or worst each time."""
LONGEST = 30.0


async def measure(sizes: Sizes, folder: Path) -> Measurement:
    """Hold calls, agree to each in one place and then in the other, and compare with when its handler ran."""
    measured = Measurement("From an approval to the handler, on PostgreSQL")
    with or_said(measured), databases(1, postgres=True) as (url,), ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        worker = stack.enter_context(Worker(folder, url=url, approved=True))
        worker.ask({})
        helping = [worker.process, *processes(url)]
        taken = await measured.sample(lambda: _here(worker, _held(worker, sizes)), children=helping)
        _add(measured, "the process that takes the vote has the action", taken, HERE)
        taken = await measured.sample(lambda: _elsewhere(folder, url, worker, _held(worker, sizes)), children=helping)
        _add(measured, "only another process has it", taken, ELSEWHERE)
    measured.notes.append("Each is from the vote's being handed in; the clock is the machine's monotonic one, which processes share.")
    return measured


def _held(worker: Worker, sizes: Sizes) -> list[str]:
    """Hold calls anew for each sample: a call is agreed to once."""
    return list(worker.ask({"hold": sizes.approvals})["calls"])


def _here(worker: Worker, calls: list[str]) -> list[float]:
    return list(worker.ask({"approve": calls})["seconds"])


async def _elsewhere(folder: Path, url: str, worker: Worker, calls: list[str]) -> list[float]:
    """Agree, in a process that lacks the action, and find out when the worker executed each."""
    runtime = await open_approved(folder, url, lacking=True)
    voted: dict[str, float] = {}
    ran: dict[str, float] = {}
    try:
        for call in calls:
            await asyncio.sleep(random.uniform(0, APART))
            voted[call] = time.monotonic()
            await runtime.vote(call, person=APPROVER, answer="approve")
        give_up = time.monotonic() + LONGEST
        while ran.keys() != voted.keys():
            if time.monotonic() > give_up:
                raise AssertionError(f"{len(voted) - len(ran)} of {len(voted)} approved calls were not executed within {LONGEST:g} s")
            await asyncio.sleep(0.1)
            told = await asyncio.to_thread(worker.ask, {"executed": True})
            ran |= {call: when for call, _, when in told["executed"] if call in voted}
    finally:
        await runtime.close()
    return [ran[call] - voted[call] for call in calls]


def _add(measured: Measurement, who: str, seconds: list[float], most: float) -> None:
    p50 = 1e3 * median(seconds)
    measured.add(f"{who}, p50", p50, "ms", target=f"≤ {most:g} ms", met=p50 <= most)
    measured.add(f"{who}, p99", 1e3 * quantile(seconds, 0.99), "ms")
