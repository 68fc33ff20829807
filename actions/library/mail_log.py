"""Read in a mail server's own log what became of the mails that calls have sent: SMTP itself keeps nothing.

Postfix names each message in its log by a queue id, and notes its Message-ID once (`cleanup`) and what became of it for each recipient
(`status=`). Source: https://www.postfix.org/cleanup.8.html and https://www.postfix.org/bounce.8.html
"""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from ...errors import Retryable
from .. import Keeping, Ledger, LedgerEntry

_LINE = re.compile(r" postfix\S*/(\w+)\[\d+\]: ([0-9A-Za-z]{5,20}): (.*)")
_OURS = re.compile(r"message-id=<(call_[0-9a-f]+)@")
_STATUS = re.compile(r"\bstatus=(\w+)")


@dataclass(slots=True)
class _Mail:
    queued: str
    statuses: set[str] = field(default_factory=set)


class PostfixLog(Ledger):
    """Read the log files of a Postfix at `paths`, the rotated ones too, compressed or not: they must reach back as far as one compares.

    Give it to the runtime as a resource beside the mail connector. It tells of mails whose Message-ID is a call's, as `SmtpMail` writes
    it; all others on that server are none of Remit's business. One that passes the server twice, through a filter, is one mail.
    """

    kept: ClassVar[Mapping[str, Keeping]] = {"mail": Keeping.ALL}

    def __init__(self, *paths: str | os.PathLike[str]) -> None:
        self._paths = [Path(path) for path in paths]
        self._read: tuple[object, dict[str, _Mail]] = (None, {})

    async def entries_about(self, effect: str, about: str) -> AsyncIterator[LedgerEntry]:
        """Give the mail of one call."""
        mails = await asyncio.to_thread(self._mails)
        if about in mails:
            yield _entry(effect, about, mails[about])

    async def entries_since(self, effect: str, since: datetime) -> AsyncIterator[LedgerEntry]:
        """Give every mail of a call that the files tell of: their lines may not say the year."""
        del since
        for call, mail in (await asyncio.to_thread(self._mails)).items():
            yield _entry(effect, call, mail)

    def _mails(self) -> dict[str, _Mail]:
        try:
            seen = [(path, found.st_size, found.st_mtime_ns) for path in self._paths if (found := path.stat())]
            if self._read[0] != seen:
                self._read = (seen, _found(line for path in self._paths for line in _lines(path)))
        except (OSError, EOFError, zlib.error) as error:
            raise Retryable("The mail log can't be read.") from error
        return self._read[1]


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as begun:
        opened = gzip.open if begun.read(2) == b"\x1f\x8b" else open  # as logrotate leaves older ones
    with opened(path, "rt", encoding="utf-8", errors="replace") as file:
        yield from file


def _found(lines: Iterator[str]) -> dict[str, _Mail]:
    """Read lines in order into mails by call. A queue id may be used again for another mail later."""
    mails, queued = dict[str, _Mail](), dict[str, _Mail]()
    for line in lines:
        if (read := _LINE.search(line)) is None:
            continue
        program, queue, said = read.groups()
        if program == "cleanup" and "message-id=" in said:
            queued.pop(queue, None)
            if ours := _OURS.match(said):
                queued[queue] = mails.setdefault(ours[1], _Mail(queue))
        elif queue in queued and (status := _STATUS.search(said)):
            queued[queue].statuses.add(status[1])
        elif queue in queued and said.startswith("removed"):
            del queued[queue]
    return mails


def _entry(effect: str, call: str, mail: _Mail) -> LedgerEntry:
    """A mail stands unless all that is said of it is that it came back."""
    came_back = bool(mail.statuses) and mail.statuses <= {"bounced", "expired"}
    return LedgerEntry(effect, mail.queued, call, call=call, stands=not came_back)
