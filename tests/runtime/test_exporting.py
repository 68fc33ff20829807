"""Events as one file: whole or not there, safe in a spreadsheet, and what a SIEM requires."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from remit.errors import AuditError
from remit.runtime import exporting
from remit.runtime.exporting import COLUMNS, Filter, harmless, line
from remit.runtime.ocsf import VERSION, api_activity
from tests.runtime.bank import asks, session

PURE = pytest.mark.on_files("a function of an event")
SCHEMA = json.loads((Path(__file__).parent / "ocsf_api_activity.json").read_text())


@pytest.fixture
async def filled(runtime):
    await runtime.submit(asks(), session())
    await runtime.submit({"name": "refund", "arguments": {"payment_id": 7}}, session(principal="bot"))
    await runtime._rejections.flush()
    await runtime._sequencer.catch_up()
    return runtime


def lines(path):
    return [json.loads(one) for one in path.read_text().splitlines()]


async def test_jsonl_has_every_event_once(filled, tmp_path):
    out = tmp_path / "events.jsonl"
    count = await filled.export_events(out, form="jsonl")
    told = lines(out)
    assert told == await filled.events(most=1_000)
    assert count == len(told) > 5
    assert "kay" not in out.read_text()


async def test_filters_choose_by_time_and_action(filled, tmp_path):
    everything = await filled.events(most=1_000)
    middle = everything[len(everything) // 2]["at"]
    await filled.export_events(tmp_path / "late", form="jsonl", chosen=Filter(since=middle))
    await filled.export_events(tmp_path / "early", form="jsonl", chosen=Filter(until=middle))
    late, early = lines(tmp_path / "late"), lines(tmp_path / "early")
    assert early + late == sorted(everything, key=lambda event: event["at"] >= middle)
    assert early and late
    await filled.export_events(tmp_path / "refunds", form="jsonl", chosen=Filter(action="refund"))
    refunds = lines(tmp_path / "refunds")
    assert refunds and {event["action"]["name"] for event in refunds} == {"refund"}
    assert len(refunds) < len(everything)


async def test_a_file_that_is_there_is_left_alone(filled, tmp_path):
    (tmp_path / "there").write_text("mine")
    with pytest.raises(AuditError, match="exists"):
        await filled.export_events(tmp_path / "there", form="jsonl")
    with pytest.raises(AuditError, match="can't be written"):
        await filled.export_events(tmp_path / "no" / "where", form="jsonl")
    assert (tmp_path / "there").read_text() == "mine"


async def test_the_access_log_says_who_carried_what_away(filled, world, tmp_path):
    def exports():
        return world.sql("SELECT count(*) FROM access WHERE kind = 'audit.exported'")[0][0]

    before = exports()
    await filled.export_events(tmp_path / "events", form="csv", chosen=Filter(action="refund"), by="boss")
    assert exports() == before + 1


# CSV

NASTY = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://example.org";"x")', "=cmd|' /C calc'!A0"]


def event(**more):
    told = {"place": 1, "v": 1, "log": "l", "kind": "call.received", "at": "2026-03-01T10:00:00.000000Z", "id": "e1", "tenant": "t"}
    return {**told, "sequence": 1, "body": {}, "commitments": {}, **more}


def as_a_spreadsheet(text):
    """Read cells as a spreadsheet does: what begins like a formula is one."""
    rows = list(csv.reader(text.splitlines(keepends=True)))
    return rows, [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r\n")]


@PURE
@pytest.mark.parametrize("nasty", NASTY)
def test_no_cell_of_a_csv_is_a_formula(nasty):
    told = event(model=nasty, principal={"id": nasty, "kind": nasty}, action={"name": nasty, "version": nasty}, subject=nasty)
    rows, formulas = as_a_spreadsheet(line(told, "csv").decode())
    assert formulas == []
    assert len(rows) == 1
    assert rows[0][COLUMNS.index("model")] == f"'{nasty}"


@PURE
@pytest.mark.parametrize("nasty", NASTY)
def test_control_a_cell_left_as_it_is_is_a_formula(nasty, monkeypatch):
    monkeypatch.setattr(exporting, "harmless", lambda cell: cell)
    assert as_a_spreadsheet(line(event(model=nasty), "csv").decode())[1] == [nasty]


@PURE
def test_what_is_harmless_is_not_changed():
    assert [harmless(text) for text in ("", "a", "1", "a=b", "{}")] == ["", "a", "1", "a=b", "{}"]


async def test_csv_has_a_row_for_each_event(filled, tmp_path):
    await filled.export_events(tmp_path / "events.csv", form="csv")
    with (tmp_path / "events.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    told = await filled.events(most=1_000)
    assert [(row["id"], row["kind"], json.loads(row["body"])) for row in rows] == [(one["id"], one["kind"], one["body"]) for one in told]


# OCSF

PRIMITIVE = {"integer_t": int, "long_t": int, "timestamp_t": int, "string_t": str}


def faults(told, of=SCHEMA["class"], at="event"):
    """Hold a value to the published schema: what is required is there, what is there is known and of its type."""
    found = [f"{at} lacks {name}" for name in of["required"] if name not in told]
    if of["at_least_one"] and not set(of["at_least_one"]) & told.keys():
        found.append(f"{at} has none of {of['at_least_one']}")
    for name, value in told.items():
        kind = of["attributes"].get(name)
        if kind is None:
            found.append(f"{at}.{name} is not in the schema")
        elif kind in SCHEMA["objects"]:
            found += faults(value, SCHEMA["objects"][kind], f"{at}.{name}")
        elif kind in PRIMITIVE and type(value) is not PRIMITIVE[kind]:
            found.append(f"{at}.{name} is no {kind}")
        if value not in of.get("enums", {}).get(name, [value]):
            found.append(f"{at}.{name} may not be {value}")
    return found


async def test_every_event_is_an_api_activity(filled, tmp_path):
    await filled.export_events(tmp_path / "events", form="ocsf")
    told = lines(tmp_path / "events")
    assert len(told) == len(await filled.events(most=1_000))
    assert [fault for one in told for fault in faults(one)] == []
    assert {one["metadata"]["version"] for one in told} == {VERSION, SCHEMA["version"]}


@PURE
@pytest.mark.parametrize("name", SCHEMA["class"]["required"])
def test_control_what_is_required_is_missed(name):
    told = api_activity(event())
    assert faults(told) == []
    del told[name]
    assert faults(told) == [f"event lacks {name}"]


# Killed

HALF = """
import os, signal, sys
from pathlib import Path
from remit.runtime import exporting
class Log:
    def entries(self):
        from remit.audit import Entry
        for number in range(2000):
            if number == 1500:
                os.kill(os.getpid(), signal.SIGKILL)
            yield Entry(number, b'{"at":"2026-03-01T10:00:00.000000Z","body":{},"id":"e","kind":"call.received","sequence":1}')
if sys.argv[2] == "broken":
    exporting.written = lambda path: path.open("wb")
exporting.export_events(Log(), Path(sys.argv[1]), "jsonl", exporting.Filter())
"""


def killed_half_way(out, how):
    ended = subprocess.run([sys.executable, "-c", HALF, str(out), how], env=os.environ, check=False)
    assert ended.returncode == -9
    return out.exists()


@pytest.mark.on_files("a file, whatever the database")
def test_killed_half_way_there_is_no_file(tmp_path):
    assert not killed_half_way(tmp_path / "events.jsonl", "as it is")


@pytest.mark.on_files("a file, whatever the database")
def test_control_written_in_place_half_of_it_stays(tmp_path):
    assert killed_half_way(tmp_path / "events.jsonl", "broken")
