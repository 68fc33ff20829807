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
            return ", ".join(f"{one['kind']} by {one['by'] or 'the customer'}" for one in body["requirements"])
        case _:
            return ""


def reasons(view: CallView, outcome: Outcome, action: Action | None) -> tuple[Reason, ...]:
    """Say what decided: the call that was there first, a switch, the ownership check, or the rules and limits that counted."""
    if outcome.repeated:
        return (Reason("repeat", view.effect_key or "", "the first call holds this effect key, and asked for the same"),)
    if outcome.error is not None and outcome.error.code == "not_found" and action is not None:
        return (Reason("deny", "ownership", f"{action.owns} does not hold"),)
    for switch in (event["body"]["switch"] for event in view.events if "switch" in event["body"]):
        return (Reason("deny", f"the switch {switch}", ""),)
    decided = [event["body"]["decision"] for event in view.events if event["kind"] == "call.decided"]
    if not decided:
        return ()
    last, settled = decided[-1], "allow" if decided[-1]["allowed"] else "deny"
    counted = [(settled, match) for match in last["matched"] if match["then"] == settled]
    counted += [(f"require_{one['kind']}", one) for one in last["requirements"]]  # of rules, and of limits that it goes beyond
    return tuple(Reason(then, one["rule"], one["reason"] or "") for then, one in counted)
