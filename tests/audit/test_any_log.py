"""No log makes the verifier fail: whatever a leaf says, rightly signed or not, comes out as a report."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.audit import KINDS, Entry, verify
from remit.audit.canonical import canonical
from remit.errors import AuditError
from tests.audit.building import Call, allowed, approved, confirmed, log_of, read, uncertain
from tests.audit.test_aftermath import again, delayed, resolved
from tests.audit.test_effects import rekeyed, undo, undone

STORIES: list[Call] = [allowed("c1"), approved("c2"), uncertain("c3"), read("c4"), confirmed("c5"), rekeyed(), undone(), undo()]
STORIES += [resolved(), again(delayed()).intended().succeeded()]
EVENTS = [event for story in STORIES for event in story.events]

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "c1", "d1", "e1", "approve", "read", "9" * 40, "ä"])
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2), max_leaves=4
)


def places(value: Any, way: tuple = ()) -> list[tuple]:
    """List the ways to everything inside."""
    found = [way] if way else []
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list | tuple) else ():
        found += places(value[key], (*way, key))
    return found


def put(value: Any, way: tuple, new: Any) -> Any:
    if not way:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = put(value[way[0]], way[1:], new)
    return copy


@st.composite
def stories(draw: st.DrawFn) -> Call:
    """Draw a call of any events in any order, some of whose values are anything."""
    story = Call("c1")
    for event in draw(st.lists(st.sampled_from(EVENTS), min_size=1, max_size=7)):
        body = event.body
        for _ in range(draw(st.integers(0, 2))):
            if ways := places(body):
                body = put(body, draw(st.sampled_from(ways)), draw(anything))
        body = body if isinstance(body, dict) else {"body": body}
        change = draw(st.sampled_from([event.change, None, ("new", "ready"), ("executing", "unknown"), ("unknown", "ready"), ("x", "y")]))
        kind = draw(st.sampled_from([event.kind, event.kind, *sorted(KINDS)]))
        at = draw(st.sampled_from([event.at, "soon", "2026-03-01T10:00:00"]))
        story.events.append(replace(event, call="c1", body=body, change=change, kind=kind, at=at))
    return story


@settings(max_examples=200, deadline=None)
@given(st.lists(stories(), min_size=1, max_size=3))
def test_no_events_make_the_verifier_fail(told):
    try:
        log = log_of(*(replace_call(story, f"c{number}") for number, story in enumerate(told, 1)))
    except AuditError:
        return  # it can't even be written
    report = verify(log)
    assert report.entries == len(log.rows)


def replace_call(story: Call, call: str) -> Call:
    return Call(call, events=[replace(event, call=call) for event in story.events])


def deep(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    whole = canonical(
        {
            "v": 1,
            "log": "log-1",
            "kind": "call.received",
            "at": "",
            "id": "",
            "tenant": "default",
            "sequence": 1,
            "body": {},
            "commitments": {},
        }
    )
    return whole.replace(b'"body":{}', b'"body":{"a":' + opening * depth + b"1" + closing * depth + b"}")


@pytest.mark.parametrize("depth", [1, 500, 2_000, 30_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_leaf_of_any_depth_is_read_or_said_to_be_malformed(depth, opening, closing):
    log = log_of(allowed())
    log.rows.append(Entry(None, deep(depth, opening, closing)))
    found = verify(log).findings
    assert {finding.code for finding in found} <= {"leaf_malformed", "event_malformed"}


@given(st.binary(max_size=200))
def test_no_bytes_make_the_verifier_fail(data):
    log = log_of(allowed())
    log.rows.append(Entry(None, data))
    assert not verify(log).ok
