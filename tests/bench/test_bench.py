"""Every measurement runs at its smallest, and what is kept has the shape that readers rely on. No figure is asserted."""

from __future__ import annotations

import json
import math
from functools import partial

import pytest

from bench import __main__ as bench
from bench import decisions, filling, limits, one_step, scale, throughput, verifying, workload
from bench.program import Unavailable
from bench.report import page
from bench.sampling import LIMIT, SMALLEST, Measurement
from remit.runtime.series import SLICES
from tests.environments import ENVIRONMENTS

pytestmark = pytest.mark.timeout(600)  # all of it is measured before the first of them
BUILT, CEDAR, DBOS = ((ENVIRONMENTS / name / "pins").is_file() for name in ("ctrlrun", "cedarpy", "dbos"))
FIGURE = {"name", "value", "unit", "target", "met"}
RATES = {"calls/s", "workflows/s", "ms", "ms a call", "times", "µs", "s", "events/s", "decisions/s", "bytes", "MB"}
MEASURED = {"title", "figures", "notes", "stolen", "others", "repeated", "disturbed", "seconds"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "SCRATCH", tmp_path_factory.mktemp("bench"))
        patch.setattr(filling, "PEOPLE", 10)
        patch.setattr(scale, "PROCESSES", (1, 2))
        patch.setitem(bench.MEASUREMENTS, "throughput", partial(throughput.measure, others=BUILT))
        patch.setitem(bench.MEASUREMENTS, "aged", partial(throughput.measure, others=BUILT, aged=True))
        patch.setitem(bench.MEASUREMENTS, "one_step", partial(one_step.measure, others=DBOS))
        patch.setitem(bench.MEASUREMENTS, "verifying", partial(verifying.measure, others=BUILT))
        patch.setitem(bench.MEASUREMENTS, "decisions", partial(decisions.measure, others=CEDAR))
        return bench.run(SMALLEST, list(bench.MEASUREMENTS), lambda _: None)


def test_every_measurement_gives_figures_and_says_how_the_machine_was(results):
    assert json.loads(json.dumps(results)) == results
    assert results.keys() == {"date", "machine", "measurements", "load"}
    assert results["machine"].keys() == {"cores", "processor", "system", "file system", "python", "sqlite"}
    assert results["measurements"].keys() == bench.MEASUREMENTS.keys()
    for one in results["measurements"].values():
        assert one.keys() == MEASURED
        assert one["figures"]
        assert all(figure.keys() == FIGURE and math.isfinite(figure["value"]) for figure in one["figures"])
        assert all(figure["value"] > 0 for figure in one["figures"] if figure["unit"] in RATES)
        assert all((figure["target"] is None) == (figure["met"] is None) for figure in one["figures"])


def test_the_targets_of_the_design_are_held_against_what_was_measured(results):
    targets = [figure["target"] for one in results["measurements"].values() for figure in one["figures"] if figure["target"]]
    beside = ["≥ 3 times"] * 4 * BUILT + ["≥ 1 times"] * 2 * BUILT + ["≥ 10 times", "≥ 3 times"] * DBOS
    assert sorted(targets) == sorted(
        [
            "≤ 2.5 ms",
            "≤ 3",
            "≥ 1,000 (aim 2,000)",
            "≥ 600 (aim 1,200)",
            "≥ 700",
            "≤ 100 µs",
            "≤ 1,000 µs",
            "≤ 0.4 s",
            "≤ 1.5 s",
            "≤ 50 ms",
            "≤ 600 ms",
            "≤ 1.5",
            "≤ 300 MB",
            *["≤ 10 %", "≤ 1000 ms"] * 2,
            "≥ 250,000",
            "≥ 25,000",
            "≥ 5,000",
            *["0"] * 4,
            *["≤ 1.3"] * (5 + 2 * 8),
            *["≤ 100"] * (2 * 8),
            *["≤ 20"] * 2,
            *["≥ 8,000 decisions/s"] * 2,
            *beside,
        ]
    )


