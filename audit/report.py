"""What a verification found, what it checked, and what it could not check."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from .event import Json

CAP = 100
"""Findings that are kept; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `leaf` is its index, None when it can't be laid to one leaf; `code` is stable, for machines."""

    code: str
    message: str
    leaf: int | None = None
    call: str | None = None

    def __str__(self) -> str:
        places = [f"leaf {self.leaf}" if self.leaf is not None else "", f"call {self.call}" if self.call else ""]
        place = ", ".join(filter(None, places))
        return f"{place}: {self.message}" if place else self.message


@dataclass(slots=True)
class Report:
    """The result of `verify`, filled as the log is read.

    `uncovered` counts the entries under no valid checkpoint: the database alone protects them. `sealed` counts the commitments
    that this reader can't open (`erased`: those of them whose person a `subject.erased` event names), and `attested` the decisions that were recorded but not reproduced, for want of an opening or
    because `verify` was given no `decide`. A log whose front was pruned `begins` at a leaf other than 0; `unchecked` counts what could
    not be held against events before that: calls whose first events are gone, series of limits that had begun, checkpoints, and what refers
    to calls, policies or holds that the log does not have. None of these is a failure.
    """

    entries: int = 0
    calls: int = 0
    open_calls: int = 0
    checkpoints: int = 0
    uncovered: int = 0
    opened: int = 0
    sealed: int = 0
    mismatched: int = 0
    reproduced: int = 0
    attested: int = 0
    erased: int = 0
    begins: int = 0
    unchecked: int = 0
    found: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing wrong was found."""
        return self.found == 0

    @property
    def first(self) -> Finding | None:
        """The finding with the lowest leaf; one that can't be laid to a leaf only if there is no other."""
        return min(self.findings, key=lambda finding: (finding.leaf is None, finding.leaf or 0), default=None)

    def add(self, finding: Finding) -> None:
        """Take a finding in: kept up to the cap, always counted."""
        self.found += 1
        if len(self.findings) < CAP:
            self.findings.append(finding)

    def to_json(self) -> dict[str, Json]:
        """Give everything as a JSON object, with `ok`, and `first` in words."""
        return {"ok": self.ok, "first": str(self.first) if self.first else None, **asdict(self)}
