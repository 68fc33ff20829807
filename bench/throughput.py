"""Governed calls a second, with 1, 8 and 64 callers, beside CTRLRun in the same run: each takes a round, then the next one does."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from remit import Runtime

from .counterpart import CtrlRun, Unavailable
from .sampling import Measurement, Sizes, median, timed
from .workload import open_runtime, submit_many

CALLERS = (1, 8, 64)
FLOOR, AIM = 1_000, 2_000
OURS = "Remit, synchronous FULL"
NORMAL = "Remit, synchronous NORMAL (not offered; to compare)"
THEIRS = "CTRLRun 0.12.2, its store alone (synchronous NORMAL)"
THEIRS_WHOLE = "CTRLRun 0.12.2, as set up from a file (with its two JSON files)"


async def measure(sizes: Sizes, folder: Path, *, others: bool = True) -> Measurement:
    """Take rounds in turn, then see that what was measured was real: the audit log verifies, and holds every call."""
    measured = Measurement("Governed calls a second, one process")
    runtimes = {OURS: await open_runtime(folder / "full"), NORMAL: await open_runtime(folder / "normal", mode="NORMAL")}
    with ExitStack() as stack:
        counterparts: dict[str, CtrlRun] = {}
        try:
            if others:
                counterparts = {
                    THEIRS: stack.enter_context(CtrlRun(folder / "store")),
                    THEIRS_WHOLE: stack.enter_context(CtrlRun(folder / "file", files=True)),
                }
        except Unavailable as error:
            measured.notes.append(f"CTRLRun was not measured: {error}")
        await _rounds(measured, sizes, runtimes, counterparts)
    for name, runtime in runtimes.items():
        await _prove(measured, name, runtime)
    return measured


async def _rounds(measured: Measurement, sizes: Sizes, runtimes: dict[str, Runtime], counterparts: dict[str, CtrlRun]) -> None:
    before = {name: counterpart.recorded()["receipts"] for name, counterpart in counterparts.items()}
    asked = 0
    for callers in CALLERS:
        rates: dict[str, list[float]] = {name: [] for name in (*runtimes, *counterparts)}
        calls = max(callers, sizes.calls if callers > 8 else sizes.calls // 4)
        await submit_many(runtimes[OURS], max(1, calls // 4), callers)
        for _ in range(sizes.rounds):
            for name, runtime in runtimes.items():
                seconds = await measured.sample(partial(timed, partial(submit_many, runtime, calls, callers)))
                rates[name].append(calls / seconds)
            for name, counterpart in counterparts.items():
                seconds = await measured.sample(partial(counterpart.round, calls, callers), children=[counterpart.process])
                rates[name].append(calls / seconds)
        asked += sizes.rounds * calls
        _conclude(measured, callers, rates)
    for name, counterpart in counterparts.items():
        recorded = counterpart.recorded()
        if recorded["receipts"] - before[name] < asked:
            raise AssertionError(f"{name} was asked for {asked} calls and kept {recorded}")
        measured.notes.append(f"{name}: its store holds {', '.join(f'{count:,} {table}' for table, count in recorded.items())}.")


def _conclude(measured: Measurement, callers: int, rates: dict[str, list[float]]) -> None:
    for name, each in rates.items():
        rate, floor = median(each), name == OURS and callers == CALLERS[-1]
        target = f"≥ {FLOOR:,} (aim {AIM:,})" if floor else ""
        measured.add(f"{callers:2} callers: {name}", rate, "calls/s", target=target, met=rate >= FLOOR if floor else None)
    best = ", ".join(f"{name} {max(each):,.0f}" for name, each in rates.items())
    measured.notes.append(f"Best rounds with {callers}: {best} calls/s.")
    if THEIRS in rates:
        ratio = median([ours / theirs for ours, theirs in zip(rates[OURS], rates[THEIRS], strict=True)])
        measured.add(f"{callers:2} callers: Remit FULL to CTRLRun's store alone, median of the rounds' ratios", ratio, "times")


async def _prove(measured: Measurement, name: str, runtime: Runtime) -> None:
    report = await runtime.verify()
    await runtime.close()
    if not report.ok or report.open_calls:
        raise AssertionError(f"{name}: the audit log does not verify: {report.to_json()}")
    measured.notes.append(
        f"{name}: the audit log verifies: {report.entries:,} events of {report.calls:,} calls, every decision reproduced."
    )
