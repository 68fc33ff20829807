"""Let in only as many new calls as can be answered soon: the others are refused at the door, quickly, and told when to come back.

What counts is how long a change stands in the journal's queue, which a busy loop and a slow disk both lengthen, and a slow provider
does not. A burst is let in: only where even the shortest wait within a while is long does the queue stand (as in CoDel, RFC 8289). What
was let in is never refused afterwards: retries, settling, and what people have agreed to go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import Overloaded, Unproved
from .journal import LONGEST_QUEUE

LONGEST_LINE = 2_000
"""Calls on their way at once in one process."""
STANDING = 0.4
"""Seconds that a change may stand in the queue, at the least, within `WHILE` seconds."""
WHILE = 0.2
FEW = 8
"""Calls on their way that are no line, however slow the disk is: what each waits for is then its own transaction."""
STALE = 1.0
"""Seconds after which what was seen says nothing any more."""
LONGEST_PAUSE = 60
LONGEST_UNPROVED = 60.0
"""Seconds that an event may wait for its checkpoint before nothing is let in that writes."""
UNPROVED_PAUSE = 10
"""Seconds after which whoever was refused for that may come back."""


class Admission:
    """See how long changes wait and how many calls come to rest, and say whether one more can be let in."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since, self._least, self._seen = now(), 0.0, 0.0
        self._standing = False
        self._rested, self._rate_since, self._rate = 0, now(), 0.0
        self._oldest: int | None = None
        self._oldest_since = now()

    def waited(self, seconds: float) -> None:
        """Take in how long the first change of a group has waited for its transaction to end."""
        now = self._now()
        if now - self._seen > STALE:
            self._since, self._least = now, seconds
        self._seen, self._least = now, min(self._least, seconds)
        if now - self._since >= WHILE:
            self._standing = self._least > STANDING
            self._since, self._least = now, seconds

    def rested(self) -> None:
        """Take in that a call has come to rest."""
        self._rested += 1
        if (passed := self._now() - self._rate_since) >= 1.0:
            self._rate = self._rested / passed
            self._rested, self._rate_since = 0, self._now()

    def admit(self, line: int, queue: int) -> None:
        """Raise `Overloaded` where one more call would be too many; `line` are on their way, and `queue` changes wait."""
        if not line:  # how fast calls come to rest is measured while there are some: a quiet hour is not slowness
            self._rested, self._rate_since = 0, self._now()
        stands = self._standing and line >= FEW and self._now() - self._seen <= STALE
        if stands or line >= LONGEST_LINE or queue >= LONGEST_QUEUE:
            raise Overloaded(after=self.pause(line))

    def unproved(self, oldest: int | None) -> None:
        """Take in the position of the oldest event that no checkpoint covers, if there is one."""
        if oldest != self._oldest:  # by how long this process sees it stand there, not by its time: clocks are set, and tests set them far
            self._oldest, self._oldest_since = oldest, self._now()

    def proved(self) -> None:
        """Raise `Unproved` where an event has waited too long for its checkpoint: what would be done next could not be proved either."""
        waited = self._now() - self._oldest_since
        if self._oldest is not None and waited >= LONGEST_UNPROVED:
            raise Unproved(
                f"The audit log is behind: its oldest event has waited for its checkpoint for {waited:.0f} seconds, so nothing was done. "
                f"Come back in {UNPROVED_PAUSE} seconds.",
                after=UNPROVED_PAUSE,
            )

    def pause(self, line: int) -> int:
        """Say in how many seconds those that are on their way will have come to rest, as far as can be told."""
        return max(1, min(LONGEST_PAUSE, round(line / self._rate))) if self._rate else 1
