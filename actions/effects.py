"""What kind of effect an action has; retries, recovery and the hints to MCP clients follow from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from ..errors import DefinitionError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: str | timedelta) -> timedelta:
    """Read "30s", "15m", "24h" or "7d". Raise DefinitionError for anything else, and for nothing or less."""
    if isinstance(text, str) and (found := re.fullmatch(r"([0-9]{1,6})([smhd])", text)):
        text = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if not isinstance(text, timedelta) or text <= timedelta(0):
        raise DefinitionError(f'{text!r} is not a duration; write a number and s, m, h or d, such as "30s" or "24h"')
    return text


class EffectKind(StrEnum):
    """List the kinds of effect."""

    READ = "read"
    KEYED = "keyed"
    LOOKUP = "lookup"
    ONCE = "once"


@dataclass(frozen=True, slots=True)
class Effect:
    """Say what an action does to the world, and how a lost answer is settled.

    `ttl` is how long the provider honours an idempotency key (`keyed`). `find` looks an effect up: it takes any of the
    handler's parameters by name and returns the result if the effect was applied, None if it was not; raising leaves it
    unknown. `settle` is how long "not found" proves nothing.
    """

    kind: EffectKind
    ttl: timedelta | None = None
    find: Callable[..., Any] | None = None
    settle: timedelta = timedelta(seconds=30)

    @property
    def writes(self) -> bool:
        """Say whether the action changes anything."""
        return self.kind is not EffectKind.READ

    @property
    def annotations(self) -> dict[str, bool]:
        """Give the hints of MCP's ToolAnnotations. A client must not trust them, and we do not rely on them."""
        return {
            "readOnlyHint": not self.writes,
            "destructiveHint": self.writes,
            "idempotentHint": True,  # the same call again gets the first outcome: an effect key sees to that
            "openWorldHint": True,
        }


read = Effect(EffectKind.READ)
once = Effect(EffectKind.ONCE)


def keyed(ttl: str | timedelta, lookup: Callable[..., Any] | None = None, settle: str | timedelta = "30s") -> Effect:
    """Declare that the provider honours an idempotency key for `ttl`; `lookup` finds the effect when that time is over."""
    return Effect(EffectKind.KEYED, duration(ttl), lookup, duration(settle))


def lookup(fn: Callable[..., Any], settle: str | timedelta = "30s") -> Effect:
    """Declare that an effect has no key at the provider but can be looked up with `fn`."""
    return Effect(EffectKind.LOOKUP, None, fn, duration(settle))
