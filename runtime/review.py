"""What an approver needs to know before answering: the call, why it stopped, what it does to the limits, and what was done before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..actions import Summary
from ..errors import CallNotFound
from .call import Call
from .clock import to_text
from .confirmation import summary_of
from .session import ANONYMOUS
from .views import CallView, view
from .work import Parts

MOST_EARLIER = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A call as an approver sees it.

    `summary` says what will run (None: its action is not here, or it was erased); `matched` are the rules that counted in the last
    decision, with their reasons, and `errors` those that could not be evaluated; `limits` tell what the call would take of each, and
    `earlier` the latest other calls about the same person.
    """

    call: CallView
    summary: Summary | None
    matched: tuple[Mapping[str, Any], ...]
    errors: tuple[Mapping[str, Any], ...]
    limits: tuple[Mapping[str, Any], ...]
    earlier: tuple[Mapping[str, Any], ...]


async def review(parts: Parts, call: Call) -> Review:
    """Gather what there is to know about a call, for whoever may approve it."""
    seen = await view(parts, call)
    decision: Mapping[str, Any] = next(
        (event["body"]["decision"] for event in reversed(seen.events) if event["kind"] == "call.decided"), {}
    )
    nobody = await parts.vault.is_subject(ANONYMOUS, call.subject)  # whoever has not logged in is not the same person each time
    try:
        summary = await summary_of(parts, await parts.store.get(call.id))  # no older than what its requirements say was shown
    except CallNotFound:
        summary = None
    return Review(
        call=seen,
        summary=summary,
        matched=tuple(decision.get("matched", ())),
        errors=tuple(decision.get("errors", ())),
        limits=tuple(decision.get("limits", ())),
        earlier=() if nobody else tuple(_brief(one) for one in await parts.store.latest_of(call, most=MOST_EARLIER)),
    )


def _brief(call: Call) -> Mapping[str, Any]:
    told = ("id", "action", "state", "code", "reference", "principal", "conversation")
    return {name: getattr(call, name) for name in told} | {"created": to_text(call.created_at)}
