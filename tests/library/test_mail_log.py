"""A Postfix log as Postfix writes it, read for what became of the mails of calls."""

from datetime import UTC, datetime

import pytest

from remit.actions.library.mail_log import PostfixLog
from remit.errors import Retryable

LOG = """\
Nov 27 21:32:27 mx1 postfix/smtpd[811]: 4F2K1Q3zWmz1: client=desk.example.org[192.0.2.7]
Nov 27 21:32:27 mx1 postfix/cleanup[812]: 4F2K1Q3zWmz1: message-id=<call_1a21efa41501@shop.example.org>
Nov 27 21:32:27 mx1 postfix/qmgr[700]: 4F2K1Q3zWmz1: from=<support@shop.example.org>, size=812, nrcpt=1 (queue active)
Nov 27 21:32:28 mx1 postfix/cleanup[812]: 4F2K1Q40Abz2: message-id=<20261127213228.GA1@elsewhere.example.org>
2026-11-27T21:32:28.123456+00:00 mx1 postfix/cleanup[813]: 4F2K1Q41Xyz3: message-id=<call_1a21efa41502@shop.example.org>
Nov 27 21:32:29 mx1 postfix/smtp[815]: 4F2K1Q3zWmz1: to=<ada@example.org>, relay=mail.example.org[198.51.100.1]:25, delay=1.2, dsn=2.0.0, status=sent (250 OK)
Nov 27 21:32:29 mx1 postfix/qmgr[700]: 4F2K1Q3zWmz1: removed
2026-11-27T21:32:30.123456+00:00 mx1 postfix/smtp[816]: 4F2K1Q41Xyz3: to=<bob@example.org>, relay=none, delay=2, dsn=5.1.1, status=bounced (550 no such user)
2026-11-27T21:32:30.223456+00:00 mx1 postfix/qmgr[700]: 4F2K1Q41Xyz3: removed
Nov 27 21:32:31 mx1 postfix/cleanup[812]: 4F2K1Q3zWmz1: message-id=<of-another-mail@elsewhere.example.org>
Nov 27 21:32:32 mx1 postfix/smtp[815]: 4F2K1Q3zWmz1: to=<eve@example.org>, relay=none, status=bounced (550 no)
Nov 27 21:32:33 mx1 postfix/cleanup[812]: 4F2K1Q42Def4: message-id=<call_1a21efa41503@shop.example.org>
Nov 27 21:32:34 mx1 postfix/smtp[815]: 4F2K1Q42Def4: to=<cem@example.org>, relay=none, status=deferred (timed out)
"""


async def all_of(entries):
    return [(one.call, one.reference, one.about, one.stands) async for one in entries]


async def test_it_tells_of_the_mails_of_calls_and_of_no_others(tmp_path):
    (tmp_path / "mail.log").write_text(LOG)
    log = PostfixLog(tmp_path / "mail.log")
    expected = [
        ("call_1a21efa41501", "4F2K1Q3zWmz1", "call_1a21efa41501", True),  # its queue id is used again, for a mail that bounces
        ("call_1a21efa41502", "4F2K1Q41Xyz3", "call_1a21efa41502", False),
        ("call_1a21efa41503", "4F2K1Q42Def4", "call_1a21efa41503", True),  # it is tried again
    ]
    assert await all_of(log.entries_since("mail", datetime.now(UTC))) == expected
    assert await all_of(log.entries_about("mail", "call_1a21efa41502")) == [expected[1]]
    assert await all_of(log.entries_about("mail", "call_9")) == []


async def test_several_files_are_read_and_what_is_appended_is_seen(tmp_path):
    first, second = "".join(LOG.splitlines(True)[:5]), "".join(LOG.splitlines(True)[5:])
    (tmp_path / "mail.log.1").write_text(first)
    (tmp_path / "mail.log").write_text("")
    log = PostfixLog(tmp_path / "mail.log.1", tmp_path / "mail.log")
    assert len(await all_of(log.entries_since("mail", datetime.now(UTC)))) == 2
    (tmp_path / "mail.log").write_text(second)
    assert [stands for *_, stands in await all_of(log.entries_since("mail", datetime.now(UTC)))] == [True, False, True]


async def test_a_log_that_is_not_there_says_nothing(tmp_path):
    with pytest.raises(Retryable):
        await all_of(PostfixLog(tmp_path / "mail.log").entries_about("mail", "call_1"))
