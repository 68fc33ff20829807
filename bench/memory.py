"""What a process holds in memory over a long run: does it grow with the calls that it has made?"""

from __future__ import annotations

from pathlib import Path

from .machine import resident
from .program import Worker
from .sampling import Measurement, Sizes

CALLERS = 64
MOST = 300.0
STEPS = 20
FLAT = 2.0
"""MB for each 100,000 calls: what is more would be 20 MB in a million."""
LONG = 50_000
"""Calls from which on the slope means something: before, caches fill."""


async def measure(sizes: Sizes, folder: Path) -> Measurement:
    """Look after each twentieth of the calls; the first half fills caches, and the slope is that of the other."""
    measured = Measurement(f"Memory over {sizes.lasting:,} calls, {CALLERS} callers, SQLite")
    folder.mkdir(parents=True, exist_ok=True)
    step = max(1, sizes.lasting // STEPS)
    seen: list[tuple[int, float]] = []
    with Worker(folder) as worker:
        worker.ask({})
        begun = resident(worker.process)
        made = 0

        def go_on() -> None:
            nonlocal made
            worker.round(step, CALLERS)
            made += step

        for _ in range(STEPS):
            await measured.sample(go_on, children=[worker.process])
            seen.append((made, resident(worker.process)))
    most, settled = max(held for _, held in seen), seen[STEPS // 2 :]
    measured.add("resident when started", begun, "MB")
    measured.add("resident at most", most, "MB", target=f"≤ {MOST:g} MB", met=most <= MOST)
    measured.add("resident at the end", seen[-1][1], "MB")
    growth = 1e5 * slope(settled)
    held = sizes.lasting >= LONG
    target, met = (f"≤ {FLAT:g} MB", growth <= FLAT) if held else ("", None)
    measured.add("growth in the second half, for each 100,000 calls", growth, "MB", target=target, met=met)
    measured.notes.append("After so many calls: " + ", ".join(f"{calls:,} {held:.0f} MB" for calls, held in seen[:: STEPS // 5]) + ".")
    return measured


def slope(points: list[tuple[int, float]]) -> float:
    """Give the slope of the line that fits best (least squares)."""
    across, up = (sum(point[axis] for point in points) / len(points) for axis in (0, 1))
    spread = sum((x - across) ** 2 for x, _ in points)
    return sum((x - across) * (y - up) for x, y in points) / spread if spread else 0.0
