"""What proof costs: calls with and without the sequencer in turn, how long an event waits for its checkpoint, bytes stored for each call."""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from remit import Runtime

from .filling import fill
from .overload import offer
from .sampling import Measurement, Sizes, median, quantile, timed
from .server import databases, or_said
from .throughput import ratio_of
from .workload import done, open_runtime, submit_many

CALLERS = {"SQLite": 64, "PostgreSQL": 16}
COSTS = 10
"""Percent of the calls a second that proof may cost."""
RATE, WITHIN = 500, 1_000
"""Calls a second that are offered, and the milliseconds within which their events must be signed."""
LOOK = 0.005
"""Seconds between two looks for a new checkpoint."""
STORED = 10_000


async def measure(sizes: Sizes, folder: Path, *, postgres: bool = False) -> Measurement:
    """Measure all three on one database; what was measured must verify."""
    where = "PostgreSQL" if postgres else "SQLite"
    measured = Measurement(f"What proof costs, {where}")
    with or_said(measured), databases(2, postgres=postgres) as urls:
        runtime = await open_runtime(folder / "calls", url=urls[0])
        try:
            await _overhead(measured, sizes, runtime, CALLERS[where])
            await _waiting(measured, sizes, runtime)
            report = await runtime.verify()
            if not report.ok or report.open_calls or report.uncovered:
                raise AssertionError(f"the audit log does not verify: {report.to_json()}")
        finally:
            await runtime.close()
        await _stored(measured, min(STORED, sizes.history), folder / "stored", urls[1])
    return measured


async def _overhead(measured: Measurement, sizes: Sizes, runtime: Runtime, callers: int) -> None:
    rates: dict[str, list[float]] = {"with the sequencer": [], "without": []}
    await submit_many(runtime, max(callers, sizes.calls // 4), callers)
    for number in range(2 * sizes.rounds):
        for name in list(rates) if number % 2 else reversed(rates):  # whoever comes first in one pair comes second in the next

            async def one_round(name: str = name) -> float:
                if name == "without":
                    async with _unproved(runtime):
                        return await timed(lambda: submit_many(runtime, sizes.calls, callers))
                return await timed(lambda: submit_many(runtime, sizes.calls, callers))

            rates[name].append(sizes.calls / await measured.sample(one_round))
            await runtime._sequencer.catch_up()  # noqa: SLF001 - what the round without it left must not be the next round's work
    for name, each in rates.items():
        measured.add(f"{callers} callers, {name}", median(each), "calls/s")
    costs = 100 * (1 - ratio_of(rates["with the sequencer"], rates["without"]))
    measured.add("proof costs, median of the pairs", costs, "%", target=f"≤ {COSTS} %", met=costs <= COSTS)


@asynccontextmanager
async def _unproved(runtime: Runtime) -> AsyncIterator[None]:
    """Let nothing be placed or signed while the block lasts. For comparison only: Remit itself has no such option."""
    sequencer = runtime._sequencer  # noqa: SLF001

    async def rests() -> None:
        pass

    sequencer.attempt = rests  # type: ignore[method-assign]
    try:
        yield
    finally:
        del sequencer.attempt


async def _waiting(measured: Measurement, sizes: Sizes, runtime: Runtime) -> None:
    """Offer calls at a steady rate, and see, from outside, when the checkpoint over each of their events is there."""
    store, clock = runtime.parts.store, runtime.parts.clock
    (before,) = await store.row("SELECT size FROM log_head WHERE tenant = ?", (store.tenant,))
    seen: list[tuple[int, int]] = []

    async def watch() -> None:
        while True:
            (size,) = await store.row("SELECT max(size) FROM checkpoint WHERE tenant = ?", (store.tenant,))
            if not seen or size > seen[-1][0]:
                seen.append((size, clock.now()))
            await asyncio.sleep(LOOK)

    watching = asyncio.create_task(watch())
    answers = await measured.sample(lambda: offer(runtime, RATE, sizes.seconds))
    for one in answers:
        done(one.outcome)
    await runtime._sequencer.catch_up()  # noqa: SLF001
    await asyncio.sleep(10 * LOOK)
    watching.cancel()
    sizes_seen = [size for size, _ in seen]
    sql = "SELECT leaf_index, at FROM event WHERE tenant = ? AND leaf_index >= ?"
    waited = [(seen[bisect.bisect_right(sizes_seen, place)][1] - at) / 1e3 for place, at in await store.rows(sql, (store.tenant, before))]
    rate = len(answers) / max(one.answered for one in answers)
    measured.add(f"done of {RATE} calls a second", rate, "calls/s")
    measured.add("event to checkpoint, p50", quantile(waited, 0.5), "ms")
    worst = quantile(waited, 0.99)
    measured.add("event to checkpoint, p99", worst, "ms", target=f"≤ {WITHIN} ms", met=worst <= WITHIN)
    measured.notes.append(f"{len(waited):,} events under {len(seen) - 1:,} checkpoints.")


async def _stored(measured: Measurement, calls: int, folder: Path, url: str) -> None:
    """Weigh a database before and after a history by the real canonical writer."""
    await (await open_runtime(folder, url=url)).close()
    before = _weight(folder, url)
    await fill(folder, calls, url)
    after = _weight(folder, url)
    measured.add("stored for each call, indexes included", (sum(after.values()) - sum(before.values())) / calls, "bytes")
    parts = sorted(((after[name] - before.get(name, 0)) / calls, name) for name in after)
    measured.notes.append("Bytes for each call: " + ", ".join(f"{name} {each:,.0f}" for each, name in reversed(parts) if each >= 1) + ".")


def _weight(folder: Path, url: str) -> dict[str, int]:
    if not url:
        return {"the database's file": (folder / "remit.db").stat().st_size}
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM")
        sql = "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        return dict(connection.execute(sql).fetchall())
