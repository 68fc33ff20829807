"""Gemini: function declarations with `parametersJsonSchema`.

Source: the function calling and structured output guides of ai.google.dev (supported keywords).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .dialect import Actions, Dialect, Pairs, described, went_wrong
from .vocabulary import Vocabulary, no_combination


class Gemini(Dialect):
    """Speak generateContent: the message is `candidates[0].content`."""

    name = "gemini"
    vocabulary = Vocabulary(
        provider="Gemini",
        keywords=frozenset({"type", "format", "enum", "minimum", "maximum", "items", "prefixItems", "minItems", "maxItems"})
        | {"properties", "required", "additionalProperties", "anyOf"},
        takes={
            "format": {"date-time", "date", "time"}.__contains__,
            "enum": lambda values: all(type(value) in {str, int, float} for value in values),
        },
        root=no_combination,
        recursive=False,  # a circle is unrolled a little, and not through required properties
    )

    def tools(self, actions: Actions) -> list[dict[str, Any]]:
        """Give one `Tool` with all the declarations."""
        declarations = [
            {"name": action.name, "description": described(action, written), "parametersJsonSchema": written.schema}
            for action, written in self.rewritten(actions)
        ]
        return [{"functionDeclarations": declarations}] if declarations else []

    def found(self, message: Mapping[str, Any]) -> Iterator[tuple[str | None, str, Any]]:
        """Find the `functionCall` parts. Not every model gives them an id."""
        message = (message["candidates"] or [{}])[0].get("content") or {} if "candidates" in message else message
        for part in message.get("parts") or ():
            if call := part.get("functionCall"):
                yield call.get("id"), call.get("name", ""), call.get("args")

    def results(self, pairs: Pairs) -> list[dict[str, Any]]:
        """Give one user content with a `functionResponse` for each call, in the order of the calls."""
        parts = [
            {"functionResponse": ({"id": call.id} if call.id else {}) | {"name": call.name, "response": _response(outcome)}}
            for call, outcome in pairs
        ]
        return [{"role": "user", "parts": parts}] if parts else []


def _response(outcome: Mapping[str, Any]) -> dict[str, Any]:
    return {"error" if went_wrong(outcome) else "output": dict(outcome)}
