"""Messages of a model, exactly as each provider's API would send them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Call = tuple[str, str, Mapping[str, Any]]  # the provider's id of the tool call, the tool's name, its arguments


def message(dialect: str, calls: Sequence[Call]) -> dict[str, Any]:
    """Write a message in which a model calls tools. Raise KeyError for a dialect that no model of the story speaks."""
    return {"anthropic": _anthropic, "openai": _openai, "gemini": _gemini}[dialect](calls)


def _anthropic(calls: Sequence[Call]) -> dict[str, Any]:
    content = [{"type": "tool_use", "id": identity, "name": name, "input": arguments} for identity, name, arguments in calls]
    return {"id": "msg_01", "type": "message", "role": "assistant", "content": content, "stop_reason": "tool_use"}


def _openai(calls: Sequence[Call]) -> dict[str, Any]:
    tool_calls = [
        {"id": identity, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for identity, name, arguments in calls
    ]
    said = {"role": "assistant", "content": None, "tool_calls": tool_calls}
    return {"id": "chatcmpl-01", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": said}]}


def _gemini(calls: Sequence[Call]) -> dict[str, Any]:
    parts = [{"functionCall": {"id": identity, "name": name, "args": arguments}} for identity, name, arguments in calls]
    return {"candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": parts}}]}
