"""What a log says of erasures and holds is held against itself, by its times and never by the order of leaves."""

import pytest

from remit.audit import Event, Report
from remit.audit.erasures import Erasures

ERASED = ("subject.erased", "2026-01-02T00:00:00.000000Z", "sub_1", {})


def found(*told, opened=()):
    erasures, report = Erasures(), Report()
    for leaf, (kind, at, subject, body) in enumerate(told):
        event = Event(kind=kind, at=at, id=f"evt_{leaf}", tenant="default", subject=subject, body=body)
        erasures.add(leaf, event, commitments=3 if kind.startswith("call.") else 0, opened=leaf in opened)
    return [one.code for one in erasures.finish(report)], report.erased


def hold(kind, day, hold_id="h"):
    return (f"hold.{kind}", f"2026-01-{day:02}T00:00:00.000000Z", "sub_1" if kind == "placed" else None, {"hold": hold_id})


CALL = ("call.received", "2026-01-01T00:00:00.000000Z", "sub_1", {})


def test_what_an_erasure_seals_is_counted_wherever_its_leaf_is():
    assert found(CALL, ERASED) == found(ERASED, CALL) == ([], 3)
    assert found(CALL) == ([], 0)


def test_what_still_opens_is_found():
    assert found(CALL, CALL, ERASED, opened={1}) == (["erased_opened"], 3)
    assert found(CALL, opened={0}) == ([], 0)


@pytest.mark.parametrize(
    ("told", "codes"),
    [
        ([hold("placed", 1)], ["erased_under_hold"]),
        ([hold("placed", 1), hold("lifted", 3)], ["erased_under_hold"]),
        ([hold("lifted", 2), hold("placed", 1)], []),
        ([hold("placed", 3)], []),
        ([hold("placed", 1, "a"), hold("lifted", 2, "a"), hold("placed", 1, "b")], ["erased_under_hold"]),
        ([hold("lifted", 1)], ["hold_unknown"]),
    ],
)
def test_holds(told, codes):
    assert found(*told, ERASED)[0] == codes


def test_only_what_was_erased_is_complete():
    completed = ("erasure.completed", "2026-01-03T00:00:00.000000Z", None, {"subjects": ["sub_1", "sub_2"]})
    assert found(ERASED, completed)[0] == ["completed_unerased"]
    assert found(ERASED, ("erasure.completed", "2026-01-03T00:00:00.000000Z", None, {"subjects": "odd"}))[0] == []
