"""Thousands of histories, each thrown by a seed: processes die and sleep, commits and answers go missing, and nothing happens twice.

A failing seed is named; `python -m tests.simulation SEED` plays it again, the same. `REMIT_SCHEDULES` says how many there are.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.broken import BROKEN
from tests.simulation.provider import FATES
from tests.simulation.schedule import played

pytestmark = [
    # A process that dies leaves coroutines behind that never began.
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SCHEDULES = int(os.environ.get("REMIT_SCHEDULES", "2000"))
EACH = 200
"""Schedules in one test, so that processes can share them."""
ENOUGH = 600
"""Within so many seeds each broken runtime is found."""
LIKELY = {
    "no_effect_key": 2,
    "look_up_at_once": 227,
    "keys_live_for_ever": 232,
    "reserved_before": 66,
    "sent_late": 104,
    "refusal_is_proof": 78,
    "clocks_far_apart": 260,
}
"""Where some are found, and soon: to begin there saves time, and nothing else."""
EVENTS = {
    *("call.received", "call.decided", "call.held", "call.delayed", "call.intended", "call.became_unknown", "call.reconciled"),
    *("call.succeeded", "call.failed", "call.denied", "call.cancelled", "call.expired", "call.amended"),
    *("call.dead_lettered", "call.resolved", "call.undone", "effect.reversed", "approval.voted", "call.confirmed", "call.cancel_asked"),
    *("limit.reserved", "limit.released", "limit.exceeded", "switch.thrown", "switch.lifted", "policy.activated"),
}
ROOT = Path(__file__).parent.parent.parent


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, SCHEDULES, EACH))
def test_nothing_is_wrong_whatever_happens_when(first, tmp_path):
    for seed in range(first, min(first + EACH, SCHEDULES)):
        right(seed, tmp_path)


def right(seed, folder):
    result = played(seed, folder)
    assert not result.findings, f"python -m tests.simulation {seed}\n" + "\n".join(result.findings)
    return result


@pytest.mark.timeout(600)
def test_everything_happens_in_one_history_or_another(tmp_path):
    missing = {*EVENTS, "dies", "sleeps", "applied", "lost", "effect", "look-up", *FATES}
    for seed in range(SCHEDULES, SCHEDULES + ENOUGH):
        result = right(seed, tmp_path)
        missing -= result.kinds | {word for line in result.trace for word in line.split()[1:]}
        if not missing:
            return
    raise AssertionError(f"not much would have happened: {sorted(missing)} are missing")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_control_a_broken_runtime_is_found(broken, tmp_path):
    begin = LIKELY.get(broken.__name__, 0)
    with broken():
        assert any(played(seed, tmp_path).findings for seed in (*range(begin, ENOUGH), *range(begin)))


def test_a_seed_gives_the_same_history_each_time(tmp_path):
    for seed in (3, 5, 14):
        one, other = played(seed, tmp_path), played(seed, tmp_path)
        assert one.trace == other.trace and len(one.trace) > 20
    assert played(3, tmp_path).digest != played(4, tmp_path).digest, "the control"


def test_it_is_the_same_in_another_process(tmp_path):
    command = [sys.executable, "-W", "ignore", "-m", "tests.simulation", "5"]
    printed = {
        subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hashed}, capture_output=True, check=True
        ).stdout.splitlines()[-2]
        for hashed in ("1", "2")
    }
    assert printed == {played(5, tmp_path).digest.encode()}
