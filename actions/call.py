"""A model's request to use a tool, before anything about it is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolCall:
    """Hold one tool call as a dialect found it in a provider's message.

    `id` is the provider's own name for the call, None where it gives none. `arguments` are the bytes or text that the
    model wrote, or, where the provider's SDK has parsed them already, a mapping; `Action.read` takes all three.
    """

    id: str | None
    name: str
    arguments: str | bytes | Mapping[str, Any]
