"""What a handler is told besides its arguments: the call it works for, and the customer in whose name."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Subject:
    """Name the customer in whose name a call happens, as the host authenticated them.

    `assurance` says how surely (0: not at all). `locale` is a BCP 47 tag or None.
    """

    id: str
    assurance: int = 0
    locale: str | None = None

    ANONYMOUS: ClassVar[Subject]

    @property
    def anonymous(self) -> bool:
        """Say whether nobody is logged in."""
        return self.id == "anonymous"


Subject.ANONYMOUS = Subject("anonymous")


@dataclass(slots=True)
class Context:
    """Tell a handler which call and which attempt it serves, and take down what the provider said.

    `deadline` is aware. `effect_key` is the filled template, None for a read. `dry_run` never reaches a writing handler.
    """

    call_id: str
    action: str
    tenant: str
    principal: str
    conversation: str | None
    attempt: int
    deadline: datetime
    effect_key: str | None = None
    dry_run: bool = False
    provider_key: str | None = field(default=None, repr=False)
    key_used: bool = field(default=False, init=False)
    provider_reference: str | None = field(default=None, init=False)
    provider_status: str | None = field(default=None, init=False)

    @property
    def idempotency_key(self) -> str:
        """Give the key to send to the provider: the same in every attempt of one effect.

        Reading it is noted: a refusal after that proves nothing unless the connector says that it is definite.
        """
        self.key_used = True
        return self.provider_key or self.call_id

    def reference(self, ref: str, *, status: str | None = None) -> None:
        """Keep the provider's own name for the effect, and its status word for word: both are clear in the log, for good."""
        self.provider_reference, self.provider_status = ref, status
