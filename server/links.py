"""The link that a customer confirms by: a sealed token, good for one call, one digest, one customer, and a short time.

A token says who asks and what was shown, to nobody but us: addresses end up in logs. Whether the call still waits for that answer,
only the runtime knows.
"""

from __future__ import annotations

from dataclasses import dataclass

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwe import JWERegistry
from joserfc.jwk import OctKey

from .problems import RequestRefused

AUDIENCE = "remit:customer"
_LONGEST = 4_096
_SEALED = {"alg": "dir", "enc": "A256GCM"}


class LinkInvalid(RequestRefused):
    """This link is not one of ours, or not whole."""

    code = "link_invalid"
    status = 404


class LinkExpired(RequestRefused):
    """The time of this link is over. The call can be confirmed by a new one, while it still waits."""

    code = "link_expired"
    status = 410


@dataclass(frozen=True, slots=True)
class Link:
    """Say which customer may answer for which call in which form; `expires` is in seconds since 1970."""

    call: str
    subject: str
    digest: str
    expires: int

    def seal(self, key: bytes) -> str:
        """Give the token."""
        claims = {"aud": AUDIENCE, "call": self.call, "sub": self.subject, "digest": self.digest, "exp": self.expires}
        return jwt.encode(_SEALED, claims, OctKey.import_key(key), list(_SEALED.values()), JWERegistry())

    @classmethod
    def read(cls, token: str, key: bytes, now: int) -> Link:
        """Read a token; raise `LinkExpired` for one of ours whose time is over, and `LinkInvalid` for anything else."""
        if len(token) > _LONGEST:
            raise LinkInvalid
        try:
            claims = jwt.decode(token, OctKey.import_key(key), list(_SEALED.values()), JWERegistry()).claims
            essential = {name: {"essential": True} for name in ("call", "sub", "digest", "exp")}
            jwt.JWTClaimsRegistry(now=now, **essential, aud={"essential": True, "value": AUDIENCE}).validate(claims)  # type: ignore[arg-type]
        except ExpiredTokenError:
            raise LinkExpired from None
        except (JoseError, ValueError):
            raise LinkInvalid from None
        if not all(isinstance(claims[name], str) for name in ("call", "sub", "digest")):
            raise LinkInvalid
        return cls(claims["call"], claims["sub"], claims["digest"], claims["exp"])
