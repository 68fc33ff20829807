"""How long one caller waits for a call, each call taken in turn with two bare commits: the part that is not the disk's is ours."""

from __future__ import annotations

from pathlib import Path

from .commits import BareCommits
from .sampling import Measurement, Sizes, quantile, timed
from .workload import open_runtime, submit

CHUNK = 50
RATIO, LONGEST = 3.0, 2.5


async def measure(sizes: Sizes, folder: Path) -> Measurement:
    """Take a call, two bare commits, a call, and so on."""
    measured, calls, commits = Measurement("One call at a time, beside two bare commits in turn"), list[float](), list[float]()
    runtime = await open_runtime(folder)

    async def chunk() -> list[tuple[float, float]]:
        return [(bare.two(), await timed(lambda: submit(runtime))) for _ in range(min(CHUNK, sizes.one_at_a_time))]

    try:
        with BareCommits(folder) as bare:
            await chunk()
            for _ in range(max(1, sizes.one_at_a_time // CHUNK)):
                for two, call in await measured.sample(chunk):
                    commits.append(two * 1e3)
                    calls.append(call * 1e3)
    finally:
        await runtime.close()
    p50, bare_p50 = quantile(calls, 0.5), quantile(commits, 0.5)
    measured.add("a governed call, p50", p50, "ms", target=f"≤ {LONGEST} ms", met=p50 <= LONGEST)
    measured.add("a governed call, p99", quantile(calls, 0.99), "ms")
    measured.add("two bare commits, p50", bare_p50, "ms")
    measured.add("two bare commits, p99", quantile(commits, 0.99), "ms")
    measured.add("ratio of the p50s", p50 / bare_p50, "times", target=f"≤ {RATIO:g}", met=p50 / bare_p50 <= RATIO)
    return measured
