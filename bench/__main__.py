"""Measure everything in one run: `python -m bench`; `--quick` for small samples, `--million` or `--ten-million` for long ones, `--only NAME …`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from . import (
    commits,
    decisions,
    history,
    limits,
    memory,
    one_caller,
    one_step,
    overload,
    proving,
    replay,
    scale,
    searching,
    starting,
    throughput,
    time_spent,
    verifying,
    waking,
)
from .machine import facts
from .report import page, show
from .sampling import FULL, MILLION, QUICK, TEN_MILLION, Measurement, Sizes

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "latest.json"
PAGE = HERE / "RESULTS.md"
SCRATCH = HERE.parent / ".cache" / "bench"
"""Databases lie on the disk that the code is on: a temporary folder may be in memory, where a flush costs nothing."""

MEASUREMENTS: dict[str, Callable[[Sizes, Path], Awaitable[Measurement]]] = {
    "commits": commits.measure,
    "one_caller": one_caller.measure,
    "throughput": throughput.measure,
    "aged": partial(throughput.measure, aged=True),
    "one_step": one_step.measure,
    "limits": limits.measure,
    "decisions": decisions.measure,
    "starting": starting.measure,
    "history": history.measure,
    "history_postgres": partial(history.measure, postgres=True),
    "scale": scale.measure,
    "waking": waking.measure,
    "overload": overload.measure,
    "memory": memory.measure,
    "time_spent": time_spent.measure,
    "proving": proving.measure,
    "proving_postgres": partial(proving.measure, postgres=True),
    "verifying": verifying.measure,
    "replay": replay.measure,
    "searching": searching.measure,
    "searching_postgres": partial(searching.measure, postgres=True),
}


def run(sizes: Sizes, names: Sequence[str], say: Callable[[str], None]) -> dict[str, Any]:
    """Take the measurements one after the other, each over databases of its own; gives what is kept as JSON."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=SCRATCH))
    results: dict[str, Any] = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": facts(folder), "measurements": {}}
    load = [os.getloadavg()[0]]
    try:
        for name in names:
            say(f"measuring {name} …")
            place = folder / name
            place.mkdir()
            begun = time.perf_counter()
            measured = asyncio.run(_measured(MEASUREMENTS[name], sizes, place))
            measured.seconds = time.perf_counter() - begun
            results["measurements"][name] = measured.to_json()
            shutil.rmtree(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return results | {"load": [*load, os.getloadavg()[0]]}


async def _measured(measure: Callable[[Sizes, Path], Awaitable[Measurement]], sizes: Sizes, place: Path) -> Measurement:
    return await measure(sizes, place)


def main() -> None:
    """Measure, show, and keep."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="smaller samples, within a few minutes; RESULTS.md stays as it is")
    size.add_argument(
        "--million",
        action="store_true",
        help="histories of a million calls, and a million while memory is watched: some twenty minutes more",
    )
    size.add_argument(
        "--ten-million",
        action="store_true",
        help="logs of ten million events, best with --only searching: 25 GB on the disk for each database",
    )
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, metavar="NAME", help=f"only these: {', '.join(MEASUREMENTS)}")
    given = parser.parse_args()
    console = Console()
    sizes = QUICK if given.quick else MILLION if given.million else TEN_MILLION if given.ten_million else FULL
    results = run(sizes, given.only or list(MEASUREMENTS), console.print)
    show(results, console)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    if not (given.quick or given.only):
        PAGE.write_text(page(results))
    console.print(f"[dim]{RESULTS.relative_to(HERE.parent)}[/dim]")


if __name__ == "__main__":
    main()
