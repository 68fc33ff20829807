"""What a call costs over an empty database and over one with a long history, in turn, on either database: it should not grow."""

from __future__ import annotations

from pathlib import Path

from remit import Runtime

from .filling import fill
from .sampling import Measurement, Sizes, median, timed
from .server import databases, or_said, processes
from .workload import open_runtime, submit, submit_many

CHUNK = 50
FLAT = 1.3


async def measure(sizes: Sizes, folder: Path, *, postgres: bool = False) -> Measurement:
    """Take one call over each in turn, and then rounds of many callers over each in turn."""
    where, many = ("PostgreSQL", 16) if postgres else ("SQLite", 64)
    measured = Measurement(f"A call after {sizes.history:,} calls, beside one over an empty database, on {where}")
    with or_said(measured), databases(2, postgres=postgres) as urls:
        writing = await timed(lambda: fill(folder / "filled", sizes.history, urls[1]))
        measured.notes.append(f"The history of {sizes.history:,} calls was written, and placed in its tree, in {writing:,.0f} s.")
        empty = await open_runtime(folder / "empty", url=urls[0])
        filled = await open_runtime(folder / "filled", url=urls[1])
        try:
            await _in_turn(measured, sizes, {"empty database": empty, "with its history": filled}, many, urls[0])
            (kept,) = await filled.parts.store.row("SELECT count(*) FROM call")
            measured.notes.append(f"It held {kept:,} calls in the end.")
        finally:
            await empty.close()
            await filled.close()
    return measured


async def _in_turn(measured: Measurement, sizes: Sizes, runtimes: dict[str, Runtime], many: int, url: str) -> None:
    empty, filled = runtimes.values()

    async def singly() -> list[tuple[float, float]]:
        return [(await timed(lambda: submit(empty)), await timed(lambda: submit(filled))) for _ in range(min(CHUNK, sizes.one_at_a_time))]

    await singly()
    helping = processes(url) if url else []
    pairs = [pair for _ in range(max(1, sizes.one_at_a_time // CHUNK)) for pair in await measured.sample(singly, children=helping)]
    _compare(measured, "one caller", [1e3 * one for one, _ in pairs], [1e3 * other for _, other in pairs])

    async def together(runtime: Runtime) -> float:
        return 1e3 * await timed(lambda: submit_many(runtime, sizes.calls, many)) / sizes.calls

    for runtime in runtimes.values():
        await together(runtime)  # what a database that was just opened reads for the first time is no part of what a call costs
    rounds = [
        [await measured.sample(lambda runtime=runtime: together(runtime), children=helping) for runtime in runtimes.values()]
        for _ in range(sizes.rounds)
    ]
    _compare(measured, f"{many} callers", [one for one, _ in rounds], [other for _, other in rounds])


def _compare(measured: Measurement, who: str, empty: list[float], filled: list[float]) -> None:
    ratio = median(filled) / median(empty)
    measured.add(f"{who}, empty database, median", median(empty), "ms a call")
    measured.add(f"{who}, with its history, median", median(filled), "ms a call")
    measured.add(f"{who}, ratio", ratio, "times", target=f"≤ {FLAT}", met=ratio <= FLAT)
