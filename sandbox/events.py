"""Events of the payment sandbox: signed as Stripe signs them, and sent to one address.

Sources: https://docs.stripe.com/api/events/types and https://docs.stripe.com/webhooks#verify-manually
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

import httpx

from .ledger import Object, ProblemError

_FAILED = {"failed": ["refund.failed"]}


@dataclass(slots=True)
class Event:
    """Hold an event as it is sent; `statuses` are the answers to each time it was sent, 0 where there was none."""

    id: str
    kind: str
    body: str
    statuses: list[int] = field(default_factory=list)


class Events:
    """Send events to the address that was given, once each; `resend` sends one again, as Stripe may."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock, self._url, self._secret = clock, "", ""
        self.sent: list[Event] = []
        self._numbers = count(1)

    def deliver_to(self, url: str, secret: str) -> None:
        """Send what happens from now on to `url`, signed with `secret`; with an empty one, nowhere."""
        self._url, self._secret = url, secret

    def refund_changed(self, refund: Object) -> list[Event]:
        """Make the events of a refund whose status has changed, to be sent; none where nobody wants them."""
        if not self._url:
            return []
        kinds = ["refund.updated", "charge.refund.updated", *_FAILED.get(refund["status"], [])]
        made = [self._event(kind, deepcopy(refund)) for kind in kinds]
        self.sent += made
        return made

    def find(self, event_id: str) -> Event:
        """Give an event that was sent. Raise ProblemError where there is none."""
        found = next((event for event in self.sent if event.id == event_id), None)
        if found is None:
            raise ProblemError(f"No such event: {event_id!r}", status=404, code="resource_missing")
        return found

    def deliver(self, events: list[Event]) -> None:
        """Send each event and note its answer."""
        with httpx.Client(trust_env=False, timeout=10) as client:
            for event in events:
                at = int(self._clock().timestamp())
                headers = {"Content-Type": "application/json", "Stripe-Signature": signature(event.body, self._secret, at)}
                try:
                    event.statuses.append(client.post(self._url, content=event.body, headers=headers).status_code)
                except httpx.HTTPError:
                    event.statuses.append(0)

    def _event(self, kind: str, about: Object) -> Event:
        name = f"evt_{next(self._numbers):08d}"
        body = {
            "id": name, "object": "event", "api_version": "2026-10-28", "created": int(self._clock().timestamp()), "livemode": False,
            "type": kind, "data": {"object": about}, "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None},
        }  # fmt: skip
        return Event(name, kind, json.dumps(body))


def signature(body: str, secret: str, at: int) -> str:
    """Give the header Stripe-Signature for a body sent `at` Unix seconds."""
    signed = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256)
    return f"t={at},v1={signed.hexdigest()}"
