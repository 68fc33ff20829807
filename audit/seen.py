"""Hold a log to a checkpoint of it that was seen before: whoever keeps one can't be shown an older log, or another history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..errors import AuditError
from .log import Entry, Log
from .pruned import begins_of
from .signers import rotations_of, signers_of


class SeenLog:
    """A log with one checkpoint more, that its reader kept: verified like its own.

    Raises AuditError when this log's key did not sign what was seen.
    """

    def __init__(self, log: Log, seen: str) -> None:
        self._log, self._seen = log, seen
        self.begins = begins_of(log)
        self.origin, self.log_id, self.public_key = log.origin, log.log_id, log.public_key
        self.tenant: str = getattr(log, "tenant", "")
        self.rotations, self._signers = rotations_of(log), signers_of(log)
        self._size = self._signers.verify(seen).size

    @property
    def pruned(self) -> bool:
        """Whether what was seen is of what was pruned since: then nothing shows that this log goes on from it."""
        return self._size < self.begins.size

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Give the log's entries from `start` on."""
        return self._log.entries(start)

    def checkpoints(self) -> Iterator[str]:
        """Give the log's notes with the seen one in its place; raises AuditError at the end when it is newer than all of them."""
        waiting, newest = True, 0
        for note in self._log.checkpoints():
            try:
                newest = self._signers.verify(note).size
            except AuditError:
                yield note  # the verifier says what is wrong with it
                continue
            if waiting and newest >= self._size:
                waiting = False
                yield self._seen
            yield note
        if waiting:
            raise AuditError(
                f"the newest checkpoint here is at size {newest}, older than the one at size {self._size} that was seen before: "
                "this is an old state of the log, or leaves were taken from its end"
            )

    def bundles(self) -> Mapping[str, Mapping[str, str]]:
        """Give the log's policy bundles."""
        return self._log.bundles()
