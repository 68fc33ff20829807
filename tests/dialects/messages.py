"""What a model sends: messages in each provider's wire form, and values as strict decoding makes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def message(name: str, calls: list[tuple[str, Any]]) -> dict[str, Any]:
    """Write calls (name, arguments) as the provider's response; ids are t0, t1, …"""
    numbered = [(f"t{number}", called, arguments) for number, (called, arguments) in enumerate(calls)]
    match name:
        case "openai":
            functions = [
                {"id": key, "type": "function", "function": {"name": called, "arguments": _text(arguments)}}
                for key, called, arguments in numbered
            ]
            return {"choices": [{"message": {"role": "assistant", "content": None, "tool_calls": functions}}]}
        case "openai-responses":
            items = [
                {"type": "function_call", "id": f"fc_{key}", "call_id": key, "name": called, "arguments": _text(arguments)}
                for key, called, arguments in numbered
            ]
            return {"output": [{"type": "reasoning", "summary": []}, *items]}
        case "anthropic":
            blocks = [{"type": "tool_use", "id": key, "name": called, "input": arguments} for key, called, arguments in numbered]
            return {"role": "assistant", "content": [{"type": "text", "text": "I will."}, *blocks]}
        case "gemini":
            parts = [{"functionCall": {"id": key, "name": called, "args": arguments}} for key, called, arguments in numbered]
            return {"candidates": [{"content": {"role": "model", "parts": [{"text": "I will."}, *parts]}}]}
        case "bedrock":
            uses = [{"toolUse": {"toolUseId": key, "name": called, "input": arguments}} for key, called, arguments in numbered]
            return {"output": {"message": {"role": "assistant", "content": [{"text": "I will."}, *uses]}}}
        case _:
            (_, called, arguments), *others = numbered
            assert not others, "an MCP request carries one call"
            return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": called, "arguments": arguments}}


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def filled(value: Any, schema: Mapping[str, Any]) -> Any:
    """Name every property, as strict decoding by `schema` makes a model do: null for the ones that are left out."""
    if isinstance(value, list):
        return [filled(item, _branch(item, schema["items"])) for item in value] if "items" in schema else value
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    return {name: filled(value.get(name), _branch(value.get(name), member)) for name, member in schema["properties"].items()}


def _branch(value: Any, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Choose of a union the branch that was meant: by its tag, where it has one, else by its type."""
    kind = {dict: "object", list: "array"}.get(type(value))
    for branch in schema.get("anyOf", ()):
        tags = {name: member["const"] for name, member in branch.get("properties", {}).items() if "const" in member}
        if branch.get("type") == kind and all(value.get(name) == tag for name, tag in tags.items()):
            return branch
    return schema


def sample(schema: Mapping[str, Any], *, absent: bool) -> Any:
    """Make a value that strict decoding by the schema allows: with every optional property left out, or with none."""
    if "anyOf" in schema:
        branches = sorted(schema["anyOf"], key=lambda branch: branch.get("type") == "null", reverse=absent)
        return sample(branches[0], absent=absent)
    if "enum" in schema or "const" in schema:
        return schema["enum"][0] if "enum" in schema else schema["const"]
    match schema.get("type"):
        case "object":
            return {name: sample(member, absent=absent) for name, member in schema.get("properties", {}).items()}
        case "array":
            return [sample(schema["items"], absent=absent)] * schema.get("minItems", 1)
        case simple:
            return {"string": "text", "integer": 3, "number": 2.5, "boolean": True, "null": None, None: "anything"}[simple]
