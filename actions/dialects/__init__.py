"""Speak the wire format of each model provider: tools out, calls in, outcomes out, and a report of what it can't express."""

from __future__ import annotations

from ...errors import DefinitionError
from .anthropic import Anthropic
from .bedrock import Bedrock
from .dialect import Dialect
from .gemini import Gemini
from .mcp import MCP
from .openai import OpenAI, OpenAIResponses
from .vocabulary import Loss

__all__ = ["DIALECTS", "Dialect", "Loss", "dialect"]

_ALL: tuple[Dialect, ...] = (OpenAI(), OpenAIResponses(), Anthropic(), Gemini(), Bedrock(), MCP())
DIALECTS = tuple(one.name for one in _ALL)
"""The names of the dialects."""


def dialect(name: str) -> Dialect:
    """Find a dialect by its name. Raise DefinitionError, naming all of them, for any other."""
    for one in _ALL:
        if one.name == name:
            return one
    raise DefinitionError(f"{name!r} is not a dialect; there are {', '.join(DIALECTS)}")
