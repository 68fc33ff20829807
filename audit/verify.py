"""Verify a log: that it is the one that was signed, and that what it tells makes sense.

Streaming: leaves are read once, in order; what is kept is the right edge of the tree and a few words on each call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from ..errors import AuditError
from .disclosure import Decide, check_decision, check_opening
from .effects import hold_together
from .erasures import Erasures
from .event import FINAL, KINDS
from .integrity import Integrity
from .leaf import Record, read
from .log import Entry, Log
from .merkle import RightEdge, leaf_hash
from .pruned import KIND as PRUNED
from .pruned import Prunings, begins_of
from .report import Finding, Report
from .series import Usage
from .signers import KEY_ROTATED
from .story import Story, Told

_PROGRESS_EVERY = 1_000
_PRUNED_MARK = f'"{PRUNED}"'.encode()


def verify(log: Log, *, decide: Decide | None = None, progress: Callable[[int], None] | None = None, meaning: bool = True) -> Report:
    """Check a log's integrity and meaning. A bad log is a report with findings; nothing is raised for it.

    `decide` reproduces decisions; without it they are counted as attested. `progress` is told the entries read, now and then.
    Without `meaning` the leaves are held against tree and signatures alone, unread: about ten times as fast. Of a log whose front was
    pruned, those that tell of it are read all the same: nothing else shows that no more is gone.
    """
    try:
        verification = _Verification(log, decide, begins_of(log), meaning=meaning)
    except AuditError as error:  # what it begins with can't be read
        return Report(found=1, findings=[Finding("unreadable", error.message)])
    report = verification.report
    try:
        for entry in log.entries():
            verification.add(entry)
            if progress is not None and report.entries % _PROGRESS_EVERY == 0:
                progress(report.entries)
    except AuditError as error:
        report.add(Finding("unreadable", error.message))
    verification.finish()
    if progress is not None:
        progress(report.entries)
    return report


class _Verification:
    def __init__(self, log: Log, decide: Decide | None, begins: RightEdge, *, meaning: bool) -> None:
        self.report = Report()
        self._meaning = meaning
        self._log_id = log.log_id
        self._tenant: str = getattr(log, "tenant", "")  # that of its first leaf, where it does not say whose it is
        self._decide = decide
        self._integrity = Integrity(log, self.report, begins)
        self._stories: dict[str, Story] = {}
        self._begins = begins
        self._usage = Usage(begun=bool(self._begins.size))
        self._erasures = Erasures()
        self._prunings = Prunings()
        self._decided: dict[str, tuple[int | None, str | None]] = {}  # by policies, the first call that they decided
        self._activated: set[str] = set()

    def add(self, entry: Entry) -> None:
        self.report.entries += 1
        computed = leaf_hash(entry.leaf)
        self._integrity.add(entry, computed)
        if self._meaning:
            self._read(entry, computed)
        elif self._begins.size and _PRUNED_MARK in entry.leaf:
            with suppress(AuditError):
                self._prunings.add(entry.index, read(entry.leaf).event)

    def _read(self, entry: Entry, computed: bytes) -> None:
        try:
            record = read(entry.leaf)
        except AuditError as error:
            self.report.add(Finding("leaf_malformed", error.message, entry.index))
            return
        event = record.event
        self._held_to_this_log(entry.index, record)
        if event.kind not in KINDS:
            self.report.add(Finding("kind_unknown", f"{event.kind!r} is not a kind of event", entry.index, event.call))
        proved = check_opening(entry.index, record, entry.opening, self.report)
        if event.kind == "call.decided":
            check_decision(entry.index, record, proved, self._decide, self.report)
            self._decided.setdefault(str(event.body.get("policy")), (entry.index, event.call))
        elif event.kind == KEY_ROTATED and entry.index is not None and entry.index not in self._integrity.rotated:
            said = "it rotates the signing key, but no checkpoint was signed by the old key and by the new"
            self.report.add(Finding("rotation_forged", said, entry.index))
        elif event.kind == "policy.activated":
            self._activated.add(str(event.body.get("policy")))
        self._prunings.add(entry.index, event)
        self._erasures.add(entry.index, event, commitments=len(record.commitments), opened=entry.opening is not None)
        for finding in self._usage.add(entry.index, event):
            self.report.add(finding)
        if event.call is not None:
            story = self._stories.get(event.call) or self._stories.setdefault(event.call, Story(event.call))
            for finding in story.add(Told(entry.index, computed, event, proved)):
                self.report.add(finding)

    def _held_to_this_log(self, leaf: int | None, record: Record) -> None:
        self._tenant = self._tenant or record.event.tenant
        if record.log != self._log_id:
            self.report.add(Finding("leaf_foreign", f"it is of the log {record.log!r}, not of {self._log_id!r}", leaf, record.event.call))
        if record.event.tenant != self._tenant:
            said = f"it is of the tenant {record.event.tenant!r}, not of {self._tenant!r}"
            self.report.add(Finding("leaf_foreign", said, leaf, record.event.call))

    def finish(self) -> None:
        self._integrity.finish()
        whole = self._whole()
        self.report.calls = len(self._stories)
        for story in whole.values():
            self.report.open_calls += story.state not in FINAL
        for findings in self._meant(whole):
            for finding in findings:
                self.report.add(finding)

    def _whole(self) -> dict[str, Story]:
        """Give the calls that are there from their first event: all, in a log whose front is there."""
        if not self._begins.size:
            return self._stories
        return {call: story for call, story in self._stories.items() if not story.begun_before}

    def _meant(self, whole: Mapping[str, Story]) -> Iterator[Iterator[Finding]]:
        begun, report = bool(self._begins.size), self.report
        report.unchecked += len(self._stories) - len(whole)
        for call, story in self._stories.items():
            yield story.finish() if call in whole else story.finish_begun()
        yield self._erasures.finish(report, begun=begun)
        yield self._usage.finish({call: story.state for call, story in whole.items()}, report)
        yield hold_together(whole, report, begun=begun)
        yield self._prunings.finish(self._begins, self._integrity.covered)
        yield self._inactive()

    def _inactive(self) -> Iterator[Finding]:
        """Report policies that decided and were never put in force; those of a pruned log may have been, before it begins."""
        inactive = sorted(self._decided.keys() - self._activated)
        if self._begins.size:
            self.report.unchecked += len(inactive)
            return
        for policies in inactive if self._activated else ():
            leaf, call = self._decided[policies]
            yield Finding("policy_inactive", f"it was decided by the policies {policies}, which were never put in force", leaf, call)
