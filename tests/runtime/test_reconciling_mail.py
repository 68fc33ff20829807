"""The log against a mail server's own: a mail has gone where a call says so, and to nobody where it does not."""

import gzip

import pytest

from remit.actions.library.accounts import send_password_reset
from remit.actions.library.directory import ScimDirectory
from remit.actions.library.mail import SmtpMail
from remit.actions.library.mail_log import PostfixLog
from remit.actions.library.reset_links import ResetLinks
from remit.sandbox.directory import DirectoryServer, Person
from remit.sandbox.mail import MailServer
from tests.runtime.paying import codes, opened

POLICIES = {"resets": 'policy: resets\nactions: [send_password_reset]\nrules:\n  - {id: all, when: "true", then: allow}\n'}


class Postfix:
    """Writes the log of a Postfix for what the sandbox's server was sent."""

    def __init__(self, server, path):
        self.server, self.path, self.written = server, path, 0
        path.write_text("")

    def write(self, *, leave_out=0):
        with self.path.open("a") as log:
            for mail in self.server.messages[self.written : len(self.server.messages) - leave_out]:
                self.written += 1
                self.line(log, "cleanup", f"message-id={mail['Message-ID']}")
                self.line(log, "smtp", f"to=<{mail['To']}>, relay=mail.example.org, status=sent (250 OK)")

    def line(self, log, program, said):
        log.write(f"Nov 27 21:32:27 mx1 postfix/{program}[811]: 4F2K1Q{self.written:06}: {said}\n")


@pytest.fixture
def postfix(tmp_path):
    with MailServer() as server:
        yield Postfix(server, tmp_path / "mail.log")


@pytest.fixture
async def desk(world, postfix, tmp_path):
    with DirectoryServer([Person("acc_ada", "ada", "ada@example.org")]) as directory:
        resources = [
            ScimDirectory(f"{directory.url}/v2"),
            SmtpMail(postfix.server.host, postfix.server.port, "support@shop.example.org"),
            ResetLinks(tmp_path / "links.db", address="https://shop.example.org/reset?token="),
            PostfixLog(postfix.path),
        ]
        async with opened(world, send_password_reset, policies=POLICIES, resources=resources) as desk:
            yield desk


async def test_a_log_that_was_rotated_and_compressed_is_read(desk, postfix):
    assert (await desk.asks("send_password_reset", account="ada")).ok
    postfix.write()
    whole = gzip.compress(postfix.path.read_bytes())
    postfix.path.write_bytes(whole)
    report = await desk.compare()
    assert (codes(report), report.agree) == ([], 1)
    for cut in (whole[:-9], whole[:20] + b"\0" * 20):
        postfix.path.write_bytes(cut)
        report = await desk.compare()
        assert (report.complete, report.found, report.unread[0].why) == (False, 0, "The mail log can't be read")


async def test_what_was_mailed_is_in_the_mail_servers_log_and_who_is_nobody_got_none(desk, postfix):
    assert (await desk.asks("send_password_reset", account="ada")).ok
    assert (await desk.asks("send_password_reset", account="nobody")).ok
    assert len(postfix.server.messages) == 1
    postfix.write()
    report = await desk.compare()
    assert (codes(report), report.agree, report.nothing_entered, report.entries) == ([], 1, 1, 1)
    assert report.ledgers == ("PostfixLog",)


async def test_a_mail_that_the_server_has_never_seen_is_found(desk, postfix):
    outcome = await desk.asks("send_password_reset", account="ada")
    postfix.write(leave_out=1)
    assert codes(await desk.compare()) == [("missing_at_provider", outcome.call_id, None)]


async def test_a_mail_in_the_name_of_no_call_is_found_and_other_mail_is_nobodys_business(desk, postfix):
    with postfix.path.open("a") as log:
        postfix.line(log, "cleanup", "message-id=<newsletter@shop.example.org>")
        postfix.written += 1
        postfix.line(log, "cleanup", "message-id=<call_0000000000000000@shop.example.org>")
    assert codes(await desk.compare()) == [("unknown_to_log", "call_0000000000000000", "4F2K1Q000001")]
