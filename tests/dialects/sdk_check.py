"""Hold tools and results against the types of the providers' own SDKs.

Runs under the Python of the environment `sdks`: reads `{"dialect": [{"tools": […], "results": […]}, …]}` on stdin, one object
for each request, and writes a list of what was refused.
"""

from __future__ import annotations

import copy
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
from agents.strict_schema import ensure_strict_json_schema
from anthropic.lib._parse._transform import transform_schema
from anthropic.types import MessageParam, ToolParam
from google.genai import types as genai
from mcp import types as mcp
from openai.lib._pydantic import _ensure_strict_json_schema
from openai.types.chat import ChatCompletionToolMessageParam, ChatCompletionToolParam
from openai.types.responses import FunctionToolParam
from openai.types.responses.response_input_param import FunctionCallOutput
from pydantic import ConfigDict, TypeAdapter, with_config

Request = dict[str, list[dict[str, Any]]]


def closed(typed_dict: Any) -> TypeAdapter[Any]:
    """Make a TypedDict refuse keys that it does not declare."""
    try:
        return TypeAdapter(with_config(ConfigDict(extra="forbid"))(typed_dict))
    except Exception:  # noqa: BLE001 - one that has a configuration of its own
        return TypeAdapter(typed_dict)


CHAT, RESPONSES, ANTHROPIC = closed(ChatCompletionToolParam), closed(FunctionToolParam), closed(ToolParam)
CHAT_RESULT, RESPONSES_RESULT, ANTHROPIC_RESULT = closed(ChatCompletionToolMessageParam), closed(FunctionCallOutput), closed(MessageParam)


def strict(schema: dict[str, Any]) -> None:
    """A schema is strict when OpenAI's helpers find nothing left to do."""
    assert ensure_strict_json_schema(copy.deepcopy(schema)) == schema, "the agents package would change it"
    again = copy.deepcopy(schema)
    assert _ensure_strict_json_schema(again, path=(), root=again) == schema, "the openai package would change it"
    for part in parts(schema):
        assert not part.keys() & {"allOf", "not", "if", "oneOf", "default", "minLength", "maxLength"}, f"not strict: {part.keys()}"


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for name, member in schema.items():
            for inner in member.values() if name in {"properties", "$defs"} else [member]:
                yield from parts(inner)
    elif isinstance(schema, list):
        for member in schema:
            yield from parts(member)


def openai(request: Request) -> None:
    for tool in request["tools"]:
        CHAT.validate_python(tool, strict=True)
        if tool["function"]["strict"]:
            strict(tool["function"]["parameters"])
    for result in request["results"]:
        CHAT_RESULT.validate_python(result)


def openai_responses(request: Request) -> None:
    for tool in request["tools"]:
        RESPONSES.validate_python(tool, strict=True)
        if tool["strict"]:
            strict(tool["parameters"])
    for result in request["results"]:
        RESPONSES_RESULT.validate_python(result)


def anthropic(request: Request) -> None:
    counted: Counter[str] = Counter()
    for tool in request["tools"]:
        ANTHROPIC.validate_python(tool)
        if not tool.get("strict"):
            continue
        counted["strict"] += 1
        schema = tool["input_schema"]
        assert untyped(transform_schema(schema)) == untyped(schema), "the SDK would move more into descriptions"
        for part in parts(schema):
            counted["optional"] += len(part.get("properties", {}).keys() - set(part.get("required", ())))
            counted["unions"] += "anyOf" in part
    assert counted["strict"] <= 20 and counted["optional"] <= 24 and counted["unions"] <= 16, f"beyond a request: {counted}"
    for result in request["results"]:
        ANTHROPIC_RESULT.validate_python(result)


def untyped(schema: Any) -> Any:
    """Leave out the type beside an enumeration, as the SDK does; it says the same."""
    if isinstance(schema, dict):
        return {name: untyped(item) for name, item in schema.items() if name != "type" or not schema.keys() & {"enum", "const"}}
    return [untyped(item) for item in schema] if isinstance(schema, list) else schema


def gemini(request: Request) -> None:
    for tool in request["tools"]:
        for declaration in genai.Tool.model_validate(tool).function_declarations:
            genai.JSONSchema.model_validate(declaration.parameters_json_schema)  # it forbids keywords that it does not know
    for result in request["results"]:
        genai.Content.model_validate(result)


def record(optional: tuple[str, ...] = (), **members: Any) -> dict[str, Any]:
    """Describe an object with exactly these members."""
    required = sorted(members.keys() - set(optional))
    return {"type": "object", "properties": members, "required": required, "additionalProperties": False}


def listed(member: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": member}


# The shapes ToolConfiguration and Message of botocore's service model, and what Nova takes at the root of a schema.
INPUT = record(type={"const": "object"}, properties={"type": "object"}, required={"type": "array"}, optional=("required",))
TOOL = record(
    name={"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
    description={"type": "string", "minLength": 1},
    inputSchema=record(json=INPUT),
)
RESULT = record(
    toolUseId={"type": "string", "pattern": "^[a-zA-Z0-9_.:-]{1,64}$"},
    content=listed(record(json={"type": "object"})),
    status={"enum": ["success", "error"]},
    optional=("status",),
)
CONVERSE = jsonschema.Draft202012Validator(
    record(
        tools=listed(record(toolSpec=TOOL)),
        results=listed(record(role={"const": "user"}, content=listed(record(toolResult=RESULT)))),
    )
)


def bedrock(request: Request) -> None:
    CONVERSE.validate(request)


def model_context_protocol(request: Request) -> None:
    listed = mcp.ListToolsResult.model_validate({"tools": request["tools"]})
    sent = listed.model_dump(mode="json", by_alias=True, exclude_none=True)["tools"]
    assert sent == request["tools"], "the SDK does not know all of it"
    for result in request["results"]:
        assert mcp.CallToolResult.model_validate(result).structured_content == result["structuredContent"]


CHECKS: dict[str, Callable[[Request], None]] = {
    "openai": openai,
    "openai-responses": openai_responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "bedrock": bedrock,
    "mcp": model_context_protocol,
}


def main() -> None:
    refused = []
    for name, requests in json.load(sys.stdin).items():
        for number, request in enumerate(requests):
            try:
                CHECKS[name](request)
            except Exception as error:  # noqa: BLE001 - whatever an SDK raises is a refusal
                refused.append({"dialect": name, "request": number, "error": f"{type(error).__name__}: {error}"[:600]})
    json.dump(refused, sys.stdout)


if __name__ == "__main__":
    main()
