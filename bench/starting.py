"""How long it takes to start: `remit --help`, and a runtime with four families over a database that is there already."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from .sampling import Measurement, Sizes, median

ROOT = Path(__file__).resolve().parent.parent
HELP, RUNTIME = 0.4, 1.5


def seconds_until(command: list[str], says: str | None) -> float:
    """Give the wall time from starting a process until it has said that, or until it has ended."""
    begun = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline() if says else process.stdout.read()
        taken = time.perf_counter() - begun
        process.stdout.read()
    if process.returncode or not said or (says and said.strip() != says):
        raise AssertionError(f"{command} said {said!r} and ended with {process.returncode}")
    return taken


async def measure(sizes: Sizes, folder: Path) -> Measurement:
    """Start both in turn, Python's own start included."""
    measured = Measurement("Start-up of a process, Python included")
    commands = {
        "remit --help": ([sys.executable, "-m", "remit", "--help"], None, HELP),
        "a runtime with four families, started": ([sys.executable, "-m", "bench.desk", str(folder)], "ready", RUNTIME),
        "Python alone": ([sys.executable, "-c", "print('up')"], None, None),
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for command, says, _ in commands.values():  # makes the database, and warms the caches
        seconds_until(command, says)
    for _ in range(sizes.starts):
        for name, (command, says, _) in commands.items():
            taken[name].append(await measured.sample(lambda command=command, says=says: seconds_until(command, says)))
    for name, (_, _, most) in commands.items():
        middle = median(taken[name])
        measured.add(f"{name}, median", middle, "s", target=f"≤ {most} s" if most else "", met=middle <= most if most else None)
        measured.add(f"{name}, fastest", min(taken[name]), "s")
    return measured
