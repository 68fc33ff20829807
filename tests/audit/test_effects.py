"""Calls held against each other: one effect for each key and ordinal, and an undo that fits what was undone."""

from collections.abc import Callable
from itertools import permutations

import pytest

from remit.audit import Event, verify
from tests.audit.building import Call, allowed, log_of, lost
from tests.audit.test_aftermath import failed, not_applied


def keyed(call: str, key: str = "e1", ordinal: int = 1, at: str = "10:00") -> Call:
    """Make a call that is being done under a key and ordinal."""
    return Call(call).later(at).received().decided().intended(effect_key=key, ordinal=ordinal)


def reversed_(story: Call) -> Call:
    return story.tell("effect.reversed", by="stripe", code="refund_failed")


def undo(call: str = "c2", undoes: str = "c1") -> Call:
    return keyed(call, key="e2").succeeded().with_("call.received", body={"undoes": undoes})


def undone(by: str = "c2") -> Call:
    return keyed("c1").succeeded().tell("call.undone", undo=by, by="olga")


def expired_between_attempts() -> Call:
    return not_applied(keyed("c1")).later("10:02").tell("call.expired", ("ready", "expired"))


def rekeyed() -> Call:
    """Make a call that was not applied, then amended to another key, and done under that."""
    held = not_applied(keyed("c1")).decided(None).tell("call.held", ("ready", "waiting"), requirements=[], digest="d1")
    held.tell("call.amended", ("waiting", "waiting"), digest_before="d1", digest="d2", by="olga").decided(("waiting", "ready"))
    return held.intended(2, digest="d2", effect_key="e9", ordinal=1).succeeded()


GOOD: dict[str, Callable[[], list[Call]]] = {
    "undone": lambda: [undone(), undo()],
    "undone at the second try": lambda: [undone("c3"), failed(keyed("c2", "e2").with_("call.received", body={"undoes": "c1"})), undo("c3")],
    "an undo that is on its way": lambda: [keyed("c1").succeeded(), keyed("c2", "e2").with_("call.received", body={"undoes": "c1"})],
    "reversed while its undo was on its way": lambda: [reversed_(keyed("c1").succeeded()), undo()],
    "an undo undone": lambda: [undone(), undo().tell("call.undone", undo="c3", by="olga"), undo("c3", "c2").with_("call.intended", body={"effect_key": "e3"})],
    "done again after it failed": lambda: [failed(keyed("c1")), keyed("c2").succeeded()],
    "done again after it was reversed": lambda: [reversed_(keyed("c1").succeeded()), keyed("c2").succeeded()],
    "done again after it was undone": lambda: [undone(), undo(), keyed("c3").succeeded()],
    "done again after it had expired between attempts": lambda: [expired_between_attempts(), keyed("c2", at="10:03").succeeded()],
    "done by another once it was amended to something else": lambda: [rekeyed(), keyed("c2").succeeded()],
    "done again under the next ordinal": lambda: [keyed("c1").succeeded(), keyed("c2", ordinal=2).succeeded()],
    "done again under the next ordinal, the first reversed since": lambda: [reversed_(keyed("c1").succeeded()), keyed("c2", ordinal=2)],
    "without a key": lambda: [allowed("c1"), allowed("c2")],
    "reversed at the moment at which another takes the key": lambda: [
        reversed_(keyed("c1").succeeded().later("10:09")), keyed("c2", at="10:01").succeeded()
    ],
}  # fmt: skip

