"""Recorded decisions, opened: the inputs as they were, what was decided, and by which bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..audit.disclosure import restored
from ..audit.event import State
from ..errors import AuditError, CallError
from ..policies import Explanation, Inputs, explain
from .bundles import Bundle, Bundles
from .clock import to_text
from .recorded import CHANGED, members
from .views import OPENINGS, open_opening
from .work import Parts

_SQL = (
    f"SELECT e.call, e.at, c.state, e.leaf, e.id, o.blob, o.subject, s.wrapped_key FROM event e {OPENINGS} "  # noqa: S608 - names from this package
    "LEFT JOIN call c ON c.tenant = e.tenant AND c.id = e.call "
    "WHERE e.tenant = ? AND e.kind = 'call.decided' AND NOT EXISTS (SELECT 1 FROM event l WHERE l.tenant = e.tenant "
    "AND l.call = e.call AND l.kind = 'call.decided' AND l.sequence > e.sequence) "
)
_DONE = frozenset({State.SUCCEEDED, State.UNKNOWN, State.EXECUTING})


@dataclass(frozen=True, slots=True)
class Decided:
    """The last decision on a call, in microseconds since 1970; `inputs` are None where they are sealed for good.

    `done` says that the effect has happened, or may have.
    """

    call: str
    at: int
    policy: str
    action: str
    inputs: Mapping[str, Any] | None
    decision: Mapping[str, Any]
    done: bool


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a call was decided as it was, by the bundle of then; `reproduced` says that this gives the recorded decision again."""

    call: str
    action: str
    state: str
    at: str
    bundle: Bundle
    explanation: Explanation
    reproduced: bool

    def to_json(self) -> dict[str, Any]:
        """Give a JSON value."""
        told = {
            "call": self.call,
            "action": self.action,
            "state": self.state,
            "at": self.at,
            "policy": self.bundle.digest,
            "author": self.bundle.author,
        }
        return told | {"reproduced": self.reproduced, **self.explanation.to_json()}


def decided_since(parts: Parts, since: int) -> Iterator[Decided]:
    """Stream the last decision on each call since then, in the order in which they were recorded."""
    for row in parts.store.scan(f"{_SQL} AND e.at >= ? ORDER BY e.position", (parts.store.tenant, since)):
        yield _decided(parts, row)


async def explain_call(parts: Parts, bundles: Bundles, call_id: str) -> Explained:
    """Explain the last decision on a call from its recorded inputs and the bundle of then.

    Raises `CallNotFound`, `CallError` for a call that was never decided, and `AuditError` where its inputs are sealed for good.
    """
    call = await parts.store.get(call_id)
    if (row := await parts.store.row(f"{_SQL} AND e.call = ?", (parts.store.tenant, call_id))) is None:
        first = "SELECT 1 FROM event WHERE tenant = ? AND call = ? AND sequence = 1"
        if await parts.store.row(first, (parts.store.tenant, call_id)) is None:
            raise CallError(f"what {call_id} was decided by was pruned by retention")
        raise CallError(f"{call_id} was never decided by the policies: it is {call.state}" + (f", {call.code}" if call.code else ""))
    found = _decided(parts, row)
    if found.inputs is None:
        raise AuditError(f"what {call_id} was decided by is sealed for good, so it can't be explained any more")
    explanation = explain(await bundles.get(found.policy), Inputs.from_json(found.inputs))
    same = explanation.decision.to_json() == found.decision
    return Explained(call_id, found.action, call.state.value, to_text(found.at), await bundles.find(found.policy), explanation, same)


def _decided(parts: Parts, row: Any) -> Decided:
    call, at, state, leaf, *sealed = row
    read = members(leaf)
    body, opened = read["body"], open_opening(parts.vault, *sealed) or {}
    try:
        needed = [one for one in read["commitments"] if one.startswith("/inputs/")]
        inputs = restored(body, {one: opened[one][1] for one in needed}) if opened.keys() >= set(needed) else None
        return Decided(call, at, body["policy"], read["action"]["name"], inputs, body["decision"], state in _DONE)
    except (KeyError, TypeError, AttributeError) as error:  # a leaf that was made by hand
        raise AuditError(CHANGED) from error
