"""Where the time of a call goes, by named phase: 64 callers on SQLite, the loop looked at every millisecond.

A timer's signal runs between two instructions of the loop's own thread, so what is seen is what the loop does, its waiting included; the
innermost function that `PHASES` names counts, with all that it calls. What it costs is seen by taking turns with rounds that nobody looks at.
"""

from __future__ import annotations

import selectors
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

from remit import Runtime

from . import workload
from .program import ROOT
from .sampling import Measurement, Sizes, median, timed
from .workload import open_runtime, submit_many

CALLERS = 64
EVERY = 0.001
SELECTORS = selectors.__file__.replace("\\", "/")
PHASES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("waits, with nothing to do but for the disk", SELECTORS, ("select",)),
    ("parse: strict JSON, validation, canonical bytes", "runtime/receive.py", ("parse",)),
    ("receive: keys, fingerprint, digest", "runtime/receive.py", ()),
    ("earlier: what came before, one read", "runtime/store.py", ("earlier", "holds", "get", "find", "row", "rows")),
    ("earlier: what came before, one read", "runtime/sqlite.py", ("rows",)),
    ("earlier: what came before, one read", "runtime/journeys.py", ("_placed",)),
    ("halt, gather, own", "runtime/phases.py", ("halt", "gather", "own")),
    ("judge: ten rules", "policies/", ()),
    ("judge: ten rules", "runtime/phases.py", ("judge", "inputs", "_decided")),
    ("judge: ten rules", "runtime/usage.py", ()),
    ("govern, hold", "runtime/phases.py", ("hold",)),
    ("govern, hold", "runtime/activation.py", ("govern",)),
    ("intend: effect key, intent", "runtime/phases.py", ("intend", "start_attempt", "provider_key")),
    ("intend: effect key, intent", "runtime/effects.py", ()),
    ("execute: deadline, handler", "runtime/execution.py", ("perform", "execute_and_settle")),
    ("execute: deadline, handler", "runtime/deadline.py", ()),
    ("settle: outcome", "runtime/execution.py", ()),
    ("record: leaves, commitments", "audit/leaf.py", ()),
    ("record: leaves, commitments", "audit/canonical.py", ()),
    ("record: leaves, commitments", "audit/merkle.py", ("leaf_hash",)),
    ("record: leaves, commitments", "runtime/work.py", ("record", "event_writes", "new_id")),
    ("seal: openings, requests, results", "audit/privacy.py", ("seal", "open_")),
    ("seal: openings, requests, results", "runtime/vault.py", ("seal", "open")),
    ("commit: rows of a group, in SQLite", "runtime/sqlite.py", ("run", "begin")),
    ("commit: queue, group, hand-over", "runtime/journal.py", ()),
    ("commit: queue, group, hand-over", "runtime/sqlite.py", ("commit",)),
    ("commit: queue, group, hand-over", "runtime/disk_thread.py", ()),
    ("commit: queue, group, hand-over", "runtime/series.py", ()),
    ("sequencer: tree, checkpoint", "runtime/sequencer.py", ()),
    ("outcome: what the caller is told", "runtime/views.py", ()),
    ("outcome: what the caller is told", "runtime/outcome.py", ()),
    ("the journey: its task, and waiting for it", "runtime/journeys.py", ()),
    ("the journey: its task, and waiting for it", "runtime/runtime.py", ()),
)
"""Name, file or folder, and functions (none: all); the first that fits counts."""
CALLERS_OWN = "the benchmark's own callers"
REST = "asyncio, and what belongs to no phase"
_known: dict[CodeType, str | None] = {}


async def measure(sizes: Sizes, folder: Path) -> Measurement:
    """Take rounds that are looked at and rounds that are not in turn."""
    measured = Measurement(f"Where a call's time goes, {CALLERS} callers, SQLite, synchronous FULL")
    runtime = await open_runtime(folder)
    seen: Counter[str] = Counter()
    watched, unwatched = list[float](), list[float]()
    try:
        await submit_many(runtime, CALLERS, CALLERS)
        for _ in range(sizes.rounds):
            unwatched.append(await measured.sample(lambda: timed(lambda: submit_many(runtime, sizes.calls, CALLERS))))
            seconds, counted = await measured.sample(lambda: _watched(runtime, sizes.calls))
            watched.append(seconds)
            seen += counted
    finally:
        await runtime.close()
    _conclude(measured, seen, 1e6 * median(unwatched) / sizes.calls)
    cost = median(watched) / median(unwatched) - 1
    measured.notes.append(f"Seen {seen.total():,} times, every {1e3 * EVERY:g} ms; looking cost {cost:.0%}.")
    return measured


async def _watched(runtime: Runtime, calls: int) -> tuple[float, Counter[str]]:
    with watching() as counted:
        seconds = await timed(lambda: submit_many(runtime, calls, CALLERS))
    return seconds, counted


@contextmanager
def watching() -> Iterator[Counter[str]]:
    """Count, by phase, what this thread does at each tick while the block lasts."""
    counted: Counter[str] = Counter()

    def tick(_signal: int, frame: FrameType | None) -> None:
        counted[phase_of(frame)] += 1

    before = signal.signal(signal.SIGALRM, tick)
    signal.siginterrupt(signal.SIGALRM, False)  # a system call goes on after a tick
    timer = signal.setitimer(signal.ITIMER_REAL, EVERY, EVERY)
    try:
        yield counted
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)


def phase_of(frame: FrameType | None) -> str:
    """Name the phase that a stack is in."""
    ours = False
    while frame is not None:
        if (name := _named(frame.f_code)) is not None:
            return name
        ours, frame = ours or frame.f_code.co_filename == workload.__file__, frame.f_back
    return CALLERS_OWN if ours else REST


def _named(code: CodeType) -> str | None:
    if code not in _known:
        place = code.co_filename.replace("\\", "/").removeprefix(f"{ROOT.as_posix()}/").removeprefix("remit/")
        named = (name for name, part, functions in PHASES if place.startswith(part) and (not functions or code.co_name in functions))
        _known[code] = next(named, None)
    return _known[code]


def _conclude(measured: Measurement, seen: Counter[str], micros: float) -> None:
    measured.add("a call, of the loop's time", micros, "µs")
    for name in [*dict.fromkeys(phase for phase, _, _ in PHASES), CALLERS_OWN, REST]:
        measured.add(name, micros * seen[name] / max(1, seen.total()), "µs a call")
