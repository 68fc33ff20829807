"""Say what rules may look at: the shape of an action, and the inputs of one decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

Json = Any  # str, int, bool, None, and lists and string-keyed dicts of these

SESSION_SCHEMAS: Mapping[str, Mapping[str, Json]] = {
    "subject": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "assurance": {"type": "integer"},
            "anonymous": {"type": "boolean"},
            "verified_at": {"type": "string", "format": "date-time"},
        },
    },
    "principal": {
        "type": "object",
        "properties": {"id": {"type": "string"}, "kind": {"enum": ["agent", "person", "service"]}},
    },
    "session": {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("tenant", "conversation", "channel", "model")},
    },
    "now": {"type": "string", "format": "date-time"},
    "done": {"type": "array", "items": {"type": "string"}},
}
"""JSON Schemas of the inputs that are the same for every action."""


@dataclass(frozen=True, slots=True)
class ActionShape:
    """Describe an action to the policies, which know no `Action`.

    `arguments` is the JSON Schema of the canonical arguments; `facts` has one schema for each fact, or None where it is untyped.
    `writes` is False for an action that changes nothing: no rule delays it.
    """

    name: str
    arguments: Mapping[str, Json]
    facts: Mapping[str, Mapping[str, Json] | None]
    tags: frozenset[str] = frozenset()
    writes: bool = True


@dataclass(frozen=True, slots=True)
class Inputs:
    """Hold everything that a decision depends on besides the policies.

    Values are canonical JSON with no nulls: a fact that is missing is left out. `subject` has `id`, `assurance`, `anonymous` and, where the
    subject has proved who they are, `verified_at`; `principal` has `id`, `kind`; `session` has `tenant`, `conversation`, `channel`,
    `model`; `now` is RFC 3339. `usage` says by limit what was used in its window, such as `{"used": 4900}`, and of distinct values whether
    this call's is among them, `{"used": 3, "known": true}`. `done` names the actions that succeeded earlier in this conversation, sorted.
    """

    action: str
    arguments: Mapping[str, Json]
    facts: Mapping[str, Json]
    subject: Mapping[str, Json]
    principal: Mapping[str, Json]
    session: Mapping[str, Json]
    now: str
    usage: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    done: Sequence[str] = ()

    def to_json(self) -> dict[str, Json]:
        """Give a JSON value from which `from_json` makes equal inputs. `usage` and `done` are left out where they are empty."""
        value = {name: getattr(self, name) for name in ("action", "arguments", "facts", "subject", "principal", "session", "now")}
        if self.usage:
            value["usage"] = self.usage
        return value | {"done": list(self.done)} if self.done else value

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Make the inputs that `to_json` gave; raises TypeError for other keys."""
        done = value.get("done", [])
        return cls(**{**value, "done": tuple(done) if isinstance(done, list) else done})  # the keys of a mapping are nothing done
