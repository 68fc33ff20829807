"""What is told to whoever runs it: by the GenAI conventions, with our ids, and never a personal value."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as conventions

from remit.runtime import telemetry
from tests.runtime.telling import PERSONAL
from tests.runtime.test_privacy import SECRET

DOCS = Path(__file__).resolve().parents[2] / "docs" / "telemetry.md"


def told(folder: Path, *more: str) -> dict:
    done = subprocess.run([sys.executable, "-m", "tests.runtime.telling", str(folder), *more], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    return told(tmp_path_factory.mktemp("telling"))


def personal(everything: dict) -> list[str]:
    text = json.dumps([everything["spans"], everything["metrics"], everything["lines"]])
    return [value for value in (*PERSONAL.values(), SECRET) if value in text]


def points(everything: dict) -> dict[str, list[dict]]:
    measured = [one for each in everything["metrics"]["resource_metrics"] for scope in each["scope_metrics"] for one in scope["metrics"]]
    return {one["name"]: one["data"]["data_points"] for one in measured}


def test_nothing_personal_is_told(everything):
    assert everything["spans"] and everything["lines"], "something was told at all"
    assert personal(everything) == []


def test_control_arguments_on_a_span_are_found(tmp_path):
    assert PERSONAL["argument"] in personal(told(tmp_path, "leaking"))


def test_control_words_that_an_sdk_puts_on_a_span_are_found(tmp_path):
    assert PERSONAL["exception"] in personal(told(tmp_path, "wording"))


def test_an_exception_is_told_by_its_type(everything):
    raised = [span for span in everything["spans"] if span["attributes"].get("error.type") == "ValueError"]
    assert {span["name"] for span in raised} >= {"execute_tool"}
    assert {(span["status"]["status_code"], span["status"].get("description")) for span in raised} == {("ERROR", None)}
    assert not any(span["events"] for span in everything["spans"])
    assert any("ValueError < telling.py" in line["said"] for line in everything["lines"])


def test_a_name_that_a_model_made_up_and_a_code_that_is_words_are_not_repeated(everything):
    points_of = [point["attributes"] for point in points(everything)["remit.calls"]]
    assert {"gen_ai.tool.name": "other", "remit.call.state": "rejected", "remit.call.code": "unknown_action"} in points_of
    assert "other" in {one.get("remit.call.code") for one in points_of if one["remit.call.state"] == "failed"}


def test_a_decision_and_a_commit_are_spans_within(everything):
    whole = next(span for span in everything["spans"] if span["attributes"].get("gen_ai.tool.call.id") == everything["calls"][0])
    within = [span for span in everything["spans"] if span["parent_id"] == whole["context"]["span_id"]]
    assert [span["name"] for span in within] == ["decide", "commit", "handler jot", "commit"]
    assert (within[0]["attributes"]["remit.decision"], within[0]["attributes"]["remit.rules"]) == ("allow", ["notes/anybody"])
    words = {point["attributes"]["remit.decision"] for point in points(everything)["remit.decisions"]}
    assert words >= {"allow", "ask"}


def test_a_call_that_is_taken_up_later_is_linked_to_where_it_was_submitted(everything):
    first, later = (span for span in everything["spans"] if span["attributes"].get("gen_ai.tool.call.id") == everything["taken_up"])
    assert (first["attributes"]["remit.call.state"], later["attributes"]["remit.call.state"]) == ("waiting", "succeeded")
    assert (first["links"], [link["context"]["span_id"] for link in later["links"]]) == ([], [first["context"]["span_id"]])


def test_a_call_is_a_span_by_the_conventions_and_its_handler_one_within(everything):
    spans = {span["attributes"].get("gen_ai.tool.call.id"): span for span in everything["spans"] if span["name"].startswith("execute_tool")}
    first = spans[everything["calls"][0]]
    assert first["name"] == "execute_tool jot" and first["kind"] == "SpanKind.INTERNAL"
    assert first["attributes"]["gen_ai.operation.name"] == "execute_tool"
    assert (first["attributes"]["remit.call.state"], first["attributes"]["gen_ai.agent.id"]) == ("succeeded", "bot")
    handlers = [span for span in everything["spans"] if span["name"] == "handler jot"]
    assert first["context"]["span_id"] in {span["parent_id"] for span in handlers}
    assert {span["attributes"]["remit.handler.outcome"] for span in everything["spans"] if span["name"].startswith("handler")} >= {
        "Applied",
        "NotApplied",
        "Unknown",
    }


def test_an_unknown_outcome_is_an_error_on_its_span(everything):
    unknown = [span for span in everything["spans"] if span["attributes"].get("remit.call.state") == "unknown"]
    assert [(span["status"]["status_code"], span["attributes"]["error.type"]) for span in unknown] == [("ERROR", "unknown")] * 2


def test_calls_events_and_commits_are_counted(everything):
    measured = points(everything)
    states = {point["attributes"]["remit.call.state"] for point in measured["remit.calls"]}
    assert states >= {"succeeded", "failed", "unknown", "waiting"}
    kinds = {point["attributes"]["remit.event.kind"]: point["value"] for point in measured["remit.events"]}
    assert kinds["call.succeeded"] >= 1 and "approval.requested" in kinds
    assert sum(point["count"] for point in measured["remit.journal.commit.duration"]) > 5
    assert {"remit.handler.duration", "remit.journal.group.size", "remit.calls.running", "remit.log.unsequenced.age"} <= measured.keys()


def test_names_are_those_of_the_conventions():
    assert telemetry.OPERATION == conventions.GEN_AI_OPERATION_NAME
    assert conventions.GenAiOperationNameValues.EXECUTE_TOOL.value == telemetry.EXECUTE_TOOL
    assert (telemetry.TOOL, telemetry.TOOL_TYPE) == (conventions.GEN_AI_TOOL_NAME, conventions.GEN_AI_TOOL_TYPE)
    assert (telemetry.TOOL_CALL, telemetry.AGENT) == (conventions.GEN_AI_TOOL_CALL_ID, conventions.GEN_AI_AGENT_ID)


def test_every_name_is_documented():
    source, text = Path(telemetry.__file__).read_text(), DOCS.read_text()
    names = set(re.findall(r'"((?:remit|gen_ai)\.[a-z_.]+|error\.type)"', source))
    assert len(names) > 15
    assert sorted(name for name in names if f"`{name}`" not in text) == []


async def test_a_line_of_a_call_carries_its_id(runtime, world, caplog):
    from remit import Refused  # noqa: F401 - what a handler may raise; this one raises something else
    from tests.runtime.bank import asks, raising, session

    caplog.set_level(logging.ERROR, "remit")
    world.bank.plan.append(raising(ZeroDivisionError("secret words")))
    outcome = await runtime.submit(asks("cheque"), session())
    [record] = [one for one in caplog.records if one.name == "remit.execution"]
    assert record.remit_call == outcome.call_id and "secret words" not in caplog.text
