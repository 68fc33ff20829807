"""How customers prove who they are: a one-time code to the address on file, or a token that the host has signed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..actions.library.mail import Mail
    from .tokens import Tokens

_MAILS = {
    "en": (
        "Your code",
        "Your code is {code}. It is good until {until:%H:%M} UTC.\n\nNever tell it to anybody. If you asked for nothing, ignore this mail.\n",
    ),
    "de": (
        "Ihr Code",
        "Ihr Code ist {code}. Er gilt bis {until:%H:%M} UTC.\n\nSagen Sie ihn niemandem. Haben Sie nichts angefordert, ist nichts zu tun.\n",
    ),
}


class Codes(Protocol):
    """Send one-time codes."""

    async def reached(self, subject: str) -> str | None:
        """Say, masked, where codes for a customer go; None where there is no such place."""

    async def send(self, subject: str, code: str, locale: str | None, until: datetime) -> None:
        """Send a code that is good until then; whatever is raised, it counts as sent."""


@dataclass(frozen=True, slots=True)
class EmailCodes:
    """Send codes by mail to the address that `address_of` gives for a customer (None: there is none)."""

    mail: Mail
    address_of: Callable[[str], Awaitable[str | None]]

    async def reached(self, subject: str) -> str | None:
        """See Codes."""
        address = await self.address_of(subject)
        return masked(address) if address else None

    async def send(self, subject: str, code: str, locale: str | None, until: datetime) -> None:
        """See Codes. The mail is in German or English."""
        if (address := await self.address_of(subject)) is None:
            raise LookupError("there is no address any more")
        title, text = _MAILS.get((locale or "").partition("-")[0].lower(), _MAILS["en"])
        await self.mail.send(address, title, text.format(code=code, until=until), message_id=f"code-{token_hex(8)}")


class StepUp:
    """The ways to prove an identity that a runtime offers. Both are optional; without either every step-up is refused.

    `codes` sends one-time codes, which prove `assurance`. `keys` are the host's public keys (PEM, or JWK as a mapping) that verify its
    tokens: a JWT with `aud` "remit:step-up", `sub`, `call`, `assurance`, `iat`, and `exp` at most ten minutes later. The type of a key
    fixes its algorithm. Raises `DefinitionError` for a key that can't be used so.
    """

    def __init__(self, *, codes: Codes | None = None, assurance: int = 2, keys: Sequence[str | bytes | Mapping[str, Any]] = ()) -> None:
        self.codes, self.assurance = codes, assurance
        self.tokens: Tokens | None = None
        if keys:
            from .tokens import Tokens  # the library takes a while to import, and most hosts have no tokens

            self.tokens = Tokens(keys)

    async def reaches(self, subject: str, assurance: int) -> bool:
        """Say whether a customer could prove this much."""
        if self.tokens is not None:
            return True
        return self.codes is not None and assurance <= self.assurance and await self.codes.reached(subject) is not None


def masked(address: str) -> str:
    """Show enough of an address for its owner to know it."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"
