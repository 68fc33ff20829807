"""How fast recorded calls are decided again under another bundle, in two processes: opening what was sealed, and starting them, included."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from remit import Runtime

from .filling import fill
from .sampling import Measurement, Sizes, median, timed
from .workload import open_runtime, write_policies

TARGET = 8_000
TIMES = 4
"""So many times the calls of the verifier's log: a replay is of a month."""
STRICTER = 1_000


async def measure(sizes: Sizes, folder: Path) -> Measurement:
    """Replay the bundle in force, which flips nothing, and a stricter one, which flips all, in turn."""
    calls = TIMES * sizes.verified
    measured = Measurement(f"Replay of {calls:,} calls, ten rules, two processes")
    await fill(folder, calls)
    stricter = write_policies(folder / "stricter")
    file = stricter / "refunds.yaml"
    file.write_text(file.read_text().replace("<= 5000", f"<= {STRICTER}"))
    runtime = await open_runtime(folder)
    rates: dict[str, list[float]] = {"the bundle in force": [], "one that flips every call": []}
    try:
        for _ in range(max(1, sizes.rounds // 2)):
            for each, candidate in zip(rates.values(), ("active", str(stricter)), strict=True):
                flipped = calls if candidate != "active" else 0
                each.append(await measured.sample(lambda given=(candidate, flipped): _rate(runtime, calls, *given)))
    finally:
        await runtime.close()
    for name, each in rates.items():
        rate = median(each)
        measured.add(name, rate, "decisions/s", target=f"≥ {TARGET:,} decisions/s", met=rate >= TARGET)
    return measured


async def _rate(runtime: Runtime, calls: int, candidate: str, flipped: int) -> float:
    found = list[Any]()

    async def replayed() -> None:
        found.append(await runtime.replay(candidate, since=timedelta(days=30)))

    seconds = await timed(replayed)
    counted = Counter(one.way for one in found[0].flips)
    if found[0].decided != calls or counted.total() != flipped:
        raise AssertionError(f"{found[0].decided} of {calls} calls were decided again, and {dict(counted)} flipped")
    return calls / seconds
