"""Check that the leaves are those over which the checkpoints were signed: each in its place, none changed, dropped or added."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import AuditError
from .checkpoint import Checkpoint, is_named, signed_size
from .log import Entry, Log
from .merkle import RightEdge
from .report import Finding, Report
from .signers import Rotation, Signers, rotation_in, rotations_of, signers_of


class Integrity:
    """The tree rebuilt leaf by leaf, held against every checkpoint as it reaches its size."""

    def __init__(self, log: Log, report: Report, begins: RightEdge) -> None:
        self._log, self._report = log, report
        self._edge = RightEdge(begins.size, begins.subtrees)
        self._begins = report.begins = self._edge.size
        # The index that the next entry must have: apart from the tree's size once an entry is missing or doubled.
        self._index = self._begins
        self.covered = self._begins  # leaves under the last checkpoint whose root was right
        self._sound = True  # until the first wrong root: after it every root is wrong, and says nothing new
        self._rotations: dict[int, Rotation] = {}  # by leaf; one goes when its leaf is met
        self.rotated: set[int] = set()  # leaves that rotate the signing key, as the log says
        self._to_sign: set[int] = set()  # sizes at which both keys of a rotation must have signed
        self._signers = self._read_signers()
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
        if self._index - 1 in self._rotations:
            self._check_rotation(entry, self._rotations.pop(self._index - 1))
        self._compare()

    def finish(self) -> None:
        """Close the books after the last entry."""
        report, size = self._report, self._edge.size
        report.uncovered = report.entries - (self.covered - self._begins)
        for leaf in sorted(self._rotations):
            self._find("rotation_missing", "the log says that its signing key was rotated here, but there is no such leaf", leaf)
        for at in sorted(self._to_sign):
            self._find(
                "rotation_unsigned", f"the signing key is rotated here, but both keys did not sign a checkpoint at size {at}", at - 1
            )
        if self._upcoming is not None:
            self._find("log_truncated", f"a checkpoint is signed for {self._upcoming.size} leaves, but the log ends after {size}")
        elif report.entries and not report.checkpoints:
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
                self._to_sign.discard(checkpoint.size)
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
            note = ""
            try:
                note = next(notes)
                checkpoint = self._signers.verify(note)
            except StopIteration:
                return
            except AuditError as error:
                if self._by_pruned_key(note):
                    self._report.unchecked += 1
                else:
                    self._find("checkpoint_invalid", error.message)
            else:
                self._report.checkpoints += 1
                yield checkpoint

    def _by_pruned_key(self, note: str) -> bool:
        """Say whether a note is of what was pruned, and by none of the keys that the log still tells of."""
        try:
            return signed_size(note) < self._begins and not any(is_named(note, self._log.origin, key) for key in self._signers.keys)
        except AuditError:
            return False

    def _read_signers(self) -> Signers:
        try:
            signers = signers_of(self._log)
        except AuditError as error:
            self._find("rotation_disordered", error.message)
            return Signers(self._log.origin, self._log.public_key)
        self._rotations = {one.leaf: one for one in rotations_of(self._log)}
        return signers

    def _check_rotation(self, entry: Entry, said: Rotation) -> None:
        """Hold a leaf to what the log says of its rotations, which was believed till here."""
        try:
            told = rotation_in(entry.leaf, self._log.origin)
        except AuditError:
            told = None
        if told == (said.old, said.new):
            self._to_sign.add(self._index)
            self.rotated.add(self._index - 1)
        else:
            self._find(
                "rotation_missing", "the log says that its signing key was rotated here, and the leaf does not say that", entry.index
            )

    def _find(self, code: str, message: str, leaf: int | None = None) -> None:
        self._report.add(Finding(code, message, leaf))
