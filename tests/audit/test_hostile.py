"""Whatever stands in a log, verifying it gives findings: it raises nothing, takes no memory for what nobody signed, and passes nothing over."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson
import pytest

from remit.audit import Entry, Event, FolderLog, RightEdge, TileLog, aftermath, canonical, export, export_tiles, folder_fetch, verify
from remit.errors import AuditError
from tests.audit.building import POLICY, Call, allowed, approved, confirmed, log_of, read, uncertain
from tests.audit.building import decide as decided
from tests.audit.test_pruned import cut, recorded

LARGEST = 2**53 - 1
ODD = (None, True, -1, LARGEST, "", "9999-12-31T23:59:59.999999+00:00", "1" * 5000, [], [[]], {}, {"a": {}}, "\x00")


def delayed(call: str = "c6") -> Call:
    story = Call(call).received().decided(None)
    story.with_("call.decided", body={"decision": {"allowed": True, "requirements": [], "delay": 60}})
    story.tell("call.delayed", ("new", "ready"), seconds=60, until="2026-03-01T10:05:00.000000Z").later("10:06").decided(None)
    return story.intended().succeeded()


def limited(call: str = "c7") -> Call:
    taken = {"limit": "daily", "series": "daily", "key": "k", "takes": 5}
    body = {**taken, "call": call, "number": 1, "at": 60, "width": 60, "slice": 1, "before": 0, "at_most": 10}
    decision = {"allowed": True, "requirements": [], "limits": [{**taken, "at_most": 10}]}
    story = Call(call).received().decided().with_("call.decided", body={"decision": decision})
    return story.tell("limit.reserved", **body).intended(reservations=[taken]).succeeded()


def decide(inputs: Any, policy: str) -> Any:
    if policy != POLICY:
        raise AuditError("no such policies")
    return decided(inputs, policy)


def every_kind() -> list[Call]:
    return [allowed(), approved(), uncertain(), read(), confirmed(), delayed(), limited()]


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the ways to every value within a value."""
    for name, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*way, name)
        yield from places(one, (*way, name))


def put(document: Any, way: tuple[Any, ...], value: Any) -> None:
    for each in way[:-1]:
        document = document[each]
    document[way[-1]] = value


@pytest.mark.parametrize("number", range(len(every_kind())))
def test_anything_in_any_place_of_any_leaf_is_found_and_nothing_is_raised(number):
    log, again = log_of(every_kind()[number]), None if number > 4 else decide  # the last two were decided by other policies
    assert verify(log, decide=again).ok, "the control"
    rows = log.rows
    for index, row in enumerate(rows):
        for way in places(orjson.loads(row.leaf)):
            for odd in ODD:
                changed = orjson.loads(row.leaf)
                put(changed, way, odd)
                if changed != orjson.loads(row.leaf):
                    log.rows = [*rows[:index], replace(row, leaf=canonical(changed)), *rows[index + 1 :]]
                    assert not verify(log, decide=again).ok, (row.leaf, way)


def test_control_a_reader_of_bodies_that_minds_no_numbers_would_be_brought_down(monkeypatch):
    story = delayed().with_("call.delayed", body={"seconds": LARGEST})
    assert "event_malformed" in {one.code for one in verify(log_of(story)).findings}
    monkeypatch.setattr("remit.audit.story.MALFORMED", (KeyError, TypeError, ValueError, AttributeError))
    with pytest.raises(OverflowError):
        verify(log_of(story))
    assert aftermath.timedelta


@pytest.mark.parametrize("odd", [None, 5, [], {}, True, "", "remit", "\ud800"], ids=repr)
@pytest.mark.parametrize("form", ["folder", "tiles"])
def test_a_description_of_anything_raises_nothing_but_that_it_is_no_log(tmp_path, form, odd):
    (export_tiles if form == "tiles" else export)(log_of(allowed()), tmp_path / "log")
    place = tmp_path / "log" / "log.json"
    about = orjson.loads(place.read_bytes())
    for way in [*places(about), ("from",), ("rotations",)]:
        changed = orjson.loads(place.read_bytes())
        put(changed, way, odd)
        changed["v"] = 2 if "from" in changed else changed["v"]
        place.write_bytes(orjson.dumps(changed) if odd != "\ud800" else b'{"key": "\\ud800"}')
        with suppress(AuditError):
            verify(TileLog(folder_fetch(tmp_path / "log")) if form == "tiles" else FolderLog(tmp_path / "log"))
        place.write_bytes(orjson.dumps(about))


