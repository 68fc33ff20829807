"""A runtime in a process of its own, asked by lines of JSON: `python -m bench.worker SETTINGS`. See `program.Worker`.

{"calls": n, "callers": c}      make so many calls             {"seconds": s}
{"same": [a, b], "callers": c}  make the calls a to b-1, which other processes make as well: {"done": d, "repeated": r, "other": [...]}
{"hold": n}                     make calls that wait for an approval   {"calls": [ids]}
{"approve": [ids]}              agree to them here             {"seconds": [from the vote to the handler, each]}
{"executed": true}              what was executed since this was last asked, and when on the machine's monotonic clock
{"verify": true}                check the log                  {"ok": …, "entries": …, "calls": …, "open": …}
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from remit import Outcome, Runtime
from remit.runtime.heap import keep_what_is_there

from . import workload
from .workload import APPROVER, call_of, next_call, open_approved, open_runtime, submit_many

APART = 10_000_000
"""Numbers of calls that a process has to itself."""
executed: list[tuple[str, str, float]] = []


async def main(settings: dict[str, Any]) -> None:
    """Answer each line until there are no more."""
    folder, approved, keeping = Path(settings.pop("folder")), settings.pop("approved", False), settings.pop("keeping", False)
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of each pipeline that a conflict has ended
    workload.number_from(os.getpid() * APART)
    if keeping or approved:
        workload.executing = lambda call, payment: executed.append((call, payment, time.monotonic()))
    runtime = await (open_approved(folder, **settings) if approved else open_runtime(folder, **settings))
    keep_what_is_there()  # as `remit serve` and `remit worker` do
    try:
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await answer(runtime, json.loads(line))), flush=True)
    finally:
        await runtime.close()


async def answer(runtime: Runtime, question: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked."""
    match question:
        case {"calls": int(calls), "callers": int(callers)}:
            begun = time.perf_counter()
            await submit_many(runtime, calls, callers)
            return {"seconds": time.perf_counter() - begun}
        case {"same": [int(first), int(end)], "callers": int(callers)}:
            return await same(runtime, first, end, callers)
        case {"hold": int(calls)}:
            return {"calls": [(await runtime.submit(*next_call())).call_id for _ in range(calls)]}
        case {"approve": [*calls]}:
            return {"seconds": [await approve(runtime, call) for call in calls]}
        case {"executed": _}:
            told, executed[:] = list(executed), []
            return {"executed": told}
        case {"verify": _}:
            report = await runtime.verify()
            return {"ok": report.ok, "entries": report.entries, "calls": report.calls, "open": report.open_calls}
        case _:
            return {"ready": True}


async def same(runtime: Runtime, first: int, end: int, callers: int) -> dict[str, Any]:
    """Make calls that others make at the same time."""
    left = iter(range(first, end))

    async def caller() -> list[Outcome]:
        return [await runtime.submit(*call_of(number)) for number in left]

    outcomes = [one for each in await asyncio.gather(*(caller() for _ in range(callers))) for one in each]
    return {
        "done": sum(one.ok and not one.repeated for one in outcomes),
        "repeated": sum(one.ok and one.repeated for one in outcomes),
        "other": [one.to_json() for one in outcomes if not one.ok],
    }


async def approve(runtime: Runtime, call: str) -> float:
    """Agree to a call whose action is here; gives the seconds until its handler ran."""
    begun = time.monotonic()
    outcome = await runtime.vote(call, person=APPROVER, answer="approve")
    if not outcome.ok:
        raise AssertionError(f"an approved call {outcome.state}: {outcome.to_json()}")
    return next(when for one, _, when in reversed(executed) if one == call) - begun


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
