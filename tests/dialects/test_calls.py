"""Calls come in from each provider's wire form, and what a schema was rewritten to is turned back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from remit.actions import Action, Arguments, Problem, ToolCall
from remit.actions.dialects import DIALECTS, dialect
from tests.dialects.messages import filled, message, sample
from tests.dialects.offered import (
    OURS,
    book_slots,
    change_payout,
    file_category,
    foreign,
    look_up_payment,
    refund_payment,
    schemas_of_the_testbed,
    tag_order,
)

STRICT = ("openai", "openai-responses")
PARALLEL = tuple(name for name in DIALECTS if name != "mcp")
EUR = {"value": "49.90", "currency": "EUR"}
SENT: list[tuple[Action, dict[str, Any]]] = [
    (refund_payment, {"payment_id": "pi_1", "amount": EUR, "reason": "late"}),
    (refund_payment, {"payment_id": "pi_1", "amount": EUR, "reason": "damaged", "note": "broken", "fee": 1.5}),
    (look_up_payment, {"payment_id": "pi_1"}),
    (book_slots, {"slots": [{"start": "2026-03-01T10:00:00Z"}, {"start": "2026-03-01T12:00:00+01:00", "seats": 2, "room": "B"}]}),
    (change_payout, {"payout": {"kind": "card", "last4": "4242"}}),
    (change_payout, {"payout": {"kind": "account", "iban": "DE00"}, "backup": {"kind": "card", "last4": "4242", "name": "A. Sample"}}),
    (tag_order, {"order_id": "o_1", "tags": {"gift": "yes"}}),
    (file_category, {"category": {"name": "a", "parts": [{"name": "b", "parts": []}]}}),
]


def strict_schema(action: Action) -> dict[str, Any]:
    return dialect("openai").tools([action])[0]["function"]["parameters"]


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(("action", "sent"), SENT, ids=lambda part: part.name if isinstance(part, Action) else "")
def test_arguments_survive_the_way_through_a_provider(name: str, action: Action, sent: dict[str, Any]) -> None:
    arrives, meant = sent, sent
    if name in STRICT and action is not file_category and action is not tag_order:
        arrives = filled(sent, strict_schema(action))
        Draft202012Validator(strict_schema(action)).validate(arrives)  # a strict model could have sent this
    (call,) = dialect(name).calls(message(name, [(action.name, arrives)]), OURS)
    read = action.read(call.arguments)
    assert isinstance(read, Arguments), read
    if arrives is not sent and action is book_slots:
        meant = sent | {"hours": None}  # the one loss of OpenAI's nulls, told in the report
    assert read == action.read(meant)
    assert call.name == action.name


@pytest.mark.parametrize("name", STRICT)
def test_without_the_decoding_a_null_would_be_refused(name: str) -> None:  # positive control
    sent = filled({"payment_id": "pi_1", "amount": EUR, "reason": "late"}, strict_schema(refund_payment))
    assert sent["note"] is None
    (raw,) = dialect(name).calls(message(name, [("refund_payment", sent)]))
    assert isinstance(refund_payment.read(raw.arguments), Problem)


def test_null_stays_where_the_action_takes_null() -> None:
    sent = filled({"slots": [{"start": "2026-03-01T10:00:00Z"}]}, strict_schema(book_slots))
    (call,) = dialect("openai").calls(message("openai", [("book_slots", sent)]), OURS)
    read = book_slots.read(call.arguments)
    assert isinstance(read, Arguments)
    assert read.values["remind"] is True, "left out: the default"
    assert read.values["hours"] is None, "given: null, which the action takes"
    (slot,) = read.canonical["slots"]
    assert slot["seats"] == 1
    assert [loss.path for loss in dialect("openai").lossiness([book_slots]) if "can't be told" in loss.why] == ["hours"]


@pytest.mark.parametrize("name", PARALLEL)
def test_parallel_calls_keep_their_order_and_ids(name: str) -> None:
    calls = dialect(name).calls(message(name, [("look_up_payment", {"payment_id": f"p{number}"}) for number in range(3)]), OURS)
    assert [(call.id, call.arguments["payment_id"]) for call in calls if isinstance(call.arguments, dict)] == [
        (f"t{number}", f"p{number}") for number in range(3)
    ]


@pytest.mark.parametrize("name", DIALECTS)
def test_a_message_without_calls_has_none(name: str) -> None:
    if name != "mcp":
        assert dialect(name).calls(message(name, []), OURS) == []
        assert dialect(name).calls({}, OURS) == []
    assert dialect("gemini").calls({"candidates": [{"finishReason": "SAFETY"}]}) == []
    assert dialect("gemini").calls({"candidates": []}) == []
    assert dialect("anthropic").calls({"role": "assistant", "content": "Hello."}) == []


@pytest.mark.parametrize("broken", ['{"payment_id": "p', '{"payment_id": "a", "payment_id": "b"}', '{"payment_id": NaN}', "null", "[1]"])
@pytest.mark.parametrize("name", STRICT)
def test_malformed_arguments_stay_as_written_and_are_reported(name: str, broken: str) -> None:
    (call,) = dialect(name).calls(message(name, [("look_up_payment", broken)]), OURS)
    assert call.arguments == broken
    assert isinstance(look_up_payment.read(call.arguments), Problem)


@pytest.mark.parametrize("name", DIALECTS)
def test_what_is_no_object_is_reported_too(name: str) -> None:
    (call,) = dialect(name).calls(message(name, [("look_up_payment", ["pi_1"])]), OURS)
    assert isinstance(look_up_payment.read(call.arguments), Problem)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_tool_without_arguments_may_be_sent_none(name: str) -> None:
    nothing = "" if name in STRICT else None
    assert [call.arguments for call in dialect(name).calls(message(name, [("look_up_payment", nothing)]), OURS)] == [{}]


@pytest.mark.parametrize("name", DIALECTS)
def test_an_unknown_tool_is_handed_on(name: str) -> None:
    (call,) = dialect(name).calls(message(name, [("delete_everything", {"really": None})]), OURS)
    assert (call.name, call.arguments) == ("delete_everything", '{"really": null}' if name in STRICT else {"really": None})


def test_the_id_of_a_json_rpc_request_is_no_name_for_a_call() -> None:
    assert dialect("mcp").calls(message("mcp", [("look_up_payment", {})]))[0].id is None
    params = {"name": "look_up_payment", "arguments": {"payment_id": "p"}}
    assert dialect("mcp").calls(params) == [ToolCall(None, "look_up_payment", {"payment_id": "p"})]


def test_a_null_in_a_union_is_read_by_the_branch_that_fits() -> None:
    plain = {"type": "object", "properties": {"a": {"const": 1}, "note": {"type": "string"}}, "required": ["a"]}
    nullable = {"type": "object", "properties": {"a": {"const": 2}, "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
    action = foreign("choose", {"type": "object", "properties": {"one": {"oneOf": [plain, nullable]}}})
    for tag, kept in ((1, {"a": 1}), (2, {"a": 2, "note": None})):
        (call,) = dialect("openai").calls(message("openai", [("choose", {"one": {"a": tag, "note": None}})]), [action])
        assert call.arguments == {"one": kept}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["payout", "backup", "kind", "last4", "iban", "slots", "start", "category", "parts", "x"]), inner
            )
        ),
        max_leaves=12,
    )
)
@settings(max_examples=300, deadline=None)
def test_nothing_that_a_model_sends_raises(sent: Any) -> None:
    for action in OURS:
        for name in ("openai", "anthropic"):
            (call,) = dialect(name).calls(message(name, [(action.name, sent)]), OURS)
            assert isinstance(action.read(call.arguments), Arguments | Problem)


@pytest.mark.parametrize("absent", [True, False], ids=["left out", "given"])
def test_what_a_strict_model_may_send_fits_the_original_schema(absent: bool) -> None:
    actions = schemas_of_the_testbed()
    tools = dialect("openai").tools(actions)
    decoded = nulls = 0
    for action, tool in zip(actions, tools, strict=True):
        unsatisfiable = any(
            loss.keyword == "enum" for loss in dialect("openai").lossiness([action])
        )  # there are a few: values of another type
        if unsatisfiable or not tool["function"]["strict"]:
            continue
        sent = sample(tool["function"]["parameters"], absent=absent)
        (call,) = dialect("openai").calls(message("openai", [(action.name, sent)]), [action])
        assert [
            error.message
            for error in Draft202012Validator(action.schema).iter_errors(json.loads(json.dumps(call.arguments, default=float)))
        ] == []
        decoded += 1
        nulls += "null" in json.dumps(sent)
    assert decoded > 1_400
    assert (nulls > 800) is absent
