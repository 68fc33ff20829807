"""`make torture`: everything at full size, and bench/torture.md written from what was counted."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "bench" / "torture.md"
WHAT = ("tests/torture", "tests/test_proxy.py", "tests/simulation")
COLUMNS = {
    "kills": "kills, stops or runs",
    "refunds": "refunds made",
    "doubles": "paid twice",
    "lost": "lost",
    "unknown": "said to be unknown",
    "seconds": "seconds",
}


class Counted:
    """Count what became of the tests, as pytest says it."""

    def __init__(self) -> None:
        self.ends: dict[str, int] = {}

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        told = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
        self.ends = {end: len(terminalreporter.stats.get(end, [])) for end in told}


def summed(lines: Iterable[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Add up what was counted under one name."""
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for line in lines:
        for name, value in line.items():
            if name != "what":
                sums[line["what"]][{"stops": "kills", "runs": "kills"}.get(name, name)] += value
    return sums


def report(sums: dict[str, dict[str, float]], ends: dict[str, int], schedules: int, machine: dict[str, Any], now: datetime) -> str:
    """Write the report."""
    rows = [[what, *(f"{some[name]:,.0f}" if name in some else "" for name in COLUMNS)] for what, some in sums.items()]
    ended = ", ".join(f"{count} {end}" for end, count in ends.items() if count)
    return "\n".join(
        [
            "# Torture",
            "",
            f"Written by `make torture` on {now:%Y-%m-%dT%H:%M:%S+00:00}. Tests: {ended}. Simulated schedules: {schedules:,}.",
            "",
            *(f"- {name}: {value}" for name, value in machine.items()),
            "",
            f"| | {' | '.join(COLUMNS.values())} |",
            f"|---|{'---:|' * len(COLUMNS)}",
            *(f"| {' | '.join(row)} |" for row in rows),
            "",
            "A row that says *control* is a variant that is broken on purpose, and must pay twice: it shows that the kills hit.",
            "An empty field was not counted. What must be 0 in every other row is *paid twice* and *lost*; the log is verified after each.",
            "",
        ]
    )


def main() -> int:
    """Run everything at full size; further arguments and the exit status are pytest's."""
    from bench.machine import facts

    counted = Counted()
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "figures"
        kept.touch()
        os.environ |= {"REMIT_TORTURE": "full", "REMIT_SCHEDULES": os.environ.get("REMIT_SCHEDULES", "100000"), "REMIT_FIGURES": str(kept)}
        status = pytest.main(["-q", "-p", "no:cacheprovider", *WHAT, *sys.argv[1:]], plugins=[counted])
        lines = [json.loads(line) for line in kept.read_text().splitlines()]
        REPORT.write_text(report(summed(lines), counted.ends, int(os.environ["REMIT_SCHEDULES"]), facts(Path(folder)), datetime.now(UTC)))
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
