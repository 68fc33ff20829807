"""What happened, as data: the closed list of event kinds, the states of a call, and the table of legal transitions.

The runtime moves calls by this table and the verifier checks logs against it, so there is only one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

Json = Any
"""A JSON value without fractions: str, int within ±(2^53 - 1), bool, None, list, dict with ASCII keys."""


MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading a body raises that its writer's code can't have made: an index or a name that is not there, a number that is too large."""


class State(StrEnum):
    """Where a call stands."""

    NEW = "new"
    REJECTED = "rejected"
    DENIED = "denied"
    WAITING = "waiting"
    READY = "ready"
    EXECUTING = "executing"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DECLINED = "declined"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


_MOVES = {
    State.NEW: {State.REJECTED, State.DENIED, State.WAITING, State.READY, State.EXECUTING},
    State.WAITING: {State.WAITING, State.READY, State.DENIED, State.DECLINED, State.EXPIRED, State.CANCELLED},
    State.READY: {State.EXECUTING, State.WAITING, State.DENIED, State.EXPIRED, State.CANCELLED},
    State.EXECUTING: {State.SUCCEEDED, State.FAILED, State.READY, State.UNKNOWN},
    State.UNKNOWN: {State.EXECUTING, State.READY, State.SUCCEEDED, State.FAILED},
}
# A read changes nothing, so it needs no intent: it may settle from where it stands.
_READ_MOVES = {State.NEW: {State.SUCCEEDED, State.FAILED}, State.READY: {State.SUCCEEDED, State.FAILED}}

TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType({state: frozenset(_MOVES.get(state, ())) for state in State})
"""For each state of a call that writes, what it may become; empty for the final ones."""

READ_TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType(
    {state: moves | _READ_MOVES.get(state, set()) for state, moves in TRANSITIONS.items()}
)
"""The same for a call whose action has the effect `read`."""

FINAL = frozenset(state for state in State if not TRANSITIONS[state])
"""The states that a call never leaves."""

REACHED: Mapping[str, State] = MappingProxyType(
    {
        "call.rejected": State.REJECTED,
        "call.denied": State.DENIED,
        "call.held": State.WAITING,
        "call.delayed": State.READY,
        "call.declined": State.DECLINED,
        "call.intended": State.EXECUTING,
        "call.succeeded": State.SUCCEEDED,
        "call.failed": State.FAILED,
        "call.became_unknown": State.UNKNOWN,
        "call.expired": State.EXPIRED,
        "call.cancelled": State.CANCELLED,
    }
)
"""The kinds that name a state: an event of such a kind moves its call there or, if it carries no change, finds it there."""

TAKEN_BACK = frozenset(["call.undone", "effect.reversed"])
"""The kinds of what may follow the end of a call that succeeded: its effect was taken back, and it holds nothing any more."""

KINDS = frozenset(
    [
        *REACHED,
        *("call.received", "call.decided", "call.confirmed", "call.reconciled", "call.resolved", "call.dead_lettered"),
        *("call.cancel_asked", "call.undone", "call.amended", "call.stepped_up", "effect.reversed"),
        *("approval.requested", "approval.voted", "approval.escalated"),
        *("limit.reserved", "limit.released", "limit.exceeded"),
        *("policy.proposed", "policy.activated", "policy.shadowed"),
        *("person.added", "person.changed", "person.disabled"),
        *("agent.added", "agent.changed", "agent.disabled"),
        *("key.created", "key.revoked"),
        *("switch.thrown", "switch.lifted"),
        *("subject.erased", "erasure.completed", "hold.placed", "hold.lifted", "retention.pruned"),
        *("log.opened", "log.key_rotated", "ledger.reconciled"),
        # These four are written to a log of their own: who looked at what.
        *("audit.read", "audit.exported", "audit.verified", "personal.revealed"),
    ]
)
"""Every kind of event there is. Nothing else is written, and the verifier reports anything else."""


@dataclass(frozen=True, slots=True)
class Event:
    """One audit record.

    `at` is RFC 3339 in UTC with microseconds and `Z`, by the database's clock. `sequence` counts the events of one call from 1
    without gaps, and `previous` is the leaf hash (hex) of the call's event before; an event outside a call has sequence 0.
    `principal` is `{"id", "kind"}`, `subject` a random pseudonym, `action` `{"name", "version", "schema"}`, `change` the state
    before and after when the event moves its call. `body` is clear; `personal` maps JSON pointers into the body to values that
    are only committed to (RFC 6901).
    """

    kind: str
    at: str
    id: str
    tenant: str
    call: str | None = None
    sequence: int = 0
    previous: str | None = None
    principal: Mapping[str, str] | None = None
    model: str | None = None
    subject: str | None = None
    action: Mapping[str, str] | None = None
    change: tuple[str, str] | None = None
    body: Mapping[str, Json] = field(default_factory=dict)
    personal: Mapping[str, Json] = field(default_factory=dict)
