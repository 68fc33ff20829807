"""Check what a log says of erasures and legal holds: nothing of a person who was erased opens, and nobody is erased under a hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .event import Event
from .report import Finding, Report

KINDS = frozenset(["subject.erased", "erasure.completed", "hold.placed", "hold.lifted"])


@dataclass(frozen=True, slots=True)
class _Erased:
    leaf: int | None
    at: str


@dataclass(frozen=True, slots=True)
class _Held:
    subject: str
    at: str


class Erasures:
    """Follow erasures and holds. Times are the database's own; the order of leaves says nothing."""

    __slots__ = ("_completed", "_erased", "_holds", "_lifted", "_opened", "_sealed")

    def __init__(self) -> None:
        self._erased: dict[str, _Erased] = {}
        self._completed: list[tuple[int | None, str]] = []
        self._holds: dict[str, _Held] = {}
        self._lifted: dict[str, str] = {}
        self._opened: dict[str, int | None] = {}  # by subject the first leaf of which something opens
        self._sealed: dict[str, int] = {}  # by subject how many commitments don't open

    def add(self, leaf: int | None, event: Event, *, commitments: int, opened: bool) -> None:
        """Take an event in, with how many commitments it holds, and whether its opening was there."""
        if event.kind in KINDS:
            self._take(leaf, event)
        if event.subject is not None and commitments:
            if opened:
                self._opened.setdefault(event.subject, leaf)
            else:
                self._sealed[event.subject] = self._sealed.get(event.subject, 0) + commitments

    def finish(self, report: Report, *, begun: bool = False) -> Iterator[Finding]:
        """Count in the report what an erasure seals, and give what is wrong; in a log that had `begun` before, what refers to that is counted."""
        report.erased = sum(self._sealed.get(subject, 0) for subject in self._erased)
        for subject, erased in self._erased.items():
            if subject in self._opened:
                message = f"{subject} was erased, but what was kept about them at leaf {self._opened[subject]} still opens"
                yield Finding("erased_opened", message, erased.leaf)
        for hold_id, hold in self._holds.items():
            lifted, found = self._lifted.get(hold_id), self._erased.get(hold.subject)
            if found and hold.at <= found.at and (lifted is None or found.at < lifted):
                yield Finding("erased_under_hold", f"{hold.subject} was erased while the legal hold {hold_id} stood", found.leaf)
        unplaced = self._lifted.keys() - self._holds.keys()
        unerased = [(leaf, subject) for leaf, subject in self._completed if subject not in self._erased]
        if begun:
            report.unchecked += len(unplaced) + len(unerased)
            return
        for hold_id in sorted(unplaced):
            yield Finding("hold_unknown", f"the hold {hold_id} was lifted, but never placed")
        for leaf, subject in unerased:
            yield Finding("completed_unerased", f"the erasure of {subject} is said to be complete, but never happened", leaf)

    def _take(self, leaf: int | None, event: Event) -> None:
        match event.kind:
            case "subject.erased" if event.subject is not None:
                self._erased.setdefault(event.subject, _Erased(leaf, event.at))
            case "erasure.completed":
                named = event.body.get("subjects")
                self._completed += [(leaf, str(one)) for one in (named if isinstance(named, list) else ())]
            case "hold.placed":
                self._holds.setdefault(str(event.body.get("hold")), _Held(event.subject or "", event.at))
            case "hold.lifted":
                self._lifted.setdefault(str(event.body.get("hold")), event.at)
            case _:
                pass
