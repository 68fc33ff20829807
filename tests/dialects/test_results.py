"""Outcomes go out in each provider's wire form, an error flagged where there is a flag."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from remit.actions import Money, Result, ToolCall
from remit.actions.dialects import DIALECTS, dialect
from tests.dialects.offered import OURS, Refund, book_slots, look_up_payment, refund_payment

DONE = {
    "call": "c1",
    "action": "refund_payment",
    "state": "succeeded",
    "message": "Done.",
    "result": {"id": "re_1", "amount": {"value": "1.00", "currency": "EUR"}},
}
WAITING = {"call": "c2", "action": "refund_payment", "state": "waiting", "message": "Waiting for finance.", "waiting": [{"for": "finance"}]}
DENIED = {"call": "c3", "action": "refund_payment", "state": "denied", "message": "No.", "error": {"code": "denied", "retry": "never"}}
UNREADABLE = {**DONE, "error": {"code": "result_invalid", "message": "It was done.", "retry": "never"}}
OUTCOMES = [DONE, WAITING, DENIED, UNREADABLE]
PAIRS = [(ToolCall(f"t{number}", "refund_payment", {}), outcome) for number, outcome in enumerate(OUTCOMES)]


def test_openai_gets_one_message_for_each_call() -> None:
    messages = dialect("openai").results(PAIRS)
    assert [(one["role"], one["tool_call_id"], json.loads(one["content"])) for one in messages] == [
        ("tool", call.id, outcome) for call, outcome in PAIRS
    ]


def test_responses_gets_one_item_for_each_call() -> None:
    items = dialect("openai-responses").results(PAIRS)
    assert [(one["type"], one["call_id"], json.loads(one["output"])) for one in items] == [
        ("function_call_output", call.id, outcome) for call, outcome in PAIRS
    ]


def test_anthropic_gets_one_message_with_errors_flagged() -> None:
    (message,) = dialect("anthropic").results(PAIRS)
    assert message["role"] == "user"
    assert [(block["tool_use_id"], block.get("is_error", False)) for block in message["content"]] == [
        ("t0", False), ("t1", False), ("t2", True), ("t3", False)
    ]  # fmt: skip
    assert [json.loads(block["content"]) for block in message["content"]] == OUTCOMES


def test_gemini_gets_output_or_error() -> None:
    (content,) = dialect("gemini").results([*PAIRS, (ToolCall(None, "refund_payment", {}), DONE)])
    responses = [part["functionResponse"] for part in content["parts"]]
    assert [list(response["response"]) for response in responses] == [["output"], ["output"], ["error"], ["output"], ["output"]]
    assert [response.get("id", "none") for response in responses] == ["t0", "t1", "t2", "t3", "none"]


def test_bedrock_gets_a_status_for_errors() -> None:
    (message,) = dialect("bedrock").results(PAIRS)
    assert [block["toolResult"].get("status") for block in message["content"]] == [None, None, "error", None]
    assert [block["toolResult"]["content"] for block in message["content"]] == [[{"json": outcome}] for outcome in OUTCOMES]


def test_mcp_gets_structured_content_and_text() -> None:
    results = dialect("mcp").results(PAIRS)
    assert [result["isError"] for result in results] == [False, False, True, False]
    assert [result["structuredContent"] for result in results] == OUTCOMES
    assert [json.loads(result["content"][0]["text"]) for result in results] == OUTCOMES


@pytest.mark.parametrize("name", DIALECTS)
def test_no_calls_append_nothing(name: str) -> None:
    assert dialect(name).results([]) == []


def test_what_an_mcp_client_gets_fits_the_output_schema() -> None:
    schemas = {tool["name"]: tool.get("outputSchema") for tool in dialect("mcp").tools(OURS)}
    result = refund_payment.result(Refund(id="re_1", amount=Money.of("1.00", "EUR")))
    assert isinstance(result, Result)
    outcome = DONE | {"result": result.model}
    assert "ledger" in result.canonical
    check = Draft202012Validator(schemas["refund_payment"])
    for seen in (outcome, WAITING, DENIED, UNREADABLE):
        check.validate(seen)
    assert not check.is_valid({**DONE, "result": {"id": 7}})
    assert not check.is_valid(DONE | {"result": result.canonical}), "the stored form, with what staff alone may see"  # positive control
    assert schemas["look_up_payment"]["properties"]["result"] == schemas["refund_payment"]["properties"]["result"]


def test_mcp_hints_follow_from_the_kind_of_effect() -> None:
    hints: dict[str, Any] = {
        tool["name"]: tool["annotations"] for tool in dialect("mcp").tools([look_up_payment, refund_payment, book_slots])
    }
    assert {name: hint["readOnlyHint"] for name, hint in hints.items()} == {
        "look_up_payment": True, "refund_payment": False, "book_slots": False
    }  # fmt: skip
