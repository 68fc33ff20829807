"""Say on what machine a figure was taken, and how much of its CPU went elsewhere meanwhile."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

STEAL = 7
IDLE = (3, 4)
"""Columns of the first line of /proc/stat, behind the word `cpu` (proc_stat(5))."""


def facts(folder: Path) -> dict[str, str | int]:
    """Name what the figures depend on; `folder` is where the databases lie."""
    return {
        "cores": os.cpu_count() or 1,
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "file system": _file_system(folder),
        "python": f"{platform.python_version()} ({'with' if 'pgo' in _build() else 'without'} profile-guided optimization)",
        "sqlite": sqlite3.sqlite_version,
    }


@dataclass(frozen=True, slots=True)
class Usage:
    """What the CPUs did up to a moment, in seconds: everything, stolen by the host, busy here, busy for us."""

    total: float
    stolen: float
    busy: float
    ours: float

    @classmethod
    def now(cls, children: Iterable[int] = ()) -> Usage:
        """Read the counters; `children` are processes that work for us. Where there is no /proc, nothing is known to be stolen."""
        if not Path("/proc/stat").exists():
            return cls(0, 0, 0, 0)
        tick = os.sysconf("SC_CLK_TCK")
        spent = [int(one) / tick for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        idle = sum(spent[one] for one in IDLE)
        ours = sum(os.times()[:4]) + sum(_cpu_of(child) / tick for child in children)
        return cls(sum(spent), spent[STEAL], sum(spent) - idle - spent[STEAL], ours)

    def since(self, before: Usage) -> tuple[float, float]:
        """Give the shares of all CPU time since then that were stolen, and that other processes here used."""
        total = self.total - before.total
        if total <= 0:
            return 0.0, 0.0
        others = (self.busy - before.busy) - (self.ours - before.ours)
        return (self.stolen - before.stolen) / total, max(0.0, others / total)


def _cpu_of(process: int) -> int:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0  # it has ended
    return int(fields[11]) + int(fields[12])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _file_system(folder: Path) -> str:
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return sys.platform
    place = str(folder.resolve())
    return max((mount for mount in mounts if place.startswith(mount[0])), key=lambda mount: len(mount[0]))[1]


def _build() -> str:
    flags = f"{sysconfig.get_config_var('CONFIG_ARGS')} {sysconfig.get_config_var('PY_CORE_CFLAGS')}"
    return "pgo" if "--enable-optimizations" in flags or "-fprofile-use" in flags else ""


def resident(process: int) -> float:
    """Give the memory that a process holds, in MB; 0 where there is no /proc."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def most_resident() -> float:
    """Give the MB that this process has held at most (`ru_maxrss` would tell of whoever started it, too)."""
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
