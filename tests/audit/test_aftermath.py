"""What became of an effect afterwards: found out, resolved, cooled off, undone, reversed. Good stories pass, bad ones are named."""

import pytest

from remit.audit import verify
from tests.audit.building import Call, allowed, decide, log_of

LATER = "2026-03-01T10:00:50.000000Z"
PAST = "2026-03-01T10:00:00.000000Z"


def unknown(call: str = "c1", effect: str = "lookup", **intent) -> Call:
    story = Call(call, effect=effect).received().decided().intended(**intent)
    return story.tell("call.became_unknown", ("executing", "unknown"), attempt=1, why="timeout")


def found(yes: bool, **more) -> Call:
    story = unknown().tell("call.reconciled", found=yes, **more)
    return story.succeeded("unknown") if yes else failed(story, "unknown")


def failed(story: Call, before: str = "executing") -> Call:
    return story.tell("call.failed", (before, "failed"), code="not_applied", attempt=1)


def resolved(applied: bool = True) -> Call:
    story = unknown(effect="once").tell("call.dead_lettered", why="no_look_up", attempts=1)
    story.tell("call.resolved", None, {"/reason": "I looked"}, applied=applied, by="olga", via="cli")
    return story.succeeded("unknown") if applied else failed(story, "unknown")


def cooled(until: str = PAST) -> Call:
    story = Call("c1").received().decided(None).tell("call.delayed", ("new", "ready"), until=until, seconds=60)
    return story.decided(None).intended().succeeded()


def undone(by: str = "c2", undoes: str = "c1", **changes) -> list[Call]:
    undo = allowed("c2").with_("call.received", body={"undoes": undoes}).with_("call.intended", body={"effect_key": "e2"})
    return [allowed("c1").tell("call.undone", undo=by, **{"by": "olga", **changes}), undo]


def reversed_() -> Call:
    return allowed("c1").tell("effect.reversed", reference="re_1", by="stripe", code="refund_failed")


def again_under_one_key(first: Call) -> list[Call]:
    second = allowed("c9").with_("call.intended", body={"ordinal": 1})
    return [first.with_("call.intended", body={"ordinal": 1}), second]


GOOD = {
    "looked up and found": lambda: [found(True)],
    "looked up and not there": lambda: [found(False)],
    "sent again once it is known that it was not applied": lambda: [
        unknown().tell("call.reconciled", ("unknown", "ready"), found=False).decided(None).intended(2).succeeded()
    ],
    "resolved as applied": lambda: [resolved()],
    "resolved as not applied": lambda: [resolved(applied=False)],
    "cooled off": lambda: [cooled()],
    "cooled off for longer": lambda: [
        Call("c1")
        .received()
        .decided(None)
        .tell("call.delayed", ("new", "ready"), until=PAST, seconds=60)
        .decided(None)
        .tell("call.delayed", until=PAST, seconds=90)
        .decided(None)
        .intended()
        .succeeded()
    ],
    "undone": undone,
    "reversed": lambda: [reversed_()],
    "done again after it was reversed": lambda: again_under_one_key(reversed_()),
    "done again after it failed": lambda: again_under_one_key(failed(Call("c1").received().decided().intended())),
    "done again under the next ordinal": lambda: [
        allowed("c1").with_("call.intended", body={"ordinal": 1}),
        allowed("c2").with_("call.intended", body={"ordinal": 2}),
    ],
}

BAD = {
    "success that nothing showed": (lambda: [unknown().succeeded("unknown")], "outcome_unfounded"),
    "failure that nothing showed": (lambda: [failed(unknown(), "unknown")], "outcome_unfounded"),
    "found, and failed": (lambda: [failed(unknown().tell("call.reconciled", found=True), "unknown")], "outcome_unfounded"),
    "not found, and succeeded": (lambda: [unknown().tell("call.reconciled", found=False).succeeded("unknown")], "outcome_unfounded"),
    "a look-up that failed, and succeeded": (
        lambda: [unknown().tell("call.reconciled", found=None).succeeded("unknown")],
        "outcome_unfounded",
    ),
    "ready again though nobody knows": (
        lambda: [unknown().tell("call.reconciled", ("unknown", "ready"), found=None).decided(None).intended(2).succeeded()],
        "outcome_unfounded",
    ),
    "what was found of an earlier attempt": (
        lambda: [
            unknown(effect="keyed")
            .tell("call.reconciled", found=True)
            .intended(2, "unknown")
            .tell("call.became_unknown", ("executing", "unknown"), attempt=2, why="timeout")
            .succeeded("unknown")
        ],
        "outcome_unfounded",
    ),
    "resolved otherwise than it ended": (lambda: [resolved().with_("call.resolved", body={"applied": False})], "outcome_unfounded"),
    "resolved though it was known": (lambda: [allowed().tell("call.resolved", applied=True, by="olga", via="cli")], "resolution_unasked"),
    "given up on though it was done": (
        lambda: [allowed().tell("call.dead_lettered", why="no_look_up", attempts=1)],
        "dead_letter_unfounded",
    ),
    "sent before its time": (lambda: [cooled(LATER)], "delay_passed"),
    "not decided anew when it had cooled off": (
        lambda: [Call("c1").received().decided(None).tell("call.delayed", ("new", "ready"), until=PAST, seconds=60).intended().succeeded()],
        "not_decided",
    ),
    "undone by a call that is not there": (lambda: undone(by="c7"), "undo_missing"),
    "undone by a call that undoes another": (lambda: undone(undoes="c5"), "undo_unfounded"),
    "undone by a call that failed": (
        lambda: [undone()[0], failed(Call("c2").received().with_("call.received", body={"undoes": "c1"}).decided().intended())],
        "undo_unfounded",
    ),
    "undone before it was done": (
        lambda: [Call("c1").received().decided().intended().tell("call.undone", undo="c2", by="o").succeeded(), undone()[1]],
        "taken_back_unfounded",
    ),
    "undone and reversed": (lambda: [reversed_().tell("call.undone", undo="c2", by="olga"), undone()[1]], "taken_back_twice"),
    "reversed twice": (lambda: [reversed_().tell("effect.reversed", reference="re_1", by="stripe", code="x")], "taken_back_twice"),
    "reversed though it failed": (
        lambda: [failed(Call("c1").received().decided().intended()).tell("effect.reversed", reference=None, by="s", code="x")],
        "taken_back_unfounded",
    ),
    "one effect key twice": (lambda: again_under_one_key(allowed("c1")), "effect_doubled"),
    "one effect key twice, of unknown outcome": (lambda: again_under_one_key(unknown("c1")), "effect_doubled"),
}


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
def test_an_honest_aftermath_is_no_finding(make):
    report = verify(log_of(*make()), decide=decide)
    assert report.ok, report.findings


@pytest.mark.parametrize(("make", "code"), BAD.values(), ids=BAD)
def test_an_aftermath_that_makes_no_sense_is_found_even_when_rightly_signed(make, code):
    assert code in {finding.code for finding in verify(log_of(*make()), decide=decide).findings}


def test_which_leaf_comes_first_says_nothing_of_who_was_first():
    first, second = again_under_one_key(allowed("c1"))
    codes = [{one.code for one in verify(log_of(*calls), decide=decide).findings} for calls in ([first, second], [second, first])]
    assert codes == [{"effect_doubled"}] * 2
