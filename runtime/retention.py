"""How long what was recorded is kept: by class of event, and never for less than 183 days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from ..actions.effects import duration
from ..errors import DefinitionError

FLOOR = timedelta(days=183)
"""Regulation (EU) 2024/1689 (the AI Act), articles 19 and 26: logs are kept for at least six months."""

CLASSES: Mapping[str, str] = {
    "effects": "calls that were sent to have an effect, with what was asked and agreed about them",
    "calls": "all other calls: rejected, denied, declined, expired, cancelled, and those that only read",
    "people": "people, agents and keys",
    "policies": "policies and switches",
    "log": "the log itself, erasures and legal holds",
}
"""The classes of events, and what is in them."""

_OF = {
    **dict.fromkeys(("call", "approval", "effect", "limit"), "calls"),
    **dict.fromkeys(("person", "agent", "key"), "people"),
    **dict.fromkeys(("policy", "switch"), "policies"),
}


@dataclass(frozen=True)
class Retention:
    """Keep everything for `default`, and each class named in `periods` for as long as is said there ("400d", or a timedelta).

    Raises `DefinitionError` for a class that there is not, and for a period below 183 days.
    """

    default: str | timedelta
    periods: Mapping[str, str | timedelta] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := sorted(self.periods.keys() - CLASSES.keys()):
            raise DefinitionError(f"retention: there is no class {', '.join(unknown)}; the classes are {', '.join(CLASSES)}")
        for name in CLASSES:
            if self.of(name) < FLOOR:
                raise DefinitionError(
                    f"retention: {name} would be kept for {self.of(name).days} days; the floor is {FLOOR.days}, as logs must be kept "
                    "for six months (AI Act, articles 19 and 26)"
                )

    def of(self, name: str) -> timedelta:
        """Say how long a class is kept."""
        return duration(self.periods.get(name, self.default))


def class_of(kind: str) -> str:
    """Give the class of an event that stands outside every call, or whose call is not known any more."""
    return _OF.get(kind.partition(".")[0], "log")
