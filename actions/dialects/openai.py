"""OpenAI: chat completions and responses, both with strict function calling.

Source: the function calling and structured outputs guides of developers.openai.com (supported schemas, limits). An error
has no flag here: the outcome's own text says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..action import Action
from .dialect import Actions, Dialect, Pairs, described, text
from .rewriting import Rewritten
from .vocabulary import Vocabulary, no_combination, scalars

STRICT = Vocabulary(
    provider="OpenAI",
    keywords=frozenset({"type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const"})
    | {"pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems"},
    takes={
        "format": {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}.__contains__,
        "enum": scalars,
    },
    root=no_combination,
    null_for_absent=True,
    limits={"properties": 5_000, "levels": 10, "enum values": 1_000, "characters": 120_000},
    otherwise=Vocabulary(provider="OpenAI", root=no_combination),
)


class OpenAI(Dialect):
    """Speak chat completions: the message is `choices[0].message`."""

    name = "openai"
    vocabulary = STRICT

    def tools(self, actions: Actions) -> list[dict[str, Any]]:
        """Give `ChatCompletionToolParam`s."""
        return [{"type": "function", "function": _function(action, written)} for action, written in self.rewritten(actions)]

    def found(self, message: Mapping[str, Any]) -> Iterator[tuple[str | None, str, Any]]:
        """Find the function calls among `tool_calls`."""
        message = (message["choices"] or [{}])[0].get("message") or {} if "choices" in message else message
        for call in message.get("tool_calls") or ():
            if function := call.get("function"):
                yield call.get("id"), function.get("name", ""), function.get("arguments")

    def results(self, pairs: Pairs) -> list[dict[str, Any]]:
        """Give a `tool` message for each call."""
        return [{"role": "tool", "tool_call_id": call.id, "content": text(outcome)} for call, outcome in pairs]


class OpenAIResponses(Dialect):
    """Speak the Responses API: the message is the response, with its `output`."""

    name = "openai-responses"
    vocabulary = STRICT

    def tools(self, actions: Actions) -> list[dict[str, Any]]:
        """Give `FunctionToolParam`s."""
        return [{"type": "function", **_function(action, written)} for action, written in self.rewritten(actions)]

    def found(self, message: Mapping[str, Any]) -> Iterator[tuple[str | None, str, Any]]:
        """Find the `function_call` items; `call_id`, not `id`, is what their output refers to."""
        for item in message.get("output") or ():
            if item.get("type") == "function_call":
                yield item.get("call_id"), item.get("name", ""), item.get("arguments")

    def results(self, pairs: Pairs) -> list[dict[str, Any]]:
        """Give a `function_call_output` item for each call."""
        return [{"type": "function_call_output", "call_id": call.id, "output": text(outcome)} for call, outcome in pairs]


def _function(action: Action, written: Rewritten) -> dict[str, Any]:
    return {"name": action.name, "description": described(action, written), "parameters": written.schema, "strict": written.strict}
