"""What an event says, in plain words: from what is clear in it alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..audit import State
from .outcome import WORDS
from .views import CallView

Body = Mapping[str, Any]
CUSTOMER = "the customer"
NOBODY = "remit"
"""Who does what nobody was asked for."""
_CUSTOMERS = frozenset({"call.confirmed", "call.stepped_up"})


def who(kind: str, body: Body, principal: str) -> str:
    """Say who did what an event tells."""
    if kind in {"call.received", "call.rejected"}:
        return principal
    if kind in _CUSTOMERS or body.get("by") == "subject":
        return CUSTOMER
    return str(body.get("person") or (body.get("by") if kind != "approval.requested" else None) or NOBODY)


def says(kind: str, body: Body) -> str:
    """Tell an event in a sentence; one that this does not know, or that was changed, is told by its kind."""
    try:
        return _SAYS[kind](body)
    except (KeyError, TypeError, AttributeError):
        return kind.replace(".", " ").replace("_", " ")


def stands(call: CallView) -> str:
    """Say where a call stands now."""
    return _stands(call) + (" What was recorded of it before was pruned by retention." if call.pruned else "")


def _stands(call: CallView) -> str:
    if call.taken_back:
        by = f" by the call {call.undo}" if call.undo else ""
        return f"It was done, and {call.taken_back} since{by}."
    match call.state:
        case State.WAITING:
            waits = ", ".join(
                f"{one['kind'].replace('_', '-')}{_of(one)} until {one['until']}" for one in call.requirements if one["state"] == "open"
            )
            return f"It waits for: {waits}."
        case State.READY:
            return f"It will be done{f', not before {call.until}' if call.until else ' soon'}."
        case State.EXECUTING:
            return "It is being done."
        case State.UNKNOWN:
            finds = (
                f"it is looked up again{f' at {call.until}' if call.until else ''}"
                if call.settled_by == "look_up"
                else "only a person can find out"
            )
            return f"It may or may not have been done; {finds}."
        case State.SUCCEEDED:
            reference = f", under the provider's reference {call.reference}" if call.reference else ""
            undoing = f" The call {call.undo} is to undo it." if call.undo else ""
            return f"It was done{reference}.{undoing}"
        case _:
            return f"It was not done ({call.state}{f': {call.code}' if call.code else ''}). {_coded(call.code)}".rstrip()


def _of(one: Body) -> str:
    return f" by {one['votes']} of {one['by']}" if one.get("by") else ""


def _because(before: str, why: str | None) -> str:
    return f"{before}{why}" if why else ""


def _coded(code: str | None) -> str:
    return WORDS.get(code or "", "")


def _received(body: Body) -> str:
    undoing = f", to undo the call {body['undoes']}" if body.get("undoes") else ""
    return f"asked for it{undoing}, through {body.get('channel') or 'an unnamed channel'}"


def _decided(body: Body) -> str:
    decision = body["decision"]
    rules = ", ".join(f"{one['rule']} ({one['then']})" for one in decision["matched"]) or "no rule"
    asks = "; ".join(_asked(one) for one in decision["requirements"])
    verdict = "allowed" if decision["allowed"] else "denied"
    because = f": {decision['reason']}" if decision.get("reason") else ""
    return f"{verdict} by the policies {body['policy'][:12]}{because}; what counted: {rules}{f'; asks for {asks}' if asks else ''}"


def _asked(one: Body) -> str:
    return f"{one['kind'].replace('_', '-')}{_of(one)}"


def _intended(body: Body) -> str:
    key = f", under the provider key {body['provider_key'][:12]}" if body.get("provider_key") else ""
    limits = ", ".join(one["limit"] for one in body.get("reservations", ()))
    return (
        f"begins attempt {body['attempt']} of what the digest {body['digest'][:12]} names{key}{f', counted in {limits}' if limits else ''}"
    )


def _succeeded(body: Body) -> str:
    reference = f"; the provider's reference is {body['reference']}" if body.get("reference") else ""
    status = f" (status {body['status']})" if body.get("status") else ""
    return f"it was done{reference}{status}{'; what was answered can not be used' if body.get('result_invalid') else ''}"


def _reconciled(body: Body) -> str:
    found = body.get("found", False if body.get("applied") is False else None)
    what = {True: "it was done", False: "it was not done"}.get(found, "nothing")
    why = f" ({body['why']})" if body.get("why") else ""
    return f"looked it up, and found: {what}{why}"


def _voted(body: Body) -> str:
    verb = "approved" if body["answer"] == "approve" else "rejected"
    return f"{verb} it, as {body['role']}, through {body['via']}, on the digest {body['digest'][:12]}"


def _held(body: Body) -> str:
    asks = "; ".join(f"{_asked(one)} ({one['rule']})" for one in body["requirements"])
    return f"it waits for {asks}{_because(', because ', body.get('why'))}"


_SAYS: Mapping[str, Callable[[Body], str]] = {
    "call.received": _received,
    "call.rejected": lambda body: f"asked for what could not be read: {body['code']}",
    "call.decided": _decided,
    "call.denied": lambda body: f"it was denied: {body['code']}{_because(', held by the call ', body.get('holder'))}",
    "call.held": _held,
    "call.delayed": lambda body: f"it cools off until {body['until']}",
    "call.confirmed": lambda body: f"said {'yes' if body['answer'] == 'approve' else 'no'} to what the digest {body['digest'][:12]} names",
    "call.stepped_up": lambda body: f"proved who they are: {body['method']}, assurance {body['assurance']}",
    "call.declined": lambda body: f"it was declined: the {body['requirement'].replace('_', '-')} was answered with no",
    "call.amended": lambda body: (
        f"changed what would be done: the digest is now {body['digest'][:12]}, before it was {body['digest_before'][:12]}"
    ),
    "call.intended": _intended,
    "call.succeeded": _succeeded,
    "call.failed": lambda body: f"it was not done: {body['code']}",
    "call.became_unknown": lambda body: f"it is not known whether attempt {body['attempt']} did it: {body['why']}",
    "call.reconciled": _reconciled,
    "call.resolved": lambda body: f"looked at the provider's records and said that it was {'' if body['applied'] else 'not '}done",
    "call.dead_lettered": lambda body: f"nothing automatic can find out any more ({body['why']}): a person must",
    "call.cancelled": lambda body: f"cancelled it{_because(': ', body.get('why'))}",
    "call.cancel_asked": lambda _: "asked that it be tried no further",
    "call.expired": lambda _: "nobody answered in time: it expired",
    "call.undone": lambda body: f"undid it, by the call {body['undo']}",
    "effect.reversed": lambda body: f"took down that the provider has reversed it: {body['code']}",
    "approval.requested": lambda body: (
        f"asks {body['votes']} of {body['by']} to approve it until {body['until']}, for the rule {body['rule']}"
    ),
    "approval.voted": _voted,
    "approval.escalated": lambda body: f"nobody had answered: people of the role {body['to']} may approve it as well",
    "limit.exceeded": lambda body: (
        f"the limit {body['limit']} has no room: {body['used']} used, {body['takes']} more, {body['at_most']} at most"
    ),
    "policy.shadowed": lambda body: (
        f"the bundle {body['policy'][:12]}, decided beside it, would have done {'otherwise' if body['differs'] else 'the same'}"
    ),
}
