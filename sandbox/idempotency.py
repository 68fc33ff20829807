"""Idempotency keys as Stripe documents them for its v1 API.

The first answer under a key, an error too, is saved once execution has begun, and replayed. Other parameters under the same
key are an error; so is a second request while the first is executing. Keys are pruned after 24 hours: then the same key
runs as new. Sources: https://docs.stripe.com/api/idempotent_requests and https://docs.stripe.com/error-low-level
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from .ledger import Object, ProblemError

KEPT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold an answer as it goes out."""

    status: int
    body: bytes
    replayed: bool = False

    @classmethod
    def of(cls, result: Object | ProblemError) -> Self:
        """Write an object, or a problem, as an answer: what changes later does not change it."""
        return cls(result.status, _written(result.body)) if isinstance(result, ProblemError) else cls(200, _written(result))


@dataclass(slots=True)
class _Use:
    request: str
    since: datetime
    answer: Answer | None = None
    ready: datetime | None = None


class IdempotencyKeys:
    """Remember the keys of one account."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._uses: dict[str, _Use] = {}

    def begin(self, key: str, request: str) -> Answer | None:
        """Take the key for `request` (address and parameters as text); give the saved answer where there is one.

        Raise ProblemError for a key in use (409), used for something else (400), or over 255 characters (400).
        """
        now, use = self._clock(), self._uses.get(key)
        if len(key) > 255:
            raise ProblemError("Idempotency keys have at most 255 characters.", kind="idempotency_error")
        if use is None or now - use.since >= KEPT:
            self._uses[key] = _Use(request, now)
            return None
        if use.request != request:
            raise ProblemError(f"The key {key!r} was first used with other parameters.", kind="idempotency_error")
        if use.answer is None or (use.ready and now < use.ready):
            raise ProblemError(f"Another request is executing under the key {key!r}.", status=409, code="idempotency_key_in_use")
        return replace(use.answer, replayed=True)

    def finish(self, key: str, answer: Answer, *, after: timedelta) -> None:
        """Save the answer of the request that began under this key; until `after` it is still executing."""
        use = self._uses[key]
        use.answer, use.ready = answer, self._clock() + after


def _written(body: Object) -> bytes:
    return json.dumps(body).encode()
