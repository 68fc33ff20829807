"""Governed calls a second, with 1, 8 and 64 callers, beside CTRLRun in the same run: each takes a round, then the next one does.

Once over new databases, and once after a long history on both sides.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from remit import Runtime

from .counterpart import CtrlRun
from .filling import fill
from .program import Unavailable
from .sampling import Measurement, Sizes, median, timed
from .workload import open_runtime, submit_many

CALLERS = (1, 8, 64)
FLOOR, AIM = 1_000, 2_000
AHEAD, LEVEL = 3.0, 1.0
OURS = "Remit, synchronous FULL"
NORMAL = "Remit, synchronous NORMAL (not offered; to compare)"
THEIRS = "CTRLRun 0.12.2, its store alone (synchronous NORMAL)"
THEIRS_WHOLE = "CTRLRun 0.12.2, as set up from a file (with its two JSON files)"
TARGETS = {("FULL", 8): AHEAD, ("FULL", 64): AHEAD, ("NORMAL", 1): LEVEL}
"""What a ratio to CTRLRun's store alone must reach, by our durability and callers."""


async def measure(sizes: Sizes, folder: Path, *, others: bool = True, aged: bool = False) -> Measurement:
    """Take rounds in turn, then see that what was measured was real: the audit log verifies, and holds every call."""
    measured = Measurement("Governed calls a second, one process" + (f", after {sizes.aged:,} calls" if aged else ""))
    if aged:
        await fill(folder / "full", sizes.aged)
        shutil.copytree(folder / "full", folder / "normal")
    runtimes = {OURS: await open_runtime(folder / "full"), NORMAL: await open_runtime(folder / "normal", mode="NORMAL")}
    with ExitStack() as stack:
        counterparts: dict[str, CtrlRun] = {}
        try:
            if others:
                counterparts[THEIRS] = stack.enter_context(CtrlRun(folder / "store"))
            if others and not aged:
                counterparts[THEIRS_WHOLE] = stack.enter_context(CtrlRun(folder / "file", files=True))
        except Unavailable as error:
            measured.notes.append(f"CTRLRun was not measured: {error}")
        for name, counterpart in counterparts.items() if aged else ():
            seconds = counterpart.round(sizes.aged, 1)  # alone it is quickest
            measured.notes.append(f"{name}: made its own history of {sizes.aged:,} calls, one after the other, in {seconds:,.0f} s.")
        await _rounds(measured, sizes, runtimes, counterparts, floor=not aged)
    for name, runtime in runtimes.items():
        await _prove(measured, name, runtime)
    return measured


async def _rounds(
    measured: Measurement, sizes: Sizes, runtimes: dict[str, Runtime], counterparts: dict[str, CtrlRun], *, floor: bool
) -> None:
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
        _conclude(measured, callers, rates, floor=floor)
    for name, counterpart in counterparts.items():
        recorded = counterpart.recorded()
        if recorded["receipts"] - before[name] < asked:
            raise AssertionError(f"{name} was asked for {asked} calls and kept {recorded}")
        measured.notes.append(f"{name}: its store holds {', '.join(f'{count:,} {table}' for table, count in recorded.items())}.")


def _conclude(measured: Measurement, callers: int, rates: dict[str, list[float]], *, floor: bool) -> None:
    for name, each in rates.items():
        rate, held = median(each), floor and name == OURS and callers == CALLERS[-1]
        target = f"≥ {FLOOR:,} (aim {AIM:,})" if held else ""
        measured.add(f"{callers:2} callers: {name}", rate, "calls/s", target=target, met=rate >= FLOOR if held else None)
    best = ", ".join(f"{name} {max(each):,.0f}" for name, each in rates.items())
    measured.notes.append(f"Best rounds with {callers}: {best} calls/s.")
    for mode, name in (("FULL", OURS), ("NORMAL", NORMAL)) if THEIRS in rates else ():
        ratio, least = ratio_of(rates[name], rates[THEIRS]), TARGETS.get((mode, callers))
        measured.add(
            f"{callers:2} callers: Remit {mode} to CTRLRun's store alone, median of the rounds' ratios",
            ratio,
            "times",
            target=f"≥ {least:g} times" if least else "",
            met=ratio >= least if least else None,
        )


def ratio_of(ours: list[float], theirs: list[float]) -> float:
    """Give the median of the ratios of rounds that were taken in turn."""
    return median([one / other for one, other in zip(ours, theirs, strict=True)])


async def _prove(measured: Measurement, name: str, runtime: Runtime) -> None:
    report = await runtime.verify()
    await runtime.close()
    if not report.ok or report.open_calls:
        raise AssertionError(f"{name}: the audit log does not verify: {report.to_json()}")
    measured.notes.append(
        f"{name}: the audit log verifies: {report.entries:,} events of {report.calls:,} calls, every decision reproduced."
    )
