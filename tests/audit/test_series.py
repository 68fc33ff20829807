"""The verifier adds up what limits have taken: any change to a series, or to what a call says of it, is found."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.audit import Event, Report, State, verify
from remit.audit.series import Usage
from tests.audit.building import Call, log_of

LIMIT, SERIES, KEY = "refunds/month", "refunds/month:EUR", "ab" * 32
MINUTE = 60_000_000


class Kept:
    """A log of limits as the runtime writes it, one change after the other."""

    def __init__(self, at_most: int = 10_000, series: str = SERIES) -> None:
        self.events: list[Event] = []
        self.states: dict[str, State] = {}
        self.at_most, self.series, self.number = at_most, series, 0

    def tell(self, kind: str, call: str | None = None, **body) -> Event:
        event = Event(kind=kind, at="2026-03-01T10:00:00.000000Z", id=f"e{len(self.events)}", tenant="default", call=call, body=body)
        self.events.append(event)
        return event

    def change(self, kind: str, call: str, at: int, takes: int, before: int, width: int = MINUTE, **more) -> None:
        self.number += 1
        place = {"limit": LIMIT, "series": self.series, "key": KEY, "number": self.number, "at": at, "width": width, "slice": at // width}
        self.tell(kind, call=None, **place, takes=takes, before=before, **more)
        self.events[-1].body["call"] = call

    def take(self, call: str, at: int, takes: int, before: int, width: int = MINUTE, **more) -> "Kept":
        kept = {"member": more["member"]} if "member" in more else {}
        self.tell(
            "call.decided", call, decision={"requirements": [], "limits": [{"limit": LIMIT, "takes": takes, "at_most": self.at_most}]}
        )
        self.tell("call.intended", call, reservations=[{"limit": LIMIT, "series": self.series, "key": KEY, "takes": takes, **kept}])
        self.change("limit.reserved", call, at, takes, before, width, at_most=self.at_most, **more)
        self.states[call] = State.SUCCEEDED
        return self

    def give(self, call: str, at: int, takes: int, before: int, width: int = MINUTE, **more) -> "Kept":
        self.change("limit.released", call, at, takes, before, width, **more)
        self.states[call] = State.FAILED
        return self

    def body(self, number: int) -> dict:
        return next(event.body for event in self.events if event.body.get("number") == number)

    def codes(self, events=None) -> list[str]:
        usage = Usage()
        found = [one for leaf, event in enumerate(events or self.events) for one in usage.add(leaf, event)]
        return sorted({one.code for one in [*found, *usage.finish(self.states)]})


def honest() -> Kept:
    """Three calls, of which one failed; then the first leaves the window, and the fourth takes what is left of it."""
    kept = Kept().take("a", 5 * MINUTE, 4_000, 0).take("b", 6 * MINUTE, 5_000, 4_000).take("c", 6 * MINUTE, 1_000, 9_000)
    return kept.give("b", 6 * MINUTE, 5_000, 10_000).take("d", 66 * MINUTE, 9_000, 1_000)


def test_an_honest_series_is_in_order_whatever_the_order_of_its_leaves():
    kept = honest()
    assert kept.codes() == []
    for seed in range(20):
        assert kept.codes(random.Random(seed).sample(kept.events, len(kept.events))) == []


CHANGES = {
    "a missing number": (lambda kept: kept.events.remove(kept.events[5]), {"series_gap", "reservation_missing"}),
    "a doubled number": (lambda kept: kept.events.append(kept.events[2]), {"series_doubled"}),
    "another sum": (lambda kept: kept.body(2).update(before=3_999), {"series_sum"}),
    "a smaller amount": (lambda kept: kept.body(2).update(takes=1), {"reservation_missing", "reservation_unasked", "series_sum", "release_unfounded"}),
    "a higher limit": (lambda kept: kept.body(5).update(takes=9_001), {"limit_passed", "reservation_missing", "reservation_unasked"}),
    "a sum that nobody agreed to": (lambda kept: kept.body(5).update(takes=9_001, covers=10_001), {"limit_uncovered", "reservation_missing", "reservation_unasked"}),
    "a higher limit than was decided": (lambda kept: kept.body(5).update(at_most=10_001), {"limit_uncovered"}),
    "an earlier time": (lambda kept: kept.body(5).update(at=5 * MINUTE, slice=5), {"limit_passed", "series_time", "series_sum"}),
    "another slice": (lambda kept: kept.body(2).update(slice=7), {"series_slice"}),
    "a negative amount": (lambda kept: kept.body(3).update(takes=-1_000), {"limit_passed", "reservation_missing", "reservation_unasked", "series_sum"}),
    "a reservation of no call": (lambda kept: kept.body(5).update(call="z"), {"limit_uncovered", "reservation_missing", "reservation_unasked"}),
    "a release of what was not held": (lambda kept: kept.body(4).update(call="a"), {"release_unfounded", "release_missing", "series_sum", "limit_passed"}),
    "a release of more": (lambda kept: kept.body(4).update(takes=5_001), {"release_unfounded"}),
    "a release without a failure": (lambda kept: kept.states.update(b=State.SUCCEEDED), {"release_unfounded"}),
    "a failure without a release": (lambda kept: kept.states.update(a=State.FAILED), {"release_missing"}),
    "a hold that is said to be over while nobody knows": (lambda kept: kept.states.update(b=State.UNKNOWN), {"release_unfounded"}),
    "a second release": (lambda kept: kept.give("b", 6 * MINUTE, 5_000, 10_000), {"release_unfounded"}),
    "a body without its number": (lambda kept: kept.body(5).pop("number"), {"event_malformed"}),
    "a slice without width": (lambda kept: kept.body(5).update(width=0), {"event_malformed"}),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_a_series_that_was_changed_is_found(what):
    kept = honest()
    change, codes = CHANGES[what]
    change(kept)
    assert set(kept.codes()) == codes


def taken_back(kind: str = "call.undone", *, released: bool = True) -> Kept:
    """One call whose effect was taken back, and one that needs what it gave back."""
    kept = Kept().take("a", 5 * MINUTE, 6_000, 0).take("b", 6 * MINUTE, 3_000, 6_000)
    kept.tell(kind, "a", undo="z", by="olga", code="x")
    if released:
        kept.give("a", 5 * MINUTE, 6_000, 9_000)
        kept.states["a"] = State.SUCCEEDED
    return kept


@pytest.mark.parametrize("kind", ["call.undone", "effect.reversed"])
def test_what_was_taken_back_gives_back_what_it_took(kind):
    kept = taken_back(kind).take("c", 7 * MINUTE, 7_000, 3_000)
    for seed in range(20):
        assert kept.codes(random.Random(seed).sample(kept.events, len(kept.events))) == []


@pytest.mark.parametrize("kind", ["call.undone", "effect.reversed"])
def test_what_was_taken_back_and_gives_nothing_back_is_found(kind):
    assert taken_back(kind, released=False).codes() == ["release_missing"]


def test_control_a_release_of_what_was_neither_undone_nor_reversed_is_found():
    kept = taken_back()
    kept.events = [event for event in kept.events if event.kind != "call.undone"]
    assert kept.codes() == ["release_unfounded"]


def test_the_release_of_another_call_is_none_of_what_was_taken_back():
    kept = taken_back(released=False).give("b", 6 * MINUTE, 3_000, 9_000)
    kept.states["b"] = State.SUCCEEDED
    assert kept.codes() == ["release_missing", "release_unfounded"]


def test_a_window_of_another_width_counts_what_is_held():
    kept = Kept().take("a", 5 * MINUTE, 4_000, 0).take("b", 50 * MINUTE, 3_000, 4_000)
    half = MINUTE // 2
    kept.take("c", 51 * MINUTE, 1_000, 3_000, half)  # half an hour: only b counts
    kept.give("b", 50 * MINUTE, 3_000, 4_000, half)
    kept.take("d", 52 * MINUTE, 100, 5_000)  # the hour again: a counts again, b was given back
    assert kept.codes() == []
    kept.body(5)["before"] = 1_000
    assert kept.codes() == ["series_sum"]


def test_distinct_values_count_once_and_until_the_last_of_them_is_given_back():
    kept = Kept(at_most=2, series="refunds/month:distinct")
    kept.take("a", MINUTE, 1, 0, member="r").take("b", MINUTE, 1, 1, member="r").take("c", MINUTE, 1, 1, member="b")
    kept.give("a", MINUTE, 1, 2, member="r").take("d", MINUTE, 1, 2, member="r")
    assert kept.codes() == []
    kept.take("e", MINUTE, 1, 2, member="g")
    assert kept.codes() == ["limit_passed"]


def test_an_agreement_covers_the_sum_that_was_asked_for_and_no_more():
    kept = Kept().take("a", MINUTE, 10_000, 0)
    kept.tell("call.decided", "b", decision={"requirements": [{"kind": "approval", "rule": LIMIT, "covers": 12_000}]})
    kept.take("b", MINUTE, 2_000, 10_000, covers=12_000)
    assert kept.codes() == []
    kept.body(2)["covers"] = 12_001
    assert kept.codes() == ["limit_uncovered"]


def test_an_intent_reserves_what_its_decision_counted():
    limits = [{"limit": LIMIT, "used": 0, "takes": 4_990, "at_most": 10_000, "currency": "EUR"}]
    reserved = [{"limit": LIMIT, "series": SERIES, "key": KEY, "takes": 4_990}]

    def codes(call):
        return {finding.code for finding in verify(log_of(call)).findings}

    def call():
        told = Call("c1").received().decided()
        return told.with_("call.decided", body={"decision": {"allowed": True, "requirements": [], "limits": limits}})

    assert codes(call().intended().succeeded()) == {"limit_unreserved"}
    assert codes(call().intended(reservations=[{**reserved[0], "takes": 1}]).succeeded()) == {"limit_unreserved", "reservation_missing"}
    assert codes(call().intended(reservations=reserved).succeeded()) == {"reservation_missing"}, "and the series must have it"


_anything = st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=2) | st.lists(st.integers(), max_size=1) | st.just({})


@given(
    st.lists(st.tuples(st.integers(1, 5), st.dictionaries(st.sampled_from([*honest().body(4), "at_most", "covers", "member"]), _anything)))
)
def test_no_body_makes_the_verifier_fail(changes):
    kept = honest()
    for number, changed in changes:
        told = kept.tell("limit.reserved" if number % 2 else "limit.released")
        told.body.update({**kept.body(number), "number": 6, **changed})
        kept.tell("call.intended", "x", reservations=[changed])
        kept.tell("call.decided", "x", decision={"requirements": [{"rule": LIMIT, **changed}]})
    kept.codes()


def begun(kept: Kept, first: int) -> tuple[list[str], int]:
    """Give what is found in a log that begins with this change of the series and knows none of the calls before, and what it counts."""
    usage, report = Usage(begun=True), Report()
    at = next(place for place, event in enumerate(kept.events) if event.body.get("number") == first)
    found = [one for leaf, event in enumerate(kept.events[at:]) for one in usage.add(leaf, event)]
    states = {event.call: kept.states[event.call] for event in kept.events[at + 1 :] if event.call is not None}
    return sorted({one.code for one in [*found, *usage.finish(states, report)]}), report.unchecked


def test_a_series_whose_front_was_pruned_is_not_added_up_but_counted():
    assert begun(honest(), 1) == ([], 2), "it is all there, but for what its first call says of it"
    for first in range(2, 6):
        codes, unchecked = begun(honest(), first)
        assert codes == [] and unchecked >= 1


def test_a_series_whose_front_was_pruned_has_no_gap_and_nothing_twice():
    kept = honest()
    kept.events.remove(kept.events[-4])  # the release
    assert begun(kept, 3)[0] == ["series_gap"]
    kept = honest()
    kept.events.append(kept.events[-1])
    assert begun(kept, 3)[0] == ["series_doubled"]
    assert begun(honest(), 3)[0] == [], "the control"
