"""Take samples in turn, and take again those that were disturbed; put what came out in figures."""

from __future__ import annotations

import inspect
import statistics
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .machine import Usage

LIMIT = 0.05
TRIES = 3
"""A sample during which more than 5 % of the CPU was stolen is taken again, so often at most."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    `history` are the calls of a long history, `aged` those that a counterpart has to make itself, `lasting` those during which memory is
    watched. `seconds` is how long more is asked than can be done.
    """

    rounds: int = 5
    calls: int = 2_000
    one_at_a_time: int = 1_000
    decisions: int = 4_000
    starts: int = 15
    history: int = 250_000
    aged: int = 100_000
    verified: int = 20_000
    approvals: int = 40
    seconds: float = 20.0
    lasting: int = 100_000


FULL = Sizes()
"""A history of a million events."""
MILLION = replace(FULL, history=1_000_000, lasting=1_000_000)
TEN_MILLION = replace(FULL, history=2_500_000)
QUICK = Sizes(
    rounds=3,
    calls=400,
    one_at_a_time=150,
    decisions=500,
    starts=3,
    history=2_000,
    aged=2_000,
    verified=300,
    approvals=6,
    seconds=6.0,
    lasting=4_000,
)
SMALLEST = Sizes(
    rounds=1,
    calls=8,
    one_at_a_time=4,
    decisions=10,
    starts=1,
    history=20,
    aged=20,
    verified=10,
    approvals=2,
    seconds=0.3,
    lasting=40,
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, with its unit, and the target that it has where it has one."""

    name: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None


@dataclass(slots=True)
class Measurement:
    """One thing that was measured: its figures, and how the machine was while they were taken."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stolen: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    repeated: int = 0
    seconds: float = 0.0

    @property
    def disturbed(self) -> bool:
        """Say whether samples had to be kept during which more was stolen than we want."""
        return any(share > LIMIT for share in self.stolen)

    def add(self, name: str, value: float, unit: str, *, target: str = "", met: bool | None = None) -> None:
        """Add a figure."""
        self.figures.append(Figure(name, value, unit, target, met))

    async def sample(self, take: Callable[[], Any], *, children: Collection[int] = ()) -> Any:
        """Take a sample, again while too much CPU is stolen; the least disturbed one counts."""
        kept: tuple[float, float, Any] | None = None
        for attempt in range(TRIES):
            before = Usage.now(children)
            value = take()
            if inspect.isawaitable(value):
                value = await value
            stolen, others = Usage.now(children).since(before)
            if kept is None or stolen < kept[0]:
                kept = stolen, others, value
            if stolen <= LIMIT:
                break
            self.repeated += attempt < TRIES - 1
        assert kept is not None
        self.stolen.append(kept[0])
        self.others.append(kept[1])
        return kept[2]

    def to_json(self) -> dict[str, Any]:
        """Give what is kept of it."""
        return {
            "title": self.title,
            "figures": [
                {"name": one.name, "value": one.value, "unit": one.unit, "target": one.target or None, "met": one.met}
                for one in self.figures
            ],
            "notes": self.notes,
            "stolen": {"median": median(self.stolen), "worst": max(self.stolen, default=0.0)},
            "others": {"median": median(self.others), "worst": max(self.others, default=0.0)},
            "repeated": self.repeated,
            "disturbed": self.disturbed,
            "seconds": round(self.seconds, 1),
        }


def median(values: Sequence[float]) -> float:
    """Give the median, 0 of nothing."""
    return statistics.median(values) if values else 0.0


def quantile(values: Sequence[float], part: float) -> float:
    """Give the value below which that part of the values lies (nearest rank)."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


async def timed(work: Callable[[], Awaitable[Any]]) -> float:
    """Give the seconds that something takes."""
    begun = time.perf_counter()
    await work()
    return time.perf_counter() - begun
