"""Decide recorded inputs once more under other policies, and say which way the decision flips."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from .decide import decide
from .decision import Decision
from .facts import Inputs
from .loader import load
from .rules import Policies

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
    same = before["allowed"] == now.allowed and before.get("delay", 0) == now.delay
    if same and before["requirements"] == [one.to_json() for one in now.requirements]:
        return Again(approvals)  # as most do
    then = Decision.from_json(before)
    flips = way(then, now)
    return Again(approvals, flips, differing(then, now), now.reason) if flips else Again(approvals)


def serve() -> None:
    """Decide what comes on standard input until it ends: the life of a worker."""
    sources, known = pickle.load(sys.stdin.buffer)  # noqa: S301 - what our own parent process says
    policies = load(sources, known)
    with suppress(EOFError, BrokenPipeError):
        while True:
            chunk = orjson.loads(pickle.load(sys.stdin.buffer))  # noqa: S301
            pickle.dump([decide_again(policies, *one) for one in chunk], sys.stdout.buffer)
            sys.stdout.flush()


def way(then: Decision, now: Decision) -> str | None:
    """Say which way a decision flips; None where it does not."""
    if then.allowed != now.allowed:
        return ALLOWED if now.allowed else DENIED
    before, after = _asks(then), _asks(now)
    if before == after and then.delay == now.delay:
        return None
    if before <= after and then.delay <= now.delay:
        return MORE
    return LESS if after <= before and now.delay <= then.delay else OTHERWISE


def differing(then: Decision, now: Decision) -> tuple[str, ...]:
    """Name the rules, limits and prerequisites that counted in one of two decisions only."""
    return tuple(sorted(_counted(then) ^ _counted(now)))


def _asks(decision: Decision) -> frozenset[tuple[Any, ...]]:
    """Give what is asked for besides time, whatever rule it is asked by; of equal ones, how many."""
    asked = [(one.kind, one.by, one.votes, one.assurance) for one in decision.requirements]
    return frozenset((*one, number) for place, one in enumerate(asked) for number in [asked[:place].count(one)])


def _counted(decision: Decision) -> set[str]:
    return {one.rule for one in decision.matched} | {one.limit for one in decision.limits if one.exceeded} | set(decision.missing)
