"""Tokens with which a host proves who its customer is: JWTs (RFC 7519) under keys whose type fixes the algorithm."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from joserfc import jwk, jwt
from joserfc.errors import JoseError, SecurityWarning

from ..errors import DefinitionError

AUDIENCE = "remit:step-up"
LONGEST = 600
"""Seconds from `iat` to `exp`."""
LEEWAY = 5
"""Seconds that the host's clock may be off."""
_ALGORITHMS = {
    ("OKP", "Ed25519"): ["Ed25519", "EdDSA"],
    ("EC", "P-256"): ["ES256"],
    ("EC", "P-384"): ["ES384"],
    ("EC", "P-521"): ["ES512"],
    ("RSA", None): ["RS256", "PS256"],
}


class Tokens:
    """Verify a host's tokens by its public keys; raises `DefinitionError` for a key that can't be used so."""

    def __init__(self, keys: Iterable[str | bytes | Mapping[str, Any]]) -> None:
        self._keys = [_key(one) for one in keys]

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
            if issued >= asked - LEEWAY and expires - issued <= LONGEST and type(assurance) is int and assurance > 0:
                return assurance
        return None


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
