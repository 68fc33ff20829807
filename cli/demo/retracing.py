"""Retrace from a call's own events why it went as it did: what decided, and which states it went through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...actions import Action
from ...runtime import CallView, Outcome
from .record import Move, Reason

Events = Iterable[Mapping[str, Any]]


def moves(events: Events) -> tuple[Move, ...]:
    """Give the states that these events moved their call to."""
    return tuple(Move(event["change"][1], _why(event)) for event in events if event["change"])


def _why(event: Mapping[str, Any]) -> str:
    body = event["body"]
    match event["kind"]:
        case "call.became_unknown":
            return str(body["why"])
        case "call.intended" if body["attempt"] > 1:
            return f"attempt {body['attempt']}, under the same key"
        case "call.held":
            return ", ".join(f"{one['kind']} by {one['by']}" for one in body["requirements"])
        case _:
            return ""


def reasons(view: CallView, outcome: Outcome, action: Action | None) -> tuple[Reason, ...]:
    """Say what decided: the call that was there first, the ownership check, or the rules that counted."""
    if outcome.repeated:
        return (Reason("repeat", view.effect_key or "", "the first call holds this effect key, and asked for the same"),)
    if outcome.error is not None and outcome.error.code == "not_found" and action is not None:
        return (Reason("deny", "ownership", f"{action.owns} does not hold"),)
    decided = [event["body"]["decision"] for event in view.events if event["kind"] == "call.decided"]
    if not decided:
        return ()
    counted = [match for match in decided[-1]["matched"] if decided[-1]["allowed"] or match["then"] == "deny"]
    return tuple(Reason(match["then"], match["rule"], match["reason"] or "") for match in sorted(counted, key=lambda match: match["then"]))