def test_tiles_that_begin_further_on_than_anybody_signed_take_no_memory(tmp_path):
    """A server makes up two small files: whoever reads them must not count on what they say."""
    export_tiles(log_of(allowed()), tmp_path / "log")
    place, note = tmp_path / "log" / "log.json", tmp_path / "log" / "checkpoint"
    place.write_bytes(orjson.dumps({**orjson.loads(place.read_bytes()), "v": 2, "from": {"index": 2**62}}))
    lines = note.read_text().split("\n")
    note.write_text("\n".join([lines[0], str(2**62 + 1), *lines[2:]]))
    (found,) = verify(TileLog(folder_fetch(tmp_path / "log"))).findings
    assert (found.code, "signature" in found.message) == ("unreadable", True)


def test_the_leaves_of_two_tenants_are_no_log():
    """The logs of one database have one name and one key: what tells them apart is said in each leaf."""
    other = allowed("c2")
    other.events = [replace(event, tenant="other") for event in other.events]
    found = verify(log_of(allowed("c1"), other)).findings
    assert {one.code for one in found} == {"leaf_foreign"} and "of the tenant 'other', not of 'default'" in found[0].message
    assert verify(log_of(allowed("c1"), allowed("c2"))).ok, "the control"


def test_the_whole_log_of_another_tenant_is_found_by_who_knows_whose_it_should_be():
    log = log_of(allowed())
    log.tenant = "default"
    assert verify(log).ok, "the control"
    log.tenant = "other"
    assert {one.code for one in verify(log).findings} == {"leaf_foreign"}


def test_the_tree_alone_shows_that_the_front_was_dropped():
    whole = log_of(allowed(), approved())
    assert [one.code for one in verify(cut(whole, 3), meaning=False).findings] == ["pruning_unrecorded"]
    assert verify(cut(recorded(log_of(allowed(), approved()), 3), 3), meaning=False).ok, "the control"
    wrong = cut(recorded(log_of(allowed(), approved()), 3, root="00"), 3)
    assert [one.code for one in verify(wrong, meaning=False).findings] == ["pruning_differs"]


def test_the_tree_alone_shows_that_nothing_of_a_log_is_its_own():
    """Every checkpoint is of what is said to be pruned, and no leaf under any."""

    class Forged(type(cut(log_of(allowed()), 1))):
        begins = RightEdge(256, [b"0" * 32])

    log = log_of(allowed())
    forged = Forged([Entry(256, b"forged")], log.notes, log.sources, log.origin, log.log_id, log.public_key)
    for meaning in (True, False):
        assert "pruning_unrecorded" in {one.code for one in verify(forged, meaning=meaning).findings}


def test_an_event_of_pruning_that_is_no_leaf_says_nothing_to_the_tree_alone():
    log = log_of(allowed(), approved())
    event = Event(kind="retention.pruned", at="2026-10-01T10:00:00.000000Z", id="p", tenant="default", body={"below": 3})
    log.place(event).checkpoint()
    log.rows[-1] = replace(log.rows[-1], leaf=log.rows[-1].leaf + b" ")
    assert "pruning_unrecorded" in {one.code for one in verify(cut(log, 3), meaning=False).findings}


@pytest.mark.parametrize("name", ["leaves", "openings", "checkpoints"])
def test_a_line_without_an_end_takes_no_memory(tmp_path, monkeypatch, name):
    export(log_of(allowed()), tmp_path / "log")
    assert verify(FolderLog(tmp_path / "log")).ok, "the control"
    place = tmp_path / "log" / f"{name}.jsonl"
    place.write_bytes(place.read_bytes() + b"x" * 100_000)
    monkeypatch.setattr("remit.audit.log.LONGEST_LINE", 10_000)
    report = verify(FolderLog(tmp_path / "log"))
    assert not report.ok and any("was cut or added to" in one.message for one in report.findings)


def test_hashes_that_belong_to_no_leaf_are_found(tmp_path):
    export(log_of(allowed()), tmp_path / "log")
    with (tmp_path / "log" / "hashes.bin").open("ab") as file:
        file.write(bytes(32))
    (found,) = verify(FolderLog(tmp_path / "log")).findings
    assert "something was added" in found.message
