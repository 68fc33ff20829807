"""The wire forms are what the providers' own SDKs take: over our actions, and over schemas that nobody here wrote."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from remit.actions import ToolCall
from remit.actions.catalog import Catalog
from remit.actions.dialects import DIALECTS, dialect
from remit.actions.library import accounts, appointments, payments, plans
from tests.dialects.offered import OURS, TESTBED, schemas_of_the_testbed
from tests.environments import environment

OUTCOMES = [
    {"call": "c1", "action": "refund_payment", "state": "succeeded", "message": "Done.", "result": {"id": "re_1"}},
    {"call": "c2", "action": "refund_payment", "state": "denied", "message": "No.", "error": {"code": "denied", "retry": "never"}},
]
PAIRS = [(ToolCall(f"toolu_{number}", "refund_payment", {}), outcome) for number, outcome in enumerate(OUTCOMES)]


@pytest.fixture(scope="module")
def refused() -> list[dict[str, Any]]:
    """Ask all SDKs at once what they refuse: starting them takes longer than everything else here.

    Requests 0 and 1 of each dialect are our test actions and the library's, 2 and 3 are broken, the others are of the test bed, where it is on this machine.
    """
    library = list(Catalog([accounts, appointments, payments, plans]).values())
    foreign = schemas_of_the_testbed() if TESTBED.exists() else []
    alone = [[action] for action in foreign]  # as strict as each can be
    together = [foreign[start : start + 200] for start in range(0, len(foreign), 200)]  # beyond what one request may have
    requests = {
        name: [
            request(name, OURS),
            request(name, library),
            broken(name, "tools"),
            broken(name, "results"),
            *(request(name, batch) for batch in alone + together),
        ]
        for name in DIALECTS
    }
    check = Path(__file__).with_name("sdk_check.py")
    done = subprocess.run(
        [environment("sdks") / "bin" / "python", check], input=json.dumps(requests), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def request(name: str, actions: list[Any]) -> dict[str, Any]:
    spoken = dialect(name)
    return {"tools": spoken.tools(actions), "results": spoken.results(PAIRS)}


def broken(name: str, position: str) -> dict[str, Any]:
    spoiled = copy.deepcopy(request(name, OURS))
    first = spoiled[position][0]
    match name, position:
        case "openai", "tools":
            first["function"]["parameters"]["required"].pop()
        case "openai-responses", "tools":
            first["parameters"]["properties"]["note"]["default"] = ""
        case "anthropic", "tools":
            first["input_schema"]["properties"]["note"]["maxLength"] = 200
        case "gemini", "tools":
            first["functionDeclarations"][0]["parametersJsonSchema"]["properties"]["note"]["exclusiveMinimum"] = 1
        case "bedrock", "tools":
            first["toolSpec"]["name"] = 7
        case "mcp", "tools":
            first["annotations"]["readOnly"] = True
        case "gemini", "results":
            first["parts"][0]["functionResponse"]["output"] = {}
        case "mcp", "results":
            first["content"] = "done"
        case "bedrock", "results":
            first["content"][0]["toolResult"]["state"] = "done"
        case _:
            first.clear()
    return spoiled


def test_the_sdks_take_our_actions(refused: list[dict[str, Any]]) -> None:
    assert [one for one in refused if one["request"] < 2] == []


def test_the_check_of_each_dialect_sees_a_broken_tool_and_a_broken_result(refused: list[dict[str, Any]]) -> None:  # positive control
    found = {(one["dialect"], one["request"]) for one in refused if one["request"] in {2, 3}}
    assert found == {(name, number) for name in DIALECTS for number in (2, 3)}


def test_the_sdks_take_every_schema_of_the_test_bed(refused: list[dict[str, Any]]) -> None:
    assert len(schemas_of_the_testbed()) > 1_500
    assert [one for one in refused if one["request"] > 3] == []
