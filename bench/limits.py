"""What a limit costs: 64 callers against one, beside the same calls without; and over a full window beside an empty one, in turn."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from remit import Runtime
from remit.runtime.series import SLICES, width_of
from remit.runtime.statements import Write

from .sampling import Measurement, Sizes, median, timed
from .workload import open_runtime, submit, submit_many

CALLERS = 64
FLOOR = 700
FLAT = 1.3
WINDOW = 30 * 86_400
EVERYBODY = f"{{id: month, measure: arguments.amount, currency: EUR, window: {WINDOW // 86_400}d, at_most: 1000000000000}}"
EACH = EVERYBODY.replace("id: month", "id: month, per: subject.id")
EMPTY, FULL = "one limit for everybody, empty window", "one limit for everybody, full window"


async def fill(runtime: Runtime, reservations: int) -> None:
    """Fill the window of the limit for everybody: so many reservations, spread over all its slices."""
    store, now, width = runtime.parts.store, runtime.parts.clock.now(), width_of(WINDOW)
    await submit(runtime)  # makes the series, whose keyed hash then names the place of all others
    (series, key) = await store.row("SELECT series, key FROM series")
    place, slices = (store.tenant, series, key), range(now // width - SLICES, now // width + 1)
    each = max(1, reservations // len(slices))
    rows = [
        (store.tenant, f"earlier_{slice_}_{number}", series, key, b"", 1_250, slice_ * width) for slice_ in slices for number in range(each)
    ]
    writes = [Write("reservation.put", row) for row in rows]
    writes += [Write("usage.add", (*place, slice_, b"", 1_250 * each)) for slice_ in slices]
    writes.append(Write("series.put", (*place, width, len(rows) + 1, now)))
    await store.commit(writes)


async def measure(sizes: Sizes, folder: Path) -> Measurement:
    """Take rounds in turn, with a limit and without, over an empty window and a full one."""
    measured = Measurement(f"A limit, {CALLERS} callers")
    kinds = {"no limit": "", "one limit for each customer": EACH, EMPTY: EVERYBODY, FULL: EVERYBODY}
    runtimes = {name: await open_runtime(folder / str(number), limit=limit) for number, (name, limit) in enumerate(kinds.items())}
    try:
        await fill(runtimes[FULL], sizes.aged)
        measured.notes.append(f"The full window holds {sizes.aged:,} reservations in {SLICES + 1} slices.")
        await _rounds(measured, sizes, runtimes)
        await _prove(measured, runtimes[EMPTY])
    finally:
        for runtime in runtimes.values():
            await runtime.close()
    return measured


async def _rounds(measured: Measurement, sizes: Sizes, runtimes: dict[str, Runtime]) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in runtimes}
    for runtime in runtimes.values():
        await submit_many(runtime, CALLERS, CALLERS)
    for _ in range(sizes.rounds):
        for name, runtime in runtimes.items():
            seconds[name].append(await measured.sample(partial(timed, partial(submit_many, runtime, sizes.calls, CALLERS))))
    for name, each in seconds.items():
        rate, floor = sizes.calls / median(each), name == EMPTY
        measured.add(name, rate, "calls/s", target=f"≥ {FLOOR}" if floor else "", met=rate >= FLOOR if floor else None)
    ratio = median([full / empty for empty, full in zip(seconds[EMPTY], seconds[FULL], strict=True)])
    measured.add(
        "a call over the full window to one over the empty one, median of the rounds' ratios",
        ratio,
        "times",
        target=f"≤ {FLAT}",
        met=ratio <= FLAT,
    )


async def _prove(measured: Measurement, runtime: Runtime) -> None:
    report = await runtime.verify()
    (used,) = await runtime.parts.store.row("SELECT sum(amount) FROM usage")
    if not report.ok or used != 1_250 * report.calls:
        raise AssertionError(f"the series does not add up: {used} used by {report.calls} calls, {report.to_json()}")
    measured.notes.append(f"The series was added up from its own events: {report.calls:,} reservations, {used / 100:,.2f} EUR.")
