"""A leaf holds the event and commitments, and nothing personal."""

import hashlib
import hmac
import os
from dataclasses import replace

import pytest

from remit.audit import LARGEST, Event, commit, leaf_hash, read, write
from remit.errors import AuditError
from tests.audit.building import salts

EVENT = Event(
    kind="call.received",
    at="2026-03-01T10:00:00.000000Z",
    id="e1",
    tenant="default",
    call="c1",
    sequence=1,
    change=("new", "ready"),
    body={"arguments": {"amount": {"currency": "EUR", "minor": 4990}}},
    personal={"/arguments/note": "my door code is 4711", "/arguments/email": "kim@example.org"},
)


def test_a_leaf_is_read_back_without_what_is_personal():
    leaf = write(EVENT, "log-1", salts)
    record = read(leaf.data)
    assert record.event == replace(EVENT, change=["new", "ready"], personal={})
    assert (record.log, record.commitments.keys()) == ("log-1", EVENT.personal.keys())
    assert leaf.hash == leaf_hash(leaf.data)
    assert b"4711" not in leaf.data
    assert b"kim@" not in leaf.data


def test_a_commitment_is_the_hmac_that_the_design_names():
    expected = hmac.new(b"s" * 32, b'remit1\0/a/b\0{"x":1}', hashlib.sha256).hexdigest()
    assert commit(b"s" * 32, "/a/b", {"x": 1}) == expected


def test_an_opening_opens_each_field_by_itself_and_at_its_place_only():
    leaf = write(EVENT, "log-1", salts)
    commitments = read(leaf.data).commitments
    (salt, value), (other, _) = leaf.opening["/arguments/note"], leaf.opening["/arguments/email"]
    assert salt != other
    assert commit(bytes.fromhex(salt), "/arguments/note", value) == commitments["/arguments/note"]
    assert commit(bytes.fromhex(salt), "/arguments/email", value) != commitments["/arguments/note"]


def test_the_same_event_written_twice_shows_no_sameness():
    first, second = (read(write(EVENT, "log-1", os.urandom).data).commitments for _ in range(2))
    assert not set(first.values()) & set(second.values())


def test_randomness_is_asked_for_once():
    asked = []
    write(EVENT, "log-1", lambda count: asked.append(count) or b"\0" * count)
    assert asked == [64]


def test_the_largest_leaf_is_written_and_a_larger_one_refused():
    def sized(length):
        return write(replace(EVENT, body={"text": "x" * length}), "log-1", salts)

    room = LARGEST - len(sized(0).data)
    assert len(sized(room).data) == LARGEST
    with pytest.raises(AuditError, match="65536 bytes"):
        sized(room + 1)


@pytest.mark.parametrize("changes", [{"kind": "call.vanished"}, {"body": {"amount": 4.99}}, {"personal": {"/a": 0.5}}])
def test_what_may_not_be_recorded_is_refused(changes):
    with pytest.raises(AuditError):
        write(replace(EVENT, **changes), "log-1", salts)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"v":1', b'"v":2'),
        (b'"sequence":1', b'"sequence":true'),
        (b'"sequence":1', b'"sequence": 1'),
        (b'"sequence":1', b'"sequence":1,"sequence":1'),
        (b'"minor":4990', b'"minor":49.9'),
        (b'"tenant":"default"', b'"tenent":"default"'),
        (b'"tenant"', b'"surplus":1,"tenant"'),
        (b'"call":"c1"', b'"call":null'),
        (
            b"{",
            b"",
        ),
    ],
)
def test_a_leaf_in_any_other_form_is_refused(old, new):
    data = write(EVENT, "log-1", salts).data
    read(data)
    assert old in data
    with pytest.raises(AuditError):
        read(data.replace(old, new, 1))
