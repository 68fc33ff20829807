"""Check that the leaves are those over which the checkpoints were signed: each in its place, none changed, dropped or added."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import AuditError
from .checkpoint import Checkpoint, verify
from .log import Entry, Log
from .merkle import RightEdge
from .report import Finding, Report


class Integrity:
    """The tree rebuilt leaf by leaf, held against every checkpoint as it reaches its size."""

    def __init__(self, log: Log, report: Report, begins: RightEdge) -> None:
        self._log, self._report = log, report
        self._edge = RightEdge(begins.size, begins.subtrees)
        self._begins = report.begins = self._edge.size
        self._index = (
            self._begins
        )  # the index that the next entry must have; apart from the tree's size once an entry is missing or doubled
        self.covered = self._begins  # leaves under the last checkpoint whose root was right
        self._sound = True  # until the first wrong root: after it every root is wrong, and says nothing new
        self._signed = self._valid_checkpoints()
        self._upcoming = next(self._signed, None)
        self._compare()

    def add(self, entry: Entry, computed: bytes) -> None:
        """Take the next entry with the leaf hash computed from its bytes."""
        if entry.hash is not None and entry.hash != computed:
            self._find("leaf_changed", "its bytes are not those whose hash was stored beside it", entry.index)
        if entry.index is None:
            return
        if entry.index > self._index:
            self._find("leaf_missing", f"it is missing; the next that is there is leaf {entry.index}", self._index)
        elif entry.index < self._index:
            self._find("leaf_doubled", "there is more than one leaf of this index", entry.index)
        self._index = entry.index + 1
        self._edge.append(computed)
        self._compare()

    def finish(self) -> None:
        """Close the books after the last entry."""
        report, size = self._report, self._edge.size
        report.uncovered = report.entries - (self.covered - self._begins)
        if self._upcoming is not None:
            self._find("log_truncated", f"a checkpoint is signed for {self._upcoming.size} leaves, but the log ends after {size}")
        elif size and not report.checkpoints:
            self._find("no_checkpoint", "no valid checkpoint covers this log: nothing shows that it is whole")

    def _compare(self) -> None:
        while self._upcoming is not None and self._upcoming.size <= self._edge.size:
            checkpoint, self._upcoming = self._upcoming, next(self._signed, None)
            if checkpoint.size < self._begins == self._edge.size:
                self._report.unchecked += 1  # of what was pruned: its root can't be made again
                continue
            if checkpoint.size < self._edge.size:
                self._find("checkpoint_disordered", f"the checkpoint at size {checkpoint.size} comes after a larger one")
            elif checkpoint.root == self._edge.root():
                self.covered = checkpoint.size if self._sound else self.covered
            elif self._sound:
                self._sound = False
                leaves = f"leaves {self.covered} to {checkpoint.size - 1}" if checkpoint.size > self.covered else "leaves before it"
                self._find(
                    "root_differs",
                    f"the checkpoint at size {checkpoint.size} was signed over another tree: "
                    f"one of the {leaves} was changed, dropped, added or moved{self._or_before()}",
                )

    def _or_before(self) -> str:
        return ", or the log does not begin with what was pruned" if self._begins else ""

    def _valid_checkpoints(self) -> Iterator[Checkpoint]:
        notes = self._log.checkpoints()
        while True:
            try:
                checkpoint = verify(next(notes), self._log.origin, self._log.public_key)
            except StopIteration:
                return
            except AuditError as error:
                self._find("checkpoint_invalid", error.message)
            else:
                self._report.checkpoints += 1
                yield checkpoint

    def _find(self, code: str, message: str, leaf: int | None = None) -> None:
        self._report.add(Finding(code, message, leaf))
