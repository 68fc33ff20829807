"""What providers tell later, such as that a refund has failed after days: signed by them, taken once, and believed about their effects alone."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from ..errors import CallNotFound, NothingToUndo
from ..runtime import Runtime
from .door import read_body, served
from .problems import NotSigned

log = logging.getLogger("remit.server")

webhooks = APIRouter(include_in_schema=False)


@webhooks.post("/v1/webhooks/stripe")
async def take_stripe_event(request: Request, runtime: Annotated[Runtime, Depends(served)]) -> Response:
    """Take down what Stripe says of a refund that one of our calls made: 204, also for what is none of ours, or is known already.

    While the call has not settled it is refused, and Stripe sends it again later.
    """
    from ..actions.library.stripe_events import read_notice  # Stripe's SDK takes half a second, and most services have no webhook

    if (secret := request.app.state.stripe_secret) is None:
        raise HTTPException(404)
    try:
        notice = read_notice(await read_body(request), request.headers.get("stripe-signature"), secret)
    except ValueError:
        raise NotSigned from None
    if notice is None or not notice.reversed:
        return Response(status_code=204)
    try:
        if (await runtime.get(notice.call_id)).reference not in {None, notice.reference}:
            log.warning("request %s: Stripe tells of another refund than the one that call %s made", request.state.id, notice.call_id)
            return Response(status_code=204)
        await runtime.reversed(notice.call_id, by="stripe", reference=notice.event_id, code=f"refund_{notice.status}")
    except (CallNotFound, NothingToUndo) as error:  # of another database at the same account; or it never was, or was undone here
        log.warning("request %s: an event of Stripe about a refund changes nothing (%s)", request.state.id, error.code)
    return Response(status_code=204)
