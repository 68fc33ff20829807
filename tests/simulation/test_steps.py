"""The same world, step by step as hypothesis likes it: what fails is made as small as it gets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.simulation.broken import no_effect_key, no_version
from tests.simulation.checking import Checked
from tests.simulation.schedule import NAMES, Driver, quiesce
from tests.simulation.world import Process, World

pytestmark = [
    # A process that dies leaves coroutines behind that never began.
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
EXAMPLES = max(60, int(os.environ.get("REMIT_SCHEDULES", "2000")) // 30)
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=14,
    deadline=None,
    derandomize="REMIT_SCHEDULES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
DICE = st.integers(0, 10_000)


class Steps(RuleBasedStateMachine):
    """One world; each rule does one thing to it, and time passes after it."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()

    @initialize(seed=st.integers(0, 1000), faults=st.sampled_from([0, 0.05]), broken=st.sampled_from([0.1, 0.6]))
    def begins(self, seed, faults, broken):
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.world = self.stack.enter_context(World.make(seed, folder))
        self.world.disk.faults, self.world.disk.slow, self.world.provider.faults = faults, 0.5, broken
        self.driver = Driver(self.world)
        self.world.begin()
        self.world.run(asyncio.sleep(1))

    @property
    def usable(self) -> list[Process]:
        return [one for one in self.world.processes if one.usable]

    @precondition(lambda self: self.usable)
    @rule(
        name=st.sampled_from(NAMES),
        thing=st.sampled_from(["t1", "t3"]),
        minor=st.sampled_from([500, 1800, 2500]),
        key=st.sampled_from([f"k{number}" for number in range(6)]),
        conversation=st.sampled_from(["c1", "c2"]),
        number=st.integers(0, 2),
    )
    def submits(self, name, thing, minor, key, conversation, number):
        request = {"name": name, "thing": thing, "minor": minor, "key": key, "conversation": conversation}
        self.driver.requests.append(request)
        self.world.submit(self.usable[number % len(self.usable)], **request)

    @precondition(lambda self: self.usable)
    @rule(
        step=st.sampled_from(["again", "person", "undo", "control", "crash", "stop", "sleep", "begin"]), dice=DICE, number=st.integers(0, 2)
    )
    def does(self, step, dice, number):
        self.driver.dice = random.Random(dice)
        getattr(self.driver, step)(self.usable[number % len(self.usable)])

    @rule(seconds=st.sampled_from([0.01, 0.05, 0.3, 2, 20, 70, 130, 500]))
    def passes(self, seconds):
        self.world.run(asyncio.sleep(seconds))

    @precondition(lambda self: not self.world.processes)
    @rule()
    def starts(self):
        self.world.begin()
        self.world.run(asyncio.sleep(1))

    def teardown(self) -> None:
        with self.stack:
            if hasattr(self, "world"):
                findings = Checked(self.world, self.world.run(quiesce(self.world))).findings()
                assert not findings, "\n".join(findings)


@pytest.mark.timeout(1800)
def test_nothing_is_wrong_step_by_step():
    run_state_machine_as_test(Steps, settings=SETTINGS)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("broken", [no_effect_key, no_version], ids=lambda broken: broken.__name__)
def test_control_a_broken_runtime_fails_step_by_step(broken):
    with broken(), pytest.raises(AssertionError):
        run_state_machine_as_test(Steps, settings=settings(SETTINGS, max_examples=300, phases=[Phase.generate]))
