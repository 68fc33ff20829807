"""How customers prove who they are: a one-time code to the address on file, or a token that the host has signed."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Protocol

from joserfc import jwk, jwt
from joserfc.errors import JoseError, SecurityWarning

from ..errors import DefinitionError

if TYPE_CHECKING:
    from ..actions.library.mail import Mail

AUDIENCE = "remit:step-up"
LONGEST_TOKEN = 600
"""Seconds from `iat` to `exp` of a token."""
LEEWAY = 5
"""Seconds that the host's clock may be off."""
_ALGORITHMS = {
    ("OKP", "Ed25519"): ["Ed25519", "EdDSA"],
    ("EC", "P-256"): ["ES256"],
    ("EC", "P-384"): ["ES384"],
    ("EC", "P-521"): ["ES512"],
    ("RSA", None): ["RS256", "PS256"],
}
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

    def __init__(self, *, codes: Codes | None = None, assurance: int = 2, keys: Iterable[str | bytes | Mapping[str, Any]] = ()) -> None:
        self.codes, self.assurance = codes, assurance
        self._keys = [_key(one) for one in keys]

    async def reaches(self, subject: str, assurance: int) -> bool:
        """Say whether a customer could prove this much."""
        return bool(self._keys) or (
            self.codes is not None and assurance <= self.assurance and await self.codes.reached(subject) is not None
        )

    def proved(self, token: str, *, subject: str, call: str, now: int, asked: int) -> int | None:
        """Give the assurance that a token proves of a customer for one call; None where it proves nothing.

        `now` and `asked` are seconds: a token from before the step-up was asked for may have been used for another.
        """
        for key, algorithms in self._keys:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", SecurityWarning)  # "EdDSA" is the older name, which most libraries still write
                    claims = jwt.decode(token, key, algorithms=algorithms).claims
                _claims(now, subject, call).validate(claims)
            except (JoseError, ValueError, TypeError):
                continue
            issued, expires, assurance = claims["iat"], claims["exp"], claims["assurance"]
            if issued >= asked - LEEWAY and expires - issued <= LONGEST_TOKEN and type(assurance) is int and assurance > 0:
                return assurance
        return None


def masked(address: str) -> str:
    """Show enough of an address for its owner to know it."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"


def _claims(now: int, subject: str, call: str) -> jwt.JWTClaimsRegistry:
    needed: dict[str, Any] = {name: {"essential": True} for name in ("iat", "exp", "assurance")}
    for name, value in (("aud", AUDIENCE), ("sub", subject), ("call", call)):
        needed[name] = {"essential": True, "value": value}
    return jwt.JWTClaimsRegistry(now=now, leeway=LEEWAY, **needed)


def _key(given: str | bytes | Mapping[str, Any]) -> tuple[Any, list[str]]:
    for kind in ("OKP", "EC", "RSA"):
        try:
            key: Any = jwk.import_key(dict(given) if isinstance(given, Mapping) else given, kind)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if algorithms := _ALGORITHMS.get((key.key_type, getattr(key, "curve_name", None))):
            return key, algorithms
    raise DefinitionError("StepUp: a key must be a public key of Ed25519, EC (P-256, P-384, P-521) or RSA, as PEM or JWK")