@pytest.mark.skipif(not CEDAR, reason="the environment of cedarpy is not built: make bench builds it")
def test_cedarpy_decides_in_the_same_rounds(results):
    names = [figure["name"] for figure in results["measurements"]["decisions"]["figures"]]
    assert {f"cedarpy 4.12.2, {rules} policies, p99" for rules in (1, 10, 100)} < set(names)


async def test_a_full_window_adds_up(tmp_path):
    runtime = await workload.open_runtime(tmp_path, limit=limits.EVERYBODY)
    await limits.fill(runtime, 122)
    await workload.submit(runtime)
    (rows, used) = await runtime.parts.store.row("SELECT count(*), sum(amount) FROM usage")
    assert rows == SLICES + 1 and used == 1_250 * (122 + 2)
    await runtime.close()


@pytest.mark.skipif(not BUILT, reason="the environment of CTRLRun is not built: make bench builds it")
def test_ctrlrun_is_measured_in_the_same_rounds(results):
    names = [figure["name"] for figure in results["measurements"]["throughput"]["figures"]]
    assert [name for name in names if throughput.THEIRS in name] == [f"{callers:2} callers: {throughput.THEIRS}" for callers in (1, 8, 64)]


def test_the_page_names_every_figure_and_what_was_missed(results):
    text = page(results)
    for one in results["measurements"].values():
        assert f"## {one['title']}" in text
        assert all(f"| {figure['name'].strip()} |" in text for figure in one["figures"])
    missed = any(figure["met"] is False for one in results["measurements"].values() for figure in one["figures"])
    assert ("Missed in this run" in text) == missed


async def test_a_disturbed_sample_is_taken_again_and_a_quiet_one_is_not(monkeypatch):
    stolen = iter([LIMIT * 2, 0.0, LIMIT / 2])

    class Usage:
        @classmethod
        def now(cls, _children):
            return cls()

        def since(self, _before):
            return next(stolen), 0.0

    monkeypatch.setattr("bench.sampling.Usage", Usage)
    measured, values = Measurement("one"), iter([1, 2, 3])
    assert await measured.sample(lambda: next(values)) == 2
    assert await measured.sample(lambda: next(values)) == 3
    assert (measured.stolen, measured.repeated, measured.disturbed) == ([0.0, LIMIT / 2], 1, False)


async def test_a_call_that_was_not_really_made_is_no_sample(tmp_path, monkeypatch):
    runtime = await workload.open_runtime(tmp_path)
    twice = workload.next_call()
    monkeypatch.setattr(workload, "next_call", lambda: twice)
    await workload.submit(runtime)
    with pytest.raises(AssertionError, match="repeated"):
        await workload.submit(runtime)
    await runtime.close()


@pytest.mark.skipif(not DBOS, reason="the environment of DBOS is not built: make bench builds it")
def test_dbos_is_measured_in_the_same_rounds(results):
    names = [figure["name"] for figure in results["measurements"]["one_step"]["figures"]]
    assert [name for name in names if name.endswith(one_step.THEIRS)] == [
        f"{where}, {callers} callers: DBOS 3.4.0" for where, each in one_step.CALLERS.items() for callers in each
    ]


async def test_what_can_not_be_had_is_said_and_the_rest_is_measured(tmp_path, monkeypatch):
    def nowhere():
        raise Unavailable("there is no PostgreSQL")

    monkeypatch.setattr("bench.server.database", nowhere)
    measured = await scale.measure(SMALLEST, tmp_path)
    assert (measured.figures, measured.notes) == ([], ["It was not measured: there is no PostgreSQL"])
    assert "## PostgreSQL" in page(
        {"date": "", "machine": {}, "load": [0, 0], "measurements": {"scale": measured.to_json() | {"seconds": 1.0}}}
    )
