"""Amazon Bedrock: the Converse API, in what its model families have in common.

Source: botocore's service model of bedrock-runtime, and the tool use guide of Amazon Nova, which takes only `type`,
`properties` and `required` at the root of a schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .dialect import Actions, Dialect, Pairs, described, went_wrong
from .vocabulary import Vocabulary


class Bedrock(Dialect):
    """Speak Converse: the message is `output.message`."""

    name = "bedrock"
    vocabulary = Vocabulary(provider="Bedrock", root={"type", "properties", "required"}.__contains__, recursive=False)

    def tools(self, actions: Actions) -> list[dict[str, Any]]:
        """Give the `tools` of `toolConfig`."""
        return [
            {"toolSpec": {"name": action.name, "description": described(action, written), "inputSchema": {"json": written.schema}}}
            for action, written in self.rewritten(actions)
        ]

    def found(self, message: Mapping[str, Any]) -> Iterator[tuple[str | None, str, Any]]:
        """Find the `toolUse` blocks."""
        message = message["output"]["message"] if "output" in message else message
        for block in message.get("content") or ():
            if use := block.get("toolUse"):
                yield use.get("toolUseId"), use.get("name", ""), use.get("input")

    def results(self, pairs: Pairs) -> list[dict[str, Any]]:
        """Give one user message with a `toolResult` for each call; `status` only for errors, since some models know none."""
        results = [
            {"toolUseId": call.id, "content": [{"json": dict(outcome)}]} | ({"status": "error"} if went_wrong(outcome) else {})
            for call, outcome in pairs
        ]
        return [{"role": "user", "content": [{"toolResult": result} for result in results]}] if results else []
