"""Send one mail, at most once, over SMTP (RFC 5321).

A mail has no key, and nobody can ask the server later what became of it. So the moments are kept apart: until the message itself has
been sent nothing has happened; once it is sent, only the server's answer says what has.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from abc import ABC, abstractmethod
from contextlib import closing
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from ...errors import DefinitionError, Refused, Retryable, Unsure

_POLICY = SMTP.clone(cte_type="7bit")  # whether a server takes eight bits is its own business


class Mail(ABC):
    """Send mail. Both methods raise Retryable where the server can't be used just now, before anything was sent."""

    @abstractmethod
    async def send(self, to: str, subject: str, text: str, *, message_id: str) -> None:
        """Send a plain text to one address. Raise Refused where it was certainly not taken, Unsure where that is not known."""

    @abstractmethod
    async def check(self) -> None:
        """Do everything but send: what would stop any mail stops this."""


@dataclass(frozen=True, slots=True)
class SmtpMail(Mail):
    """Send from `sender` through the server at host and port; `timeout` is seconds for each step.

    `tls` says STARTTLS before anything else (RFC 3207). Raise DefinitionError for a login without it.
    """

    host: str
    port: int
    sender: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    timeout: float = 10

    def __post_init__(self) -> None:
        if self.username and not self.tls:
            raise DefinitionError("SmtpMail: a login needs tls=, or the password would be sent in clear")

    async def send(self, to: str, subject: str, text: str, *, message_id: str) -> None:
        """See Mail. `message_id` is what stands before the @ of the Message-ID, so that staff find the mail of a call."""
        try:
            to.encode("ascii")  # another address needs SMTPUTF8 (RFC 6531), which few servers have
            message = EmailMessage(policy=_POLICY)
            message["From"], message["To"], message["Subject"] = self.sender, Address(addr_spec=to), subject
            message["Message-ID"] = f"<{message_id}@{self.sender.partition('@')[2]}>"
            message.set_content(text)
            body = message.as_bytes()
        except (ValueError, IndexError, HeaderParseError) as error:  # a line break in a header, or no address at all
            raise Refused("This can't be written as a mail.", definite=True) from error
        await asyncio.to_thread(self._send, to, body)

    async def check(self) -> None:
        """See Mail: the session is opened up to the sender, and left."""
        await asyncio.to_thread(self._send, None, b"")

    def _send(self, to: str | None, body: bytes) -> None:
        try:
            # Closed without a QUIT: the answer to it could only spoil what is known by then.
            with closing(smtplib.SMTP(self.host, self.port, timeout=self.timeout)) as smtp:
                if self.tls:
                    smtp.starttls(context=self.tls)
                if self.username:
                    smtp.login(self.username, self.password or "")
                smtp.ehlo_or_helo_if_needed()
                _expect(smtp.mail(self.sender))
                if to is not None:
                    _expect(smtp.rcpt(to))
                    _transfer(smtp, body)
        except smtplib.SMTPResponseException as error:
            if 500 <= error.smtp_code < 600:
                raise Refused("The mail server refused.", definite=True, code="mail_refused") from error
            raise Retryable("The mail server asks to come back later.") from error
        except (OSError, UnicodeError) as error:  # smtplib's own exceptions are OSErrors too; a password outside ASCII is not
            raise Retryable("The mail server can't be used just now.") from error


def _transfer(smtp: smtplib.SMTP, body: bytes) -> None:
    try:
        _expect(smtp.data(body))
    except OSError as error:
        if isinstance(error, smtplib.SMTPResponseException) and 400 <= error.smtp_code < 600:
            raise  # the server says for certain that it has not taken the mail (RFC 5321, section 4.2.1)
        raise Unsure("The mail server's answer got lost after the mail was sent.") from error


def _expect(answer: tuple[int, bytes]) -> None:
    if not 200 <= answer[0] < 300:
        raise smtplib.SMTPResponseException(*answer)
