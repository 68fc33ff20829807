"""MCP: tools as a server lists them, calls as a client sends them, results as it gets them back.

Source: the schema of the Model Context Protocol, 2025-11-25 and 2026-07-28. JSON Schema 2020-12 passes whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..action import Action
from .absence import accepts_null
from .dialect import Actions, Dialect, Pairs, described, text, went_wrong
from .rewriting import rewrite
from .vocabulary import Vocabulary

VOCABULARY = Vocabulary(provider="MCP")
_HIDDEN = frozenset({"secret", "internal"})
_MONEY = {
    "type": "object",
    "properties": {"value": {"type": "string"}, "currency": {"type": "string"}},
    "required": ["value", "currency"],
    "additionalProperties": False,
}
_OUTCOME = {
    "call": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "action": {"type": "string"},
    "state": {"type": "string", "description": "What became of the call, such as succeeded, waiting, denied or unknown."},
    "message": {"type": "string", "description": "The same in a sentence, and whether the call may be repeated."},
}


class MCP(Dialect):
    """Speak the Model Context Protocol: the message is a `tools/call` request, or its `params`."""

    name = "mcp"
    vocabulary = VOCABULARY

    def tools(self, actions: Actions) -> list[dict[str, Any]]:
        """Give the `tools` of a ListToolsResult; the hints follow from the kind of effect, and bind nobody."""
        return [
            {"name": action.name, "title": action.title, "description": described(action, written), "inputSchema": written.schema}
            | _outcome_schema(action)
            | {"annotations": action.effect.annotations}
            for action, written in self.rewritten(actions)
        ]

    def found(self, message: Mapping[str, Any]) -> Iterator[tuple[str | None, str, Any]]:
        """Find the call. It has no id: that of a JSON-RPC request counts anew on each connection and names nothing."""
        params = message.get("params", message)
        yield None, params.get("name", ""), params.get("arguments")

    def results(self, pairs: Pairs) -> list[dict[str, Any]]:
        """Give a CallToolResult for each call: the outcome as structured content and, for older clients, as text."""
        return [
            {"content": [{"type": "text", "text": text(outcome)}], "structuredContent": dict(outcome), "isError": went_wrong(outcome)}
            for _, outcome in pairs
        ]


def _outcome_schema(action: Action) -> dict[str, Any]:
    """Describe the structured content, which is the whole outcome: a call that waits has no result, and clients check."""
    if action.result_schema is None:
        return {}
    result = _seen(action.result_schema, action.result_schema)
    defs = result.pop("$defs", {})
    properties = _OUTCOME if _hidden(action.result_schema) else {**_OUTCOME, "result": result}
    outcome = {"type": "object", "properties": properties, "required": ["action", "state", "message"], "$defs": defs}
    return {"outputSchema": rewrite(action.name, outcome, VOCABULARY).schema}


def _seen(schema: Any, root: Mapping[str, Any]) -> Any:
    """Turn the schema of a stored result into that of what the model sees: nothing hidden, no nulls, amounts as text."""
    if isinstance(schema, list):
        return [_seen(member, root) for member in schema]
    if not isinstance(schema, Mapping):
        return schema
    if schema.get("x-remit") == "money":
        return _MONEY | ({"description": schema["description"]} if "description" in schema else {})
    seen = {keyword: _seen(value, root) for keyword, value in schema.items()}
    if isinstance(properties := schema.get("properties"), Mapping):
        shown = {name: member for name, member in properties.items() if not _hidden(member)}
        seen["properties"] = {name: _seen(member, root) for name, member in shown.items()}
        seen["required"] = [name for name in schema.get("required", ()) if name in shown and not accepts_null(shown[name], root)]
    return seen


def _hidden(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("x-remit") in _HIDDEN
