"""What the measurements count is really so: refusals, doubles, losses, growth, and where time goes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace

import pytest

from bench import memory, overload, scale, time_spent, workload
from bench.program import Worker, together
from bench.sampling import SMALLEST, Measurement
from bench.server import database


async def test_whoever_comes_to_a_full_line_is_refused_and_told_to_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr("remit.runtime.admission.LONGEST_LINE", 4)
    monkeypatch.setattr(overload, "CALLERS", 4)
    measured = await overload.measure(SMALLEST, tmp_path)
    figures = {figure.name: figure.value for figure in measured.figures}
    assert figures["refused"] > 0
    assert figures["refused that are told to come back later"] == 100


async def test_calls_come_when_they_are_due_whatever_became_of_those_before(monkeypatch):
    class Stuck:
        async def submit(self, *_call):
            await asyncio.sleep(0.2)
            return

    answers = await overload.offer(Stuck(), 100.0, 0.1)
    assert len(answers) == 10
    assert all(one.called < 0.2 for one in answers), "all were made before the first was answered"


async def test_control_a_call_that_was_let_in_and_not_done_is_no_figure(tmp_path):
    runtime = await workload.open_runtime(tmp_path)
    twice = workload.next_call()
    await runtime.submit(*twice)
    again = await runtime.submit(*twice)
    await runtime.close()
    with pytest.raises(AssertionError, match="repeated"):
        overload.conclude(Measurement("one"), [overload.Answer(0.0, 0.0, 0.1, again)], 1.0, 1.0)


ALL = Counter(f"pay_{number}" for number in range(4))


@pytest.mark.parametrize(
    ("executed", "same", "twice", "lost"),
    [
        (ALL, [{"done": 3, "repeated": 1}, {"done": 1, "repeated": 3}], 0, 0),
        (ALL + Counter(["pay_2"]), [{"done": 3, "repeated": 1}, {"done": 1, "repeated": 3}], 1, 0),
        (ALL - Counter(["pay_2"]), [{"done": 3, "repeated": 1}, {"done": 1, "repeated": 3}], 0, 1),
        (ALL, [{"done": 3, "repeated": 0}, {"done": 1, "repeated": 3}], 0, 1),
        (ALL, [{"done": 4, "repeated": 0}, {"done": 1, "repeated": 3}], 0, 1),
    ],
    ids=[
        "as it should be",
        "control: one ran twice",
        "control: one never ran",
        "control: one got no answer",
        "control: two say they did it",
    ],
)
def test_doubles_and_losses_are_counted(executed, same, twice, lost):
    assert scale.counts(executed, same, 4) == {"executed twice": twice, "calls lost": lost}


def test_processes_that_make_the_same_calls_execute_each_once(tmp_path):
    with database() as url, Worker(tmp_path, url=url, keeping=True) as one:
        one.ask({})
        with Worker(tmp_path, url=url, keeping=True) as other:
            other.ask({})
            same = together([one, other], {"same": [0, 10], "callers": 4})
            executed = [payment for told in together([one, other], {"executed": True}) for _, payment, _ in told["executed"]]
    assert sorted(executed) == sorted(f"pay_{number}" for number in range(10))
    assert sum(each["done"] for each in same) == 10 and not any(each["other"] for each in same)


def test_a_slope_is_that_of_the_line_that_fits_best():
    assert memory.slope([(0, 5.0), (10, 7.0), (20, 9.0)]) == pytest.approx(0.2)
    assert memory.slope([(0, 5.0), (10, 5.0)]) == 0
    assert memory.slope([(3, 5.0)]) == 0


def test_what_the_loop_does_is_counted_under_its_phase():
    from remit.audit import canonical

    with time_spent.watching() as counted:
        until = time.process_time() + 0.1
        while time.process_time() < until:
            canonical({f"key_{number}": number for number in range(50)})
    assert counted["record: leaves, commitments"] > 0


async def test_a_loop_that_waits_is_seen_waiting():
    with time_spent.watching() as counted:
        await asyncio.sleep(0.1)
    assert counted.most_common(1)[0][0].startswith("waits")


def test_every_named_phase_names_code_that_is_there():
    for name, part, functions in time_spent.PHASES:
        place = time_spent.ROOT / part if not part.startswith("/") else time_spent.ROOT.__class__(part)
        assert place.exists(), name
        text = place.read_text() if functions else ""
        assert all(f"def {function}(" in text for function in functions), (name, functions)


async def test_control_a_process_that_keeps_what_it_was_asked_is_seen_to_grow(tmp_path, monkeypatch):
    held = iter(range(10_000))

    class Keeping:
        process = 0

        def __init__(self, _folder):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            pass

        def ask(self, _question):
            return {}

        def round(self, _calls, _callers):
            next(held)

    monkeypatch.setattr(memory, "Worker", Keeping)
    monkeypatch.setattr(memory, "resident", lambda _process: 100.0 + 5 * (next(held) // 2))
    measured = await memory.measure(replace(SMALLEST, lasting=100_000), tmp_path)
    growth = measured.figures[-1]
    assert growth.value > memory.FLAT and growth.met is False
