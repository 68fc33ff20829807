"""What a process of ours writes to its log: text or JSON, with the ids, whoever logs, and no exception's words."""

import json
import subprocess
import sys

import pytest

SAYS = """
import asyncio, logging, sys
from remit.cli.log_lines import write_lines
from remit.runtime import telemetry
from remit.runtime.call import Call

write_lines(sys.argv[1])

async def says():
    telemetry.logger("remit.execution").error("call %s: it went wrong", "call_1")
    try:
        raise ValueError("WORDS-77")
    except ValueError:
        logging.getLogger("asyncio").exception("a task failed")
    logging.getLogger("remit.server").info("request served")
    logging.getLogger("httpx").info("GET https://example.org/customers/WORDS-77")

asyncio.run(telemetry.journey("call_1", says())) if sys.argv[2:] else None
"""


def lines(form: str, source: str = SAYS) -> list[str]:
    # `journey` ends in an error, because this one gives no call: all that it says before that is what is looked at.
    done = subprocess.run([sys.executable, "-c", source, form, "say"], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    return done.stderr.partition("Traceback")[0].splitlines()


def test_json_is_one_object_a_line_with_the_ids():
    first, second, third = map(json.loads, lines("json"))
    assert (first["logger"], first["level"], first["remit_call"]) == ("remit.execution", "error", "call_1")
    assert first["event"] == "call call_1: it went wrong" and first["timestamp"].endswith("Z")
    assert second["logger"] == "asyncio" and second["raised"].startswith("ValueError < ")
    assert third["event"] == "request served"


def test_text_says_the_same():
    first, second, third = lines("console")
    assert first.endswith("ERROR call call_1: it went wrong [call_1]")
    assert "a task failed" in second and "ValueError < " in second
    assert third.endswith("INFO request served")


@pytest.mark.parametrize("form", ["json", "console"])
def test_words_of_an_exception_are_not_written(form):
    assert "WORDS-77" not in "".join(lines(form))


def test_control_lines_that_the_library_module_writes_by_itself_hold_them():
    plain = SAYS.replace("write_lines(sys.argv[1])", "logging.basicConfig()")
    done = subprocess.run([sys.executable, "-c", plain, "json", "say"], capture_output=True, text=True, check=False)
    assert "WORDS-77" in done.stderr


def test_the_library_configures_nothing():
    source = "import logging, remit.runtime, remit.server; print(logging.getLogger().handlers, logging.getLogger('remit').handlers)"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]
