"""PostgreSQL with one process and with several: calls a second, with a limit that all of them share and without; and that nothing is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from .limits import EVERYBODY
from .program import Worker, together
from .sampling import Measurement, Sizes, median
from .server import databases, deadlocks, or_said, processes, settings

CALLERS = 16
PROCESSES = (1, 2, 4)
FLOOR, AIM = 600, 1_200
EACH = 1_250
PLAIN, HOT = "no limit", "one limit for everybody"


async def measure(sizes: Sizes, folder: Path) -> Measurement:
    """Take rounds in turn with 1, 2 and 4 processes, 16 callers in all; then let all make the same calls, and count."""
    measured = Measurement(f"PostgreSQL, {CALLERS} callers in all")
    with or_said(measured):
        for what, limit in ((PLAIN, ""), (HOT, EVERYBODY)):
            with databases(1, postgres=True) as (url,), ExitStack() as stack:
                await _over(measured, sizes, folder / what, what, limit, url, stack)
    return measured


async def _over(measured: Measurement, sizes: Sizes, folder: Path, what: str, limit: str, url: str, stack: ExitStack) -> None:
    if what == PLAIN:
        measured.notes.append(f"{settings(url)}.")
    workers: list[Worker] = []
    for _ in range(PROCESSES[-1]):
        workers.append(stack.enter_context(Worker(folder, url=url, limit=limit, keeping=True)))
        workers[-1].ask({})  # the first one makes the tables
    rates: dict[int, list[float]] = {count: [] for count in PROCESSES}
    calls = max(CALLERS, sizes.calls // CALLERS * CALLERS)
    together(workers, {"calls": CALLERS, "callers": CALLERS // len(workers)})
    for _ in range(sizes.rounds):
        for count in PROCESSES:
            helping = [*(worker.process for worker in workers), *processes(url)]
            seconds = await measured.sample(partial(_round, workers[:count], calls), children=helping)
            rates[count].append(calls / seconds)
    for count, each in rates.items():
        rate, held = median(each), what == PLAIN and count == 1
        name = f"{what}, {count} process{'es' if count > 1 else ''}"
        target = f"≥ {FLOOR:,} (aim {AIM:,})" if held else ""
        measured.add(name, rate, "calls/s", target=target, met=rate >= FLOOR if held else None)
    _prove(measured, what, url, workers, calls)


def _round(workers: Sequence[Worker], calls: int) -> float:
    """Share calls and callers out among processes; gives the seconds until the last is done."""
    share = {"calls": calls // len(workers), "callers": CALLERS // len(workers)}
    return max(answer["seconds"] for answer in together(workers, share))


def _prove(measured: Measurement, what: str, url: str, workers: Sequence[Worker], calls: int) -> None:
    """Let every process make the same calls as well, then hold what was executed against what the database and the log say."""
    same = together(workers, {"same": [0, calls], "callers": CALLERS // len(workers)})
    executed = Counter(payment for told in together(workers, {"executed": True}) for _, payment, _ in told["executed"])
    counted = counts(executed, same, calls)
    kept, held = _kept(url)
    report = workers[0].ask({"verify": True})
    if not report["ok"] or report["open"] or kept != held or report["calls"] != kept:
        raise AssertionError(f"{what}: {kept} calls succeeded, {held} effect keys are held, and the log says {report}")
    counted["calls lost"] += abs(len(executed) - kept)
    if what == HOT and _used(url) != EACH * kept:
        raise AssertionError(f"{what}: {kept} calls took {EACH} each, and {_used(url)} are counted as used")
    for name, count in counted.items():
        measured.add(f"{what}, {name}", count, "calls", target="0", met=count == 0)
    measured.notes.append(
        f"{what}: {len(executed):,} effects, {calls:,} of them asked for by all {len(workers)} processes at once; the log of {report['entries']:,} "
        f"events verifies; the server broke {deadlocks(url)} deadlocks."
    )


def counts(executed: Counter[str], same: Sequence[dict[str, Any]], calls: int) -> dict[str, int]:
    """Count what went wrong: effects executed more than once, calls answered with anything but what was done, and those never done."""
    answered = sum(one["done"] + one["repeated"] for one in same)
    shared = sum(f"pay_{number}" in executed for number in range(calls))
    return {
        "executed twice": sum(times > 1 for times in executed.values()),
        "calls lost": (calls - shared) + (calls * len(same) - answered) + abs(calls - sum(one["done"] for one in same)),
    }


def _used(url: str) -> int:
    import psycopg

    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT sum(amount) FROM usage").fetchone()
        return int(row[0]) if row else 0


def _kept(url: str) -> tuple[int, int]:
    import psycopg

    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT (SELECT count(*) FROM call WHERE state = 'succeeded'), (SELECT count(*) FROM effect)").fetchone()
        assert row is not None
        return int(row[0]), int(row[1])
