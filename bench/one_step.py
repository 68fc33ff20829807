"""A governed call beside a workflow of one step on DBOS, on SQLite and on one PostgreSQL: the same callers, in turn."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from .counterpart import Dbos
from .program import Unavailable, Worker
from .sampling import Measurement, Sizes, median
from .server import database, processes, settings
from .throughput import ratio_of

SQLITE, POSTGRES = "SQLite", "PostgreSQL"
AHEAD = {SQLITE: 10.0, POSTGRES: 3.0}
CALLERS = {SQLITE: (1, 8, 64), POSTGRES: (1, 16, 64)}
OURS, THEIRS = "Remit", "DBOS 3.4.0"


async def measure(sizes: Sizes, folder: Path, *, others: bool = True) -> Measurement:
    """Let each take a round, on each database, with few callers and many."""
    measured = Measurement("A governed call beside a workflow of one step, one process each")
    for where in CALLERS:
        try:
            await _over(measured, sizes, where, folder / where, others=others)
        except Unavailable as error:
            measured.notes.append(f"{where}: not measured beside DBOS: {error}")
    return measured


async def _over(measured: Measurement, sizes: Sizes, where: str, folder: Path, *, others: bool) -> None:
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        urls = ["", f"sqlite:///{folder}/dbos.sqlite"] if where == SQLITE else [stack.enter_context(database()) for _ in range(2)]
        ours = stack.enter_context(Worker(folder, url=urls[0]))
        ours.ask({})
        programs: dict[str, Worker | Dbos] = {OURS: ours}
        if others:
            programs[THEIRS] = stack.enter_context(Dbos(urls[1]))
        if urls[0]:
            measured.notes.append(f"{where}: {settings(urls[0])}.")
        asked = 0
        for callers in CALLERS[where]:
            calls = max(callers, sizes.calls if callers > 8 else sizes.calls // 4)
            rates = await _rounds(measured, sizes, programs, calls, callers, [url for url in urls if url.startswith("postgres")])
            asked += sizes.rounds * calls
            _conclude(measured, where, callers, rates)
        _prove(measured, where, ours, programs.get(THEIRS), asked)


async def _rounds(
    measured: Measurement, sizes: Sizes, programs: dict[str, Worker | Dbos], calls: int, callers: int, urls: list[str]
) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in programs}
    for program in programs.values():
        program.round(max(callers, calls // 4), callers)
    for _ in range(sizes.rounds):
        for name, program in programs.items():
            helping = [program.process, *(processes(urls[0]) if urls else [])]
            seconds = await measured.sample(partial(program.round, calls, callers), children=helping)
            rates[name].append(calls / seconds)
    return rates


def _conclude(measured: Measurement, where: str, callers: int, rates: dict[str, list[float]]) -> None:
    for name, each in rates.items():
        measured.add(f"{where}, {callers} callers: {name}", median(each), "calls/s" if name == OURS else "workflows/s")
    if THEIRS in rates:
        ratio, held = ratio_of(rates[OURS], rates[THEIRS]), callers == CALLERS[where][1 if where == POSTGRES else 2]
        target = f"≥ {AHEAD[where]:g} times" if held else ""
        name = f"{where}, {callers} callers: Remit to DBOS, median of the rounds' ratios"
        measured.add(name, ratio, "times", target=target, met=ratio >= AHEAD[where] if held else None)


def _prove(measured: Measurement, where: str, ours: Worker, theirs: Worker | Dbos | None, asked: int) -> None:
    found = ours.ask({"verify": True})
    if not found["ok"] or found["open"] or found["calls"] < asked:
        raise AssertionError(f"{where}: {asked} calls were asked for, and the log says {found}")
    measured.notes.append(f"{where}: our audit log verifies: {found['entries']:,} events of {found['calls']:,} calls.")
    if isinstance(theirs, Dbos):
        kept = theirs.recorded()
        if min(kept.values()) < asked:
            raise AssertionError(f"{where}: DBOS was asked for {asked} workflows and kept {kept}")
        measured.notes.append(f"{where}: DBOS kept {kept['workflows']:,} workflows as done, and {kept['steps']:,} steps.")
