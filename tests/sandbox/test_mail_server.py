"""The mail server of the sandbox: it keeps what it is sent, errs to order, and is gone when its block ends."""

from __future__ import annotations

import asyncio
import smtplib
import socket
from email.message import EmailMessage

import pytest

from remit.sandbox.mail import MailFault, MailServer


def deliver(port, subject="Hello", to="ada@example.org"):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "support@example.org", to, subject
    message.set_content("Text")
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as smtp:
        smtp.send_message(message)


def test_mails_are_kept_in_order():
    with MailServer() as sink:
        deliver(sink.port, "one")
        deliver(sink.port, "two")
        assert [message["Subject"] for message in sink.messages] == ["one", "two"]


def test_each_fault_strikes_one_mail():
    with MailServer() as sink:
        sink.faults += [MailFault.REFUSED, MailFault.ANSWER_LOST, MailFault.LATER]
        for raised, kept in ((smtplib.SMTPRecipientsRefused, 0), (smtplib.SMTPServerDisconnected, 1), (smtplib.SMTPRecipientsRefused, 1)):
            with pytest.raises(raised):
                deliver(sink.port)
            assert len(sink.messages) == kept
        deliver(sink.port)
        assert len(sink.messages) == 2


def test_it_ends_with_its_block_even_while_a_client_is_connected():
    with MailServer() as sink:
        client = socket.create_connection((sink.host, sink.port), timeout=5)
        assert client.recv(100).startswith(b"220")
    with client:
        assert client.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((sink.host, sink.port), timeout=5)


async def test_it_serves_from_within_an_event_loop_too():
    async with MailServer() as sink:
        await asyncio.to_thread(deliver, sink.port)
        with MailServer() as other:
            deliver(other.port)
        assert len(sink.messages) == len(other.messages) == 1


def test_a_busy_port_is_an_error_at_once():
    with MailServer() as sink, pytest.raises(OSError, match="in use"), MailServer(sink.port):
        pass
