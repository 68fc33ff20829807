"""How fast a log is verified: leaves, tree, signatures, every commitment against its sealed opening, meaning; and each decision again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from remit import Runtime
from remit.audit import verify
from remit.runtime.control import shapes
from remit.runtime.logs import DatabaseLog, Reproduction

from .filling import fill
from .sampling import Measurement, Sizes, median, timed
from .workload import open_runtime


async def measure(sizes: Sizes, folder: Path) -> Measurement:
    """Verify the same log with and without its decisions, in turn."""
    measured = Measurement(f"The verifier over {sizes.verified:,} calls, one process")
    await fill(folder, sizes.verified)
    runtime = await open_runtime(folder)
    rates: dict[str, list[float]] = {"without decisions": [], "each decision reproduced": []}
    try:
        for _ in range(max(1, sizes.rounds // 2)):
            for name, reproduced in zip(rates, (False, True), strict=True):
                rates[name].append(await measured.sample(lambda reproduced=reproduced: _rate(runtime, reproduced=reproduced)))
    finally:
        await runtime.close()
    for name, each in rates.items():
        measured.add(name, median(each), "events/s")
    return measured


async def _rate(runtime: Runtime, *, reproduced: bool) -> float:
    found = list[Any]()
    with DatabaseLog(runtime.parts) as log:
        decide = Reproduction(log.bundles(), shapes(runtime.catalog)) if reproduced else None

        async def checked() -> None:
            found.append(verify(log, decide=decide))

        seconds = await timed(checked)
    report = found[0]
    if not report.ok:
        raise AssertionError(f"the log does not verify: {report.to_json()}")
    return float(report.entries / seconds)
