"""Anthropic: the Messages API, with strict tools as far as one request may have them.

Source: the structured outputs guide of platform.claude.com (supported keywords, limits of a request), and what the SDK's
own `transform_schema` moves into descriptions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ..action import Action
from .dialect import Actions, Dialect, Pairs, described, text, went_wrong
from .rewriting import Rewritten, unstrict
from .vocabulary import Loss, Vocabulary, no_combination, scalars, size

REQUEST = {"strict tools": 20, "optional": 24, "unions": 16}
"""What all strict tools of one request may have together."""


class Anthropic(Dialect):
    """Speak the Messages API: the message is the response itself."""

    name = "anthropic"
    vocabulary = Vocabulary(
        provider="Anthropic",
        keywords=frozenset({"type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const"})
        | {"format", "minItems"},
        takes={
            "format": {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}.__contains__,
            "minItems": {0, 1}.__contains__,
            # they are compared without case: two that differ only by it would be one
            "enum": lambda values: scalars(values) and len({str(value).casefold() for value in values}) == len(values),
        },
        root=no_combination,
        recursive=False,
        otherwise=Vocabulary(provider="Anthropic", root=no_combination),
    )

    def rewritten(self, actions: Actions) -> list[tuple[Action, Rewritten]]:
        """Spend what a request may have of strictness on the actions that write, then on the others, each by name."""
        pairs = {action.name: (action, written) for action, written in super().rewritten(actions)}
        spent: Counter[str] = Counter()
        for action, written in sorted(pairs.values(), key=lambda pair: (not pair[0].effect.writes, pair[0].name)):
            if not written.strict:
                continue
            with_it = spent + size(written.schema) + Counter({"strict tools": 1})
            over = [f"{bound} {what}" for what, bound in REQUEST.items() if with_it[what] > bound]
            if not over:
                spent = with_it
                continue
            why = Loss(action.name, "", "strict", f"Anthropic: not strict, beyond the {' and '.join(over)} of one request")
            pairs[action.name] = (action, unstrict(action.name, action.schema, self.vocabulary, [why]))
        return list(pairs.values())

    def tools(self, actions: Actions) -> list[dict[str, Any]]:
        """Give `ToolParam`s."""
        return [
            {"name": action.name, "description": described(action, written), "input_schema": written.schema}
            | ({"strict": True} if written.strict else {})
            for action, written in self.rewritten(actions)
        ]

    def found(self, message: Mapping[str, Any]) -> Iterator[tuple[str | None, str, Any]]:
        """Find the `tool_use` blocks."""
        content = message.get("content")
        for block in content if isinstance(content, list) else ():
            if block.get("type") == "tool_use":
                yield block.get("id"), block.get("name", ""), block.get("input")

    def results(self, pairs: Pairs) -> list[dict[str, Any]]:
        """Give one user message with a `tool_result` for each call: parallel calls are answered together."""
        blocks = [
            {"type": "tool_result", "tool_use_id": call.id, "content": text(outcome)} | ({"is_error": True} if went_wrong(outcome) else {})
            for call, outcome in pairs
        ]
        return [{"role": "user", "content": blocks}] if blocks else []
