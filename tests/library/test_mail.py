"""A mail is sent at most once, and what became of it is said no more surely than it is known."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from remit.actions.library.mail import SmtpMail
from remit.errors import DefinitionError, Refused, Retryable, Unsure
from remit.sandbox.mail import MailFault, MailServer
from tests.environments import free_port


@pytest.fixture
def sink():
    with MailServer() as served:
        yield served


def mail_through(port, **given):
    return SmtpMail("127.0.0.1", port, "support@example.org", **given)


async def send(mail, to="ada@example.org", subject="Hello", text="First\n.\n.second\nGrüße\n"):
    await mail.send(to, subject, text, message_id="call_1")


async def test_a_mail_arrives_word_for_word(sink):
    await send(mail_through(sink.port))
    (message,) = sink.messages
    assert message.as_bytes().isascii()
    assert (message["From"], message["To"], message["Subject"]) == ("support@example.org", "ada@example.org", "Hello")
    assert message["Message-ID"] == "<call_1@example.org>"
    assert message.get_content().splitlines() == ["First", ".", ".second", "Grüße"]


@pytest.mark.parametrize(
    ("fault", "signal", "arrived"), [(MailFault.REFUSED, Refused, 0), (MailFault.LATER, Retryable, 0), (MailFault.ANSWER_LOST, Unsure, 1)]
)
async def test_each_fault_is_said_as_surely_as_it_is_known(sink, fault, signal, arrived):
    sink.faults.append(fault)
    with pytest.raises(signal):
        await send(mail_through(sink.port))
    assert len(sink.messages) == arrived
    await send(mail_through(sink.port))
    assert len(sink.messages) == arrived + 1


@contextmanager
def scripted(*answers):
    """Answer each line with the next of `answers`; close when they run out, or at None."""

    def serve():
        with listener, listener.accept()[0] as connection, connection.makefile("rwb") as stream:
            for answer in answers:
                if answer is None:
                    return
                stream.write(answer + b"\r\n")
                stream.flush()
                line = stream.readline()
                if answer.startswith(b"354"):
                    while line not in {b".\r\n", b""}:
                        line = stream.readline()

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    thread.join()


OK = b"250 OK"


@pytest.mark.parametrize(
    ("answers", "signal"),
    [
        ([b"421 Not now", None], Retryable),
        ([b"554 Never", None], Refused),
        ([b"220 Hello", None], Retryable),
        ([b"220 Hello", OK, b"550 Not from you", None], Refused),
        ([b"nonsense", None], Retryable),
        ([b"220 Hello", OK, OK, None], Retryable),
        ([b"220 Hello", OK, OK, OK, b"451 Disk full", None], Retryable),
        ([b"220 Hello", OK, OK, OK, b"554 No", None], Refused),
        ([b"220 Hello", OK, OK, OK, b"354 Go on", None], Unsure),
        ([b"220 Hello", OK, OK, OK, b"354 Go on", b"nonsense", None], Unsure),
        ([b"220 Hello", OK, OK, OK, b"354 Go on", b"451 Later", None], Retryable),
        ([b"220 Hello", OK, OK, OK, b"354 Go on", b"554 It reads like spam", None], Refused),
        ([b"220 Hello", OK, OK, OK, b"354 Go on", OK, None], None),  # it hangs up instead of saying goodbye
    ],
)
async def test_what_each_moment_proves(answers, signal):
    with scripted(*answers) as port:
        if signal is None:
            await send(mail_through(port))
        else:
            with pytest.raises(signal) as raised:
                await send(mail_through(port))
            assert getattr(raised.value, "definite", False) is (signal is Refused)


async def test_nobody_there_is_retryable():
    with pytest.raises(Retryable):
        await send(mail_through(free_port()))


@pytest.mark.parametrize(
    "to",
    ["ada@example.org\r\nBcc: eve@example.org", "ada", "", "a@example.org, b@example.org", "ädä@example.org", "ada@example.org>", "<x@y>"],
)
async def test_what_is_no_single_address_is_refused_before_anything_is_sent(sink, to):
    with pytest.raises(Refused) as refused:
        await send(mail_through(sink.port), to=to)
    assert refused.value.definite and sink.messages == []


async def test_a_subject_can_smuggle_in_no_header(sink):
    with pytest.raises(Refused):
        await send(mail_through(sink.port), subject="Hello\r\nBcc: eve@example.org")
    assert sink.messages == []


async def test_checking_goes_as_far_as_sending_would_and_sends_nothing(sink):
    await mail_through(sink.port).check()
    assert sink.messages == []
    with pytest.raises(Retryable):
        await mail_through(free_port()).check()
    with scripted(b"220 Hello", OK, b"550 Not from you", None) as port, pytest.raises(Refused):
        await mail_through(port).check()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Make a certificate of 127.0.0.1 that vouches for itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.org")])
    start = datetime.now(UTC) - timedelta(hours=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start, start + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def guarded(certificate):
    """Serve with STARTTLS and a login, both required; give the port and what was received."""
    received = []

    class Keep:
        async def handle_DATA(self, server, session, envelope):
            received.append(envelope)
            return "250 OK"

    def authenticate(server, session, envelope, mechanism, login):
        return AuthResult(success=(login.login, login.password) == (b"shop", b"secret"), handled=False)

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    required = {"require_starttls": True, "auth_required": True, "authenticator": authenticate}
    controller = Controller(Keep(), "127.0.0.1", free_port(), tls_context=tls, **required)
    controller.start()
    yield controller.port, received
    controller.stop()


async def test_a_mail_goes_through_tls_and_a_login(guarded, certificate):
    port, received = guarded
    trusting = ssl.create_default_context(cafile=certificate)
    await send(mail_through(port, username="shop", password="secret", tls=trusting))
    assert [envelope.rcpt_tos for envelope in received] == [["ada@example.org"]]
    for wrong in (mail_through(port), mail_through(port, username="shop", password="other", tls=trusting)):
        with pytest.raises(Refused):
            await send(wrong)
    with pytest.raises(Retryable):  # a server that we don't trust is given nothing
        await send(mail_through(port, username="shop", password="secret", tls=ssl.create_default_context()))
    assert len(received) == 1


def test_a_password_is_not_shown_with_its_settings():
    assert "hunter2" not in repr(mail_through(25, username="shop", password="hunter2", tls=ssl.create_default_context()))


async def test_a_password_is_never_sent_in_clear(sink):
    with pytest.raises(DefinitionError, match="in clear"):
        mail_through(sink.port, username="shop", password="secret")
    with pytest.raises(Retryable):  # the server offers no STARTTLS
        await send(mail_through(sink.port, username="shop", password="secret", tls=ssl.create_default_context()))
    assert sink.messages == []
