"""What was found when a deployment was looked over: a verdict in words, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .opening import Ask

if TYPE_CHECKING:
    from .runtime import Runtime

Verdict = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `calls` names some of those that it is about."""

    about: str
    verdict: Verdict
    found: str
    do: str = ""
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is looked over, and how: `ask` reads, `server` says that it is PostgreSQL, `now` is in microseconds."""

    ask: Ask
    runtime: Runtime
    server: bool
    now: int

    @property
    def tenant(self) -> str:
        """Name the tenant that is looked over."""
        return self.runtime.tenant

    @property
    def name(self) -> str:
        """Name the database to people, without its password."""
        if isinstance(self.runtime.database, Path):
            return self.runtime.database.name
        from .postgres import name_of

        return name_of(self.runtime.database)


def seconds(micros: int) -> str:
    """Write a span of time for people: `12 s`, `3 min`, `5 h`, `2 d`, rounded down."""
    whole = micros // 1_000_000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"