BAD: dict[str, tuple[Callable[[], list[Call]], str]] = {
    "one effect twice": (lambda: [keyed("c1").succeeded(), keyed("c2").succeeded()], "effect_doubled"),
    "one effect twice, of unknown outcome": (
        lambda: [lost("c1", effect_key="e1", ordinal=1), keyed("c2").succeeded()],
        "effect_doubled",
    ),
    "one effect twice, of which one is to be tried again": (lambda: [not_applied(keyed("c1")), keyed("c2").succeeded()], "effect_doubled"),
    "one effect thrice, of which one was reversed": (
        lambda: [keyed("c1").succeeded(), reversed_(keyed("c2").succeeded()), keyed("c3").succeeded()],
        "effect_doubled",
    ),
    "one effect twice, and the first was reversed an hour later": (
        lambda: [reversed_(keyed("c1").succeeded().later("11:00")), keyed("c2", at="10:01").succeeded()],
        "effect_doubled",
    ),
    "one effect twice, and both were reversed an hour later": (
        lambda: [reversed_(keyed("c1").succeeded().later("11:00")), reversed_(keyed("c2", at="10:01").succeeded().later("11:01"))],
        "effect_doubled",
    ),
    "one key held twice, and the first failed an hour later": (
        lambda: [failed(keyed("c1").later("11:00")), keyed("c2", at="10:01").succeeded()],
        "effect_doubled",
    ),
    "a second number without a first": (lambda: [keyed("c1", ordinal=2).succeeded()], "ordinal_unfounded"),
    "a second number while the first had no effect": (
        lambda: [failed(keyed("c1")), keyed("c2", ordinal=2).succeeded()],
        "ordinal_unfounded",
    ),
    "a third number without a second": (lambda: [keyed("c1").succeeded(), keyed("c2", ordinal=3).succeeded()], "ordinal_unfounded"),
    "undone by a call that is not there": (lambda: [undone("c7"), undo()], "undo_missing"),
    "undone by itself": (lambda: [undone("c1").with_("call.received", body={"undoes": "c1"})], "undo_unfounded"),
    "undone by a call that undoes another": (lambda: [undone(), undo(undoes="c5"), keyed("c5", "e5").succeeded()], "undo_unfounded"),
    "undone by a call that undoes nothing": (lambda: [undone(), allowed("c2")], "undo_unfounded"),
    "undone by a call that failed": (
        lambda: [undone(), failed(keyed("c2", "e2").with_("call.received", body={"undoes": "c1"}))],
        "undo_unfounded",
    ),
    "an undo that what it undid says nothing of": (lambda: [keyed("c1").succeeded(), undo()], "undo_unrecorded"),
    "an undo of a call that is not there": (lambda: [undo(undoes="c7")], "undo_unrecorded"),
    "undone twice over": (lambda: [undone(), undo(), undo("c3").with_("call.intended", body={"effect_key": "e3"})], "undo_doubled"),
}


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
def test_calls_that_fit_each_other_are_no_finding(make):
    for calls in permutations(make()):
        report = verify(log_of(*calls))
        assert report.ok, report.findings


@pytest.mark.parametrize(("make", "code"), BAD.values(), ids=BAD)
def test_calls_that_do_not_fit_each_other_are_found_whatever_the_order_of_leaves(make, code):
    for calls in permutations(make()):
        assert code in {finding.code for finding in verify(log_of(*calls)).findings}


def test_control_one_call_of_each_bad_pair_is_fine_alone():
    """What is found is found between calls: none of them is wrong by itself."""
    for call in (keyed("c1").succeeded(), keyed("c2").succeeded(), lost("c1", effect_key="e1", ordinal=1), failed(keyed("c1"))):
        assert verify(log_of(call)).ok


@pytest.mark.parametrize("at", ["soon", "", "2026-03-01T10:00:03", "9999-12-31T23:59:59.999999Z"])
def test_times_that_are_none_are_not_believed_and_stop_nothing(at):
    odd = reversed_(keyed("c1").succeeded()).with_("effect.reversed", at=at).with_("call.intended", at=at)
    verify(log_of(odd, keyed("c2").succeeded()))


COUNTED = {"allowed": True, "requirements": [], "limits": [{"limit": "refunds/month", "takes": 4_990, "at_most": 10_000}]}
RESERVED = [{"limit": "refunds/month", "series": "refunds/month:EUR", "key": "ab" * 32, "takes": 4_990}]


def test_a_log_of_an_undone_call_has_its_reservation_given_back():
    """The whole way: the intent that reserves, the series that has it, and the undo that gives it back."""
    place = {**RESERVED[0], "number": 1, "at": 0, "width": 60_000_000, "slice": 0, "before": 0, "at_most": 10_000, "call": "c1"}

    def log(*kinds: str):
        first = undone().with_("call.intended", body={"reservations": RESERVED}).with_("call.decided", body={"decision": COUNTED})
        made = log_of(first, undo())
        for number, kind in enumerate(kinds, 1):
            body = {**place, "number": number, "before": 4_990 * (number - 1)}
            made.place(Event(kind, "2026-03-01T10:00:00.000000Z", f"l{number}", "default", body=body))
        return made.resign()

    assert {finding.code for finding in verify(log("limit.reserved")).findings} == {"release_missing"}
    assert verify(log("limit.reserved", "limit.released")).ok
