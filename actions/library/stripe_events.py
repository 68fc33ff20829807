"""Read what Stripe tells later: a refund may fail days after it was made, and then its money has come back.

    notice = read_notice(await request.body(), request.headers.get("stripe-signature"), secret)

Send the events `refund.updated`, `refund.failed` and `charge.refund.updated` to that address. Stripe may send an event more than once,
several events of one change, and in any order (https://docs.stripe.com/webhooks): know an event by its id, and take a reversal as final.
"""

from __future__ import annotations

from dataclasses import dataclass

import stripe

from ...errors import DefinitionError
from .payments import NOT_PAID_BACK
from .stripe import CALL

_OF_REFUNDS = {"refund.updated", "refund.failed", "charge.refund.updated"}


@dataclass(frozen=True, slots=True)
class ProviderNotice:
    """Say what a provider told of an effect, after the call that made it was answered.

    `event_id` is the provider's name for what it sent, `call_id` the call that made the effect, `reference` the provider's name
    for the effect and `status` its word for it. `reversed` says that the effect is taken back, for good.
    """

    event_id: str
    call_id: str
    reference: str
    status: str
    reversed: bool


def read_notice(payload: bytes, signature: str | None, secret: str, *, tolerance: int = 300) -> ProviderNotice | None:
    """Verify a webhook of Stripe and say what it means; None where it is not about a refund that one of our calls made.

    `payload` is the body as it came, `signature` the header Stripe-Signature, `secret` the endpoint's (whsec_…), `tolerance` the age
    in seconds beyond which an event is refused, as one that somebody kept. Raise ValueError for what Stripe has not signed with this
    secret, or too long ago, and DefinitionError for a tolerance that is no time.
    """
    if tolerance < 1:
        raise DefinitionError("tolerance= is at least one second: with less an event that somebody kept could be sent again for ever")
    try:
        event = stripe.Webhook.construct_event(payload, signature, secret, tolerance)
        told = event.to_dict()
    except (stripe.StripeError, ValueError, AttributeError, TypeError) as error:  # the signature's own words hold the payload
        raise ValueError("this is no event that Stripe has signed with this secret, or it is too old") from error
    if told.get("type") not in _OF_REFUNDS:
        return None
    refund = told["data"]["object"]
    call = (refund.get("metadata") or {}).get(CALL)
    if refund.get("object") != "refund" or not call:
        return None
    status = str(refund.get("status"))
    return ProviderNotice(str(told["id"]), str(call), str(refund["id"]), status, status in NOT_PAID_BACK)
