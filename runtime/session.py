"""Who and where: fixed by the host's authentication, never by anything that a model sends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..actions import Subject

ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Say who asks, for whom, and where.

    `principal` is the authenticated asker (an agent's, person's or service's id); `subject` the customer in whose name it
    happens, `anonymous` while nobody has logged in. `assurance` says how sure the host is of the subject (0 not at all) and
    `verified_at` since when. `turn` counts the customer's messages: unusable calls are forgiven at each new one.
    `locale` is a BCP 47 tag.
    """

    principal: str
    subject: str = ANONYMOUS
    conversation: str = ""
    tenant: str = "default"
    kind: Literal["agent", "person", "service"] = "agent"
    channel: str = ""
    model: str = ""
    assurance: int = 0
    verified_at: datetime | None = None
    turn: int = 0
    locale: str | None = None

    def __post_init__(self) -> None:
        if not self.principal or not self.subject or not self.tenant:
            raise ValueError("a session names its tenant, its principal, and its subject (or leaves the subject 'anonymous')")
        if self.subject == ANONYMOUS and self.assurance:
            raise ValueError("an anonymous subject has assurance 0: nobody has proved anything")

    def as_subject(self) -> Subject:
        """Give the subject as handlers and fact loaders receive it."""
        return Subject(id=self.subject, assurance=self.assurance, locale=self.locale)
