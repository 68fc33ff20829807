"""Decide recorded calls again under another bundle, and say what differs: in this process, or in workers that load it themselves."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import orjson

from ..policies import ActionShape, Decision, Inputs, Policies, decide, load

CHUNK = 500
WORKERS = 2
IN_FLIGHT = 3 * WORKERS
FEW = 4 * CHUNK
"""Fewer are decided here: to start workers takes longer."""

DENIED, ALLOWED, MORE, LESS, OTHERWISE = "allowed -> denied", "denied -> allowed", "asks more", "asks less", "asks otherwise"


@dataclass(frozen=True, slots=True)
class Again:
    """A call decided again: the approvals that it asks for now, and if it flips, which way, by which rules, and why."""

    approvals: int
    way: str = ""
    rules: tuple[str, ...] = ()
    reason: str = ""


Asked = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Recorded inputs, and the recorded decision."""


def decide_again(policies: Policies, inputs: Mapping[str, Any], before: Mapping[str, Any]) -> Again:
    """Decide once more, and compare."""
    now = decide(policies, Inputs.from_json(inputs))
    approvals = sum(one.kind == "approval" for one in now.requirements)
    then = Decision.from_json(before)
    flips = way(then, now)
    return Again(approvals, flips, differing(then, now), now.reason) if flips else Again(approvals)


def all_again(policies: Policies, known: Mapping[str, ActionShape], asked: Iterator[Asked]) -> Iterator[Again]:
    """Decide all of them, in their order: many of them in two processes."""
    first = _take(asked, FEW)
    if len(first) < FEW:
        yield from (decide_again(policies, *one) for one in first)
        return
    shapes = {name: known[name] for name in known}
    with ProcessPoolExecutor(WORKERS, get_context("spawn"), _prepare, (dict(policies.sources), shapes)) as workers:
        under_way: deque[Future[list[Again]]] = deque()
        chunks = (first[start : start + CHUNK] for start in range(0, FEW, CHUNK))
        for chunk in _then(chunks, asked):
            under_way.append(workers.submit(_work, orjson.dumps(chunk)))
            if len(under_way) >= IN_FLIGHT:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()


def _then(chunks: Iterable[list[Asked]], more: Iterator[Asked]) -> Iterator[list[Asked]]:
    yield from chunks
    while chunk := _take(more, CHUNK):
        yield chunk


def _take(asked: Iterator[Asked], most: int) -> list[Asked]:
    return [one for _, one in zip(range(most), asked, strict=False)]


_loaded: list[Policies] = []
"""What this worker process decides by."""


def _prepare(sources: Mapping[str, str], known: Mapping[str, ActionShape]) -> None:
    _loaded.append(load(sources, known))


def _work(chunk: bytes) -> list[Again]:
    return [decide_again(_loaded[0], *one) for one in orjson.loads(chunk)]


def way(then: Decision, now: Decision) -> str | None:
    """Say which way a decision flips; None where it does not."""
    if then.allowed != now.allowed:
        return ALLOWED if now.allowed else DENIED
    before, after = _asks(then), _asks(now)
    if before == after:
        return None
    return MORE if before < after else LESS if after < before else OTHERWISE


def differing(then: Decision, now: Decision) -> tuple[str, ...]:
    """Name the rules, limits and prerequisites that counted in one of two decisions only."""
    return tuple(sorted(_counted(then) ^ _counted(now)))


def _asks(decision: Decision) -> frozenset[tuple[Any, ...]]:
    """Give what is asked for, whatever rule it is asked by; of equal ones, how many."""
    asked = [(one.kind, one.by, one.votes, one.assurance) for one in decision.requirements]
    return frozenset((*one, number) for place, one in enumerate(asked) for number in [asked[:place].count(one)])


def _counted(decision: Decision) -> set[str]:
    return {one.rule for one in decision.matched} | {one.limit for one in decision.limits if one.exceeded} | set(decision.missing)
