"""How fast a log is verified, from what lies on the disk: the tree alone, its meaning, and each decision again; beside CTRLRun's verifier.

All of it on one core. What the verifier keeps is measured in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from remit import Catalog, Runtime
from remit.audit import FolderLog, Log, Report, TileLog, export, export_tiles, folder_fetch, verify
from remit.audit.disclosure import restored
from remit.runtime.control import shapes
from remit.runtime.logs import DatabaseLog, Reproduction

from .counterpart import CtrlRun
from .filling import fill
from .machine import most_resident
from .program import ROOT, Unavailable
from .sampling import Measurement, Sizes, median, timed
from .throughput import ratio_of
from .workload import open_runtime

EVENTS = 4
"""Of each call."""
MEGABYTES = 300
MILLION = 1_000_000
LEAST = {"the tree of a folder": 250_000, "with every commitment opened, and its meaning": 25_000}
DECISIONS = 5_000


async def measure(sizes: Sizes, folder: Path, *, others: bool = True) -> Measurement:
    """Verify the same log in several ways, in turn; then a long one in a process of its own."""
    measured = Measurement(f"The verifier over {sizes.verified:,} calls, one core")
    runtime = await _exported(folder / "short", sizes.verified)
    disclosed, tiles = folder / "short" / "disclosed", folder / "short" / "tiles"
    ways: dict[str, Callable[[], Report]] = {
        "the tree of a folder": lambda: _checked(FolderLog(disclosed, sealed=True), meaning=False),
        "the tree of tiles": lambda: _checked(TileLog(folder_fetch(tiles)), meaning=False),
        "with every commitment opened, and its meaning": lambda: _checked(FolderLog(disclosed)),
        "and each decision reproduced": lambda: _checked(FolderLog(disclosed), _reproduction(runtime, disclosed)),
        "the live database, and each decision reproduced": lambda: _database(runtime),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    decided: list[float] = []
    beside = await _Beside.begun(measured, folder / "theirs", sizes.verified) if others else None
    try:
        for _ in range(max(1, sizes.rounds // 2)):
            for name, way in ways.items():
                rates[name].append(await measured.sample(partial(_rate, way)))
            decided.append(await measured.sample(lambda: _decisions(runtime, disclosed)))
            if beside is not None:
                await beside.round(measured)
    finally:
        await runtime.close()
        if beside is not None:
            beside.close()
    for name, each in rates.items():
        _add(measured, name, median(each), "events/s", LEAST.get(name))
    _add(measured, "decisions alone", median(decided), "decisions/s", DECISIONS)
    if beside is not None:
        beside.conclude(measured, {name: [rate / EVENTS for rate in rates[name]] for name in LEAST})
    await _memory(measured, sizes, folder / "long")
    return measured


async def _exported(folder: Path, calls: int) -> Runtime:
    await fill(folder, calls)
    runtime = await open_runtime(folder)
    with DatabaseLog(runtime.parts) as log:
        export(log, folder / "disclosed")
        export_tiles(log, folder / "tiles")
    return runtime


def _add(measured: Measurement, name: str, rate: float, unit: str, least: int | None) -> None:
    measured.add(name, rate, unit, target=f"≥ {least:,}" if least else "", met=rate >= least if least else None)


def _checked(log: Log, decide: Any = None, *, meaning: bool = True) -> Report:
    return verify(log, decide=decide, meaning=meaning)


def _reproduction(runtime: Runtime, folder: Path) -> Reproduction:
    return Reproduction(FolderLog(folder).bundles(), shapes(runtime.catalog))


def _database(runtime: Runtime) -> Report:
    with DatabaseLog(runtime.parts) as log:
        return verify(log, decide=Reproduction(log.bundles(), shapes(runtime.catalog)))


async def _rate(way: Callable[[], Report]) -> float:
    found = list[Report]()

    async def checked() -> None:
        found.append(way())

    seconds = await timed(checked)
    report = found[0]
    if not report.ok:
        raise AssertionError(f"the log does not verify: {report.to_json()}")
    return report.entries / seconds


async def _decisions(runtime: Runtime, folder: Path) -> float:
    """Decide again what the log holds, and nothing else: each from its recorded inputs."""
    again, recorded = _reproduction(runtime, folder), list[tuple[Any, str, Any]]()
    for entry in FolderLog(folder).entries():
        event = orjson.loads(entry.leaf)
        if event["kind"] == "call.decided":
            opened = {pointer: value for pointer, (_, value) in (entry.opening or {}).items() if pointer.startswith("/inputs/")}
            recorded.append((restored(event["body"], opened), event["body"]["policy"], event["body"]["decision"]))

    async def decided() -> None:
        if any(again(inputs, policy) != decision for inputs, policy, decision in recorded):
            raise AssertionError("a decision was not reproduced")

    return len(recorded) / await timed(decided)


class _Beside:
    """CTRLRun's own verifier over as many calls: it walks the chain of its receipts, one for each call."""

    NAME = "CTRLRun 0.12.2, verify_chain"

    def __init__(self, program: CtrlRun) -> None:
        self._program = program
        self._rates: list[float] = []

    @classmethod
    async def begun(cls, measured: Measurement, folder: Path, calls: int) -> _Beside | None:
        try:
            program = CtrlRun(folder)
        except Unavailable as error:
            measured.notes.append(f"CTRLRun was not measured: {error}")
            return None
        program.round(calls, 1)
        return cls(program)

    async def round(self, measured: Measurement) -> None:
        found = await measured.sample(lambda: self._program.ask({"verify": True}), children=[self._program.process])
        if not found["ok"]:
            raise AssertionError(f"{self.NAME}: {found}")
        self._rates.append(found["verified"] / found["seconds"])

    def conclude(self, measured: Measurement, ours: dict[str, list[float]]) -> None:
        measured.add(self.NAME, median(self._rates), "calls/s")
        for name, rates in ours.items():
            measured.add(f"Remit, {name}, to CTRLRun, median of the rounds' ratios", ratio_of(rates, self._rates), "times")

    def close(self) -> None:
        self._program.__exit__(None, None, None)


async def _memory(measured: Measurement, sizes: Sizes, folder: Path) -> None:
    """Verify a long log, commitments, meaning and decisions, in a process of its own."""
    calls = min(sizes.history, MILLION // EVENTS)
    runtime = await _exported(folder, calls)
    await runtime.close()
    command = [sys.executable, "-m", "bench.verifying", str(folder / "disclosed")]
    told = json.loads((await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, check=True, text=True)).stdout)
    held = told["entries"] >= MILLION
    most = told["megabytes"]
    target, met = (f"≤ {MEGABYTES} MB", most <= MEGABYTES) if held else ("", None)
    measured.add(f"resident at most over {told['entries']:,} events", most, "MB", target=target, met=met)
    measured.notes.append(f"The long log was verified in {told['seconds']:,.0f} s, every decision reproduced.")


def _alone(folder: Path) -> dict[str, Any]:
    from .workload import refund_payment

    log, begun = FolderLog(folder), time.perf_counter()
    report = verify(log, decide=Reproduction(log.bundles(), shapes(Catalog([refund_payment]))))
    if not report.ok or not report.reproduced:
        raise AssertionError(report.to_json())
    return {"entries": report.entries, "megabytes": most_resident(), "seconds": time.perf_counter() - begun}


if __name__ == "__main__":
    print(json.dumps(_alone(Path(sys.argv[1]))))
