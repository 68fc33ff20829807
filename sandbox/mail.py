"""A mail server on a free loopback port that keeps what it is sent, and delivers nothing to anybody."""

from __future__ import annotations

import asyncio
import email
import email.policy
import threading
from collections.abc import Coroutine
from email.message import EmailMessage
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, Envelope, Session

LOOPBACK = "127.0.0.1"


class MailFault(StrEnum):
    """List what the server may do to one of the next mails."""

    ANSWER_LOST = "answer_lost"  # the mail is kept; the connection is closed without an answer
    REFUSED = "refused"  # the recipient is refused for good, 550
    LATER = "later"  # the recipient is refused for now, 451


class MailServer:
    """Serve SMTP on 127.0.0.1 while the `with` or `async with` block lasts, and never beyond.

    `messages` holds what was received, in order; `faults` what will strike the next mails, one each. Port 0 takes a free one.
    Raise OSError where the port is busy.
    """

    def __init__(self, port: int = 0) -> None:
        self.messages: list[EmailMessage] = []
        self.faults: list[MailFault] = []
        self.host, self.port = LOOPBACK, port

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="remit-sandbox-mail", daemon=True)
        self._thread.start()
        try:
            self._run(self._listen())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._run(self._close())
        self._stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        # A name of its own, because aiosmtpd would ask the DNS for one.
        self._server = await self._loop.create_server(
            lambda: SMTP(self, hostname="mail.example.org", loop=self._loop), self.host, self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _strikes(self, *faults: MailFault) -> MailFault | None:
        return self.faults.pop(0) if self.faults and self.faults[0] in faults else None

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take or refuse a recipient."""
        del server, session, options
        match self._strikes(MailFault.REFUSED, MailFault.LATER):
            case MailFault.REFUSED:
                return "550 5.1.1 No such mailbox"
            case MailFault.LATER:
                return "451 4.7.1 Come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep a mail."""
        del session
        self.messages.append(email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default))
        if self._strikes(MailFault.ANSWER_LOST) and server.transport:
            server.transport.close()
            await asyncio.Event().wait()  # the lost connection cancels this
        return "250 OK"
