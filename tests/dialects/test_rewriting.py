"""What a provider can't express goes into words and into the report; what it can is left alone."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from remit.actions import Arguments, Problem
from remit.actions.dialects import DIALECTS, Loss, dialect
from remit.errors import DefinitionError
from tests.dialects.offered import OURS, file_category, foreign, look_up_payment, refund_payment, tag_order

STRICT = ("openai", "openai-responses", "anthropic")


def argument(name: str, schema: dict[str, Any], *, required: bool = True) -> tuple[dict[str, Any], list[Loss], bool]:
    """Offer one argument `a`; give what the provider is told of it, the report, and whether the tool is strict."""
    action = foreign("try_it", {"type": "object", "properties": {"a": schema}, "required": ["a"] if required else []})
    tool = dialect(name).tools([action])[0]
    inner = tool.get("function", tool)
    told = next(inner[key] for key in ("parameters", "input_schema", "inputSchema", "toolSpec", "functionDeclarations") if key in inner)
    told = told["inputSchema"]["json"] if name == "bedrock" else told[0]["parametersJsonSchema"] if name == "gemini" else told
    losses = [loss for loss in dialect(name).lossiness([action]) if loss.path]
    return told["properties"]["a"], losses, bool(inner.get("strict"))


@pytest.mark.parametrize(
    ("schema", "lost_at"),
    [
        ({"type": "string", "maxLength": 3}, {"openai", "openai-responses", "anthropic", "gemini"}),
        ({"type": "string", "pattern": "^a+$"}, {"anthropic", "gemini"}),
        ({"type": "string", "format": "ipv6"}, {"gemini"}),
        ({"type": "string", "format": "iban"}, {"openai", "openai-responses", "anthropic", "gemini"}),
        ({"type": "integer", "minimum": 2}, {"anthropic"}),
        ({"type": "integer", "multipleOf": 5}, {"anthropic", "gemini"}),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, set()),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, {"anthropic"}),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, {"openai", "openai-responses", "anthropic", "gemini"}),
        ({"type": "string", "enum": ["a", "b"]}, set()),
        ({"type": "string", "enum": ["eur", "EUR"]}, {"anthropic"}),
        ({"type": "boolean", "enum": [True]}, {"gemini"}),
        ({"type": "string", "not": {"const": "x"}}, {"openai", "openai-responses", "anthropic", "gemini"}),
    ],
    ids=lambda part: json.dumps(part) if isinstance(part, dict) else "",
)
def test_a_bound_is_kept_or_said_and_reported(schema: dict[str, Any], lost_at: set[str]) -> None:
    keyword = list(schema)[-1]
    for name in DIALECTS:
        told, losses, strict = argument(name, schema)
        assert strict is (name in STRICT)
        if name in lost_at:
            assert keyword not in told
            assert [(loss.action, loss.path, loss.keyword) for loss in losses] == [("try_it", "a", keyword)]
            assert told["description"], "said in words"
        else:
            assert told == schema
            assert losses == []


def test_what_is_moved_into_words_is_still_enforced() -> None:
    action = foreign("try_it", {"type": "object", "properties": {"a": {"type": "string", "description": "A code.", "maxLength": 3}}})
    tool = dialect("anthropic").tools([action])[0]
    assert tool["input_schema"]["properties"]["a"] == {"type": "string", "description": "A code. At most 3 characters."}
    assert isinstance(action.read({"a": "abc"}), Arguments)
    assert isinstance(action.read({"a": "abcd"}), Problem)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": True},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "array"},
        {"type": "array", "items": {}},
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
        {"description": "Anything."},
        {"allOf": [{"properties": {"b": {"type": "string"}}}, {"properties": {"c": {"type": "string"}}}]},
    ],
    ids=json.dumps,
)
def test_what_has_no_closed_shape_is_sent_whole_but_not_strict(schema: dict[str, Any]) -> None:
    for name in STRICT:
        told, losses, strict = argument(name, schema)
        assert not strict
        assert {loss.keyword for loss in losses} == {"strict"}
        assert told.items() >= {key: value for key, value in schema.items() if key != "allOf"}.items()
    assert argument("mcp", schema)[1] == []


def test_an_object_that_is_silent_about_other_properties_is_closed_for_strict_decoding_and_that_is_reported() -> None:
    schema = {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}
    told, losses, strict = argument("openai", schema)
    assert strict
    assert told["additionalProperties"] is False
    assert [loss.keyword for loss in losses] == ["additionalProperties"]
    assert argument("gemini", schema)[0] == schema


def test_optional_is_a_union_with_null_at_openai_alone() -> None:
    schema = {"type": "integer", "description": "How many."}
    assert argument("openai", schema, required=False)[0] == {"description": "How many.", "anyOf": [{"type": "integer"}, {"type": "null"}]}
    for name in ("anthropic", "gemini", "bedrock", "mcp"):
        assert argument(name, schema, required=False)[0] == schema
    nullable = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert argument("openai", nullable, required=False)[0] == nullable, "null is not added twice"


def test_a_list_of_types_becomes_a_union() -> None:
    for name in DIALECTS:
        told, _, _ = argument(name, {"type": ["string", "null"], "enum": ["a", None]})
        assert [branch["type"] for branch in told["anyOf"]] == ["string", "null"]
        assert told["anyOf"][0]["enum"] == ["a"]


def test_references_are_put_in_place() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/Code", "description": "The first."}, "b": {"allOf": [{"$ref": "#/$defs/Code"}]}},
        "required": ["a", "b"],
        "$defs": {"Code": {"type": "string", "enum": ["x", "y"], "description": "A code."}},
    }
    for name in DIALECTS:
        wire = json.dumps(dialect(name).tools([foreign("try_it", schema)]))
        assert "$ref" not in wire
        assert "$defs" not in wire
        assert "The first." in wire


def test_one_of_is_sent_as_any_of_where_it_must() -> None:
    schema = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    told, losses, _ = argument("openai", schema)
    assert told == {"anyOf": schema["oneOf"]}
    assert [loss.keyword for loss in losses] == ["oneOf"]
    assert argument("bedrock", schema)[0] == schema


def test_a_circle_keeps_its_reference_or_is_cut() -> None:
    openai = dialect("openai").tools([file_category])[0]["function"]
    assert openai["strict"] is True
    inner = openai["parameters"]["$defs"]["Category"]["properties"]["parts"]["anyOf"][0]["items"]
    assert inner == {"$ref": "#/$defs/Category"}
    anthropic = dialect("anthropic").tools([file_category])[0]
    assert "strict" not in anthropic
    assert "$ref" in json.dumps(anthropic)
    for name in ("gemini", "bedrock"):
        assert "$ref" not in json.dumps(dialect(name).tools([file_category]))
        assert [loss.path for loss in dialect(name).lossiness([file_category]) if loss.keyword == "$ref"] == ["category.parts[]"]


def test_the_root_says_in_words_what_it_may_not_say() -> None:
    either = [{"required": ["a"]}, {"required": ["b"]}]
    action = foreign("try_it", {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "anyOf": either})
    for name in DIALECTS:
        wire = json.dumps(dialect(name).tools([action]))
        lost = [loss for loss in dialect(name).lossiness([action]) if loss.keyword == "anyOf"]
        assert (len(lost), '"anyOf": [{"required"' in wire) == ((0, True) if name == "mcp" else (1, False))
        assert "required" in wire


def test_more_than_a_strict_schema_may_have_is_not_strict() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(10):
        deep = {"type": "object", "properties": {"in": deep}, "required": ["in"], "additionalProperties": False}
    assert argument("openai", deep["properties"]["in"])[2]
    assert not argument("openai", deep)[2]
    action = foreign("try_it", {"type": "object", "properties": {"a": {"type": "string", "enum": [f"v{n}" for n in range(1_001)]}}})
    assert [loss.why for loss in dialect("openai").lossiness([action])] == ["OpenAI: not strict, 1001 enum values, at most 1000"]


def test_anthropic_gets_no_more_strictness_than_a_request_may_have() -> None:
    one = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a"]}
    many = [foreign(f"try_{number:02}", one) for number in range(22)]
    tools = dialect("anthropic").tools([*reversed(many), look_up_payment])
    assert [tool["name"] for tool in tools] == [action.name for action in (*reversed(many), look_up_payment)], "in the order given"
    strict = sorted(tool["name"] for tool in tools if tool.get("strict"))
    assert strict == [f"try_{number:02}" for number in range(20)], "writing actions first, by name"
    lost = {loss.action for loss in dialect("anthropic").lossiness([*many, look_up_payment]) if loss.keyword == "strict"}
    assert lost == {"try_20", "try_21", "look_up_payment"}
    optional = {"type": "object", "properties": {f"a{number}": {"type": "string"} for number in range(13)}}
    two = dialect("anthropic").tools([foreign("try_a", optional), foreign("try_b", optional)])
    assert [tool.get("strict", False) for tool in two] == [True, False]


def test_the_same_actions_give_the_same_bytes_and_are_not_touched() -> None:
    for name in DIALECTS:
        before = copy.deepcopy([action.schema for action in OURS])
        first = json.dumps(dialect(name).tools(OURS))
        assert json.dumps(dialect(name).tools(list(OURS))) == first
        assert [action.schema for action in OURS] == before
        for tool in dialect(name).tools(OURS):
            tool.clear()
        assert json.dumps(dialect(name).tools({action.name: action for action in OURS})) == first


def test_mcp_loses_nothing() -> None:
    assert dialect("mcp").lossiness(OURS) == []


def test_the_report_names_the_action_the_place_and_the_reason() -> None:
    assert dialect("openai").lossiness([refund_payment, tag_order]) == [
        Loss("refund_payment", "note", "default", "OpenAI: not expressible; said in the description"),
        Loss("refund_payment", "note", "maxLength", "OpenAI: not expressible; said in the description"),
        Loss("tag_order", "tags", "strict", "OpenAI: not strict, the object is free-form"),
    ]


def test_an_unknown_dialect_is_refused_by_name() -> None:
    with pytest.raises(
        DefinitionError, match="'cohere' is not a dialect; there are openai, openai-responses, anthropic, gemini, bedrock, mcp"
    ):
        dialect("cohere")
