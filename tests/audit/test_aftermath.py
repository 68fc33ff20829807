"""When a call cools off, and what became of an effect afterwards: found out, resolved, sent again, undone, reversed.

Good stories pass, bad ones are named, even when they are rightly signed.
"""

import pytest

from remit.audit import verify
from tests.audit.building import Call, allowed, decide, log_of, lose, lost

UNTIL = "2026-03-01T10:01:00.000000Z"


def failed(story: Call, before: str = "executing", attempt: int = 1) -> Call:
    return story.tell("call.failed", (before, "failed"), code="not_applied", attempt=attempt)


def found(yes: bool | None, story: Call | None = None) -> Call:
    return (story or lost("c1", "lookup")).tell("call.reconciled", found=yes)


def not_applied(story: Call, attempt: int = 1) -> Call:
    """Let an attempt be refused before a byte was sent."""
    return story.tell("call.reconciled", ("executing", "ready"), attempt=attempt, why="not_applied", applied=False)


def resolved(applied: bool = True, by: str = "olga") -> Call:
    story = lost("c1", "once").tell("call.dead_lettered", why="no_look_up", attempts=1)
    story.tell("call.resolved", None, {"/reason": "I looked"}, applied=applied, by=by, via="cli")
    return story.succeeded("unknown") if applied else failed(story, "unknown")


def delayed(seconds: int = 60, until: str = UNTIL, asked: int = 60) -> Call:
    """Let a call cool off, for as long as its decision asks for."""
    story = asking(Call("c1").received().decided(None), asked)
    return story.tell("call.delayed", ("new", "ready"), until=until, seconds=seconds)


def asking(story: Call, seconds: int) -> Call:
    """Let the last decision ask for a delay."""
    story.events[-1].body["decision"]["delay"] = seconds
    return story


def again(story: Call, seconds: int = 60) -> Call:
    """Decide on it again once it has cooled off."""
    return asking(story.later("10:01").decided(None), seconds)


BODIES = {
    "looked up and found": lambda: found(True).succeeded("unknown"),
    "looked up and not there": lambda: failed(found(False), "unknown"),
    "looked up once it can be": lambda: found(True, found(None)).succeeded("unknown"),
    "sent again once it is known that it was not applied": lambda: (
        lost("c1", "lookup").tell("call.reconciled", ("unknown", "ready"), found=False).decided(None).intended(2).succeeded()
    ),
    "sent again under the same key": lambda: lost("c1").intended(2, "unknown").succeeded(),
    "sent again and again under the same key": lambda: lose(lost("c1").intended(2, "unknown"), 2).intended(3, "unknown").succeeded(),
    "refused when it was sent again under the same key": lambda: failed(lost("c1").intended(2, "unknown"), attempt=2),
    "sent again after it was not": lambda: not_applied(Call("c1").received().decided().intended()).decided(None).intended(2).succeeded(),
    "not sent, then lost, then found not to be there, then not sent again": lambda: failed(
        not_applied(
            lose(not_applied(Call("c1", "lookup").received().decided().intended()).decided(None).intended(2), 2)
            .tell("call.reconciled", ("unknown", "ready"), found=False)
            .decided(None)
            .intended(3),
            3,
        )
        .decided(None)
        .intended(4),
        attempt=4,
    ),
    "amended after it was not sent": lambda: (
        not_applied(Call("c1").received().decided().intended(ordinal=1))
        .decided(None)
        .tell("call.held", ("ready", "waiting"), requirements=[], digest="d1")
        .tell("call.amended", ("waiting", "waiting"), digest_before="d1", digest="d2", by="olga")
        .decided(("waiting", "ready"))
        .intended(2, digest="d2", effect_key="e2", ordinal=1, provider_key="k2")
        .succeeded()
    ),
    "resolved as applied": lambda: resolved(),
    "resolved as not applied": lambda: resolved(applied=False),
    "forbidden, then looked up": lambda: found(True, lost("c1", "lookup").tell("call.cancel_asked", by="olga")).succeeded("unknown"),
    "cooled off": lambda: again(delayed()).intended().succeeded(),
    "cooled off for longer than the decision asks for": lambda: again(delayed(asked=30), 30).intended().succeeded(),
    "cooled off after the vote": lambda: (
        Call("c1")
        .received()
        .decided(None, minor=90_000)
        .held()
        .voted()
        .decided(None, minor=90_000)
        .tell("call.delayed", ("waiting", "ready"), until=UNTIL, seconds=60)
        .later("10:01")
        .decided(None, minor=90_000)
        .intended(approvals=["a1"])
        .succeeded()
    ),
    "cooled off for still longer": lambda: (
        again(again(delayed(), 90).tell("call.delayed", until="2026-03-01T10:01:30.000000Z", seconds=90).later("10:02"), 90)
        .later("10:02")
        .intended()
        .succeeded()
    ),
    "allowed at once when it had waited for as long for something else": lambda: (
        again(Call("c1").received().decided(), 59).intended().succeeded()
    ),
    "a read that nothing delays": lambda: asking(Call("c1", "read").received().decided(), 60).intended().succeeded(),
    "cancelled while it cools off": lambda: delayed().tell("call.cancelled", ("ready", "cancelled"), by="subject"),
    "reversed": lambda: allowed("c1").tell("effect.reversed", by="stripe", code="refund_failed"),
}


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
def test_an_honest_story_is_no_finding(make):
    report = verify(log_of(make()))
    assert report.ok, report.findings


BAD = {
    "success that nothing showed": (lambda: lost("c1").succeeded("unknown"), "outcome_unfounded"),
    "failure that nothing showed": (lambda: failed(lost("c1"), "unknown"), "outcome_unfounded"),
    "found, and failed": (lambda: failed(found(True), "unknown"), "outcome_unfounded"),
    "not found, and succeeded": (lambda: found(False).succeeded("unknown"), "outcome_unfounded"),
    "a look-up that failed, and succeeded": (lambda: found(None).succeeded("unknown"), "outcome_unfounded"),
    "a look-up that only says that it was applied": (
        lambda: lost("c1").tell("call.reconciled", applied=True).succeeded("unknown"),
        "outcome_unfounded",
    ),
    "ready again though nobody knows": (
        lambda: lost("c1", "lookup").tell("call.reconciled", ("unknown", "ready"), found=None).decided(None).intended(2).succeeded(),
        "outcome_unfounded",
    ),
    "what was found of an earlier attempt": (
        lambda: lose(found(True, lost("c1")).intended(2, "unknown"), 2).succeeded("unknown"),
        "outcome_unfounded",
    ),
    "a refusal that proves nothing after an attempt of unknown outcome": (
        lambda: not_applied(lost("c1").intended(2, "unknown"), 2).decided(None).intended(3).succeeded(),
        "retry_unfounded",
    ),
    "sent again though it was applied": (
        lambda: (
            Call("c1")
            .received()
            .decided()
            .intended()
            .tell("call.reconciled", ("executing", "ready"), applied=True)
            .decided(None)
            .intended(2)
        ),
        "retry_unfounded",
    ),
    "sent again under another key while nobody knows": (
        lambda: lost("c1").intended(2, "unknown", provider_key="k2").succeeded(),
        "provider_key_differs",
    ),
    "sent again as something else while nobody knows": (
        lambda: lost("c1").intended(2, "unknown", digest="d2", provider_key="k2").succeeded(),
        "provider_key_differs",
    ),
    "sent again under another effect key": (
        lambda: lost("c1", ordinal=1).intended(2, "unknown", ordinal=2).succeeded(),
        "effect_key_differs",
    ),
    "sent again where no key is honoured": (lambda: lost("c1", "lookup").intended(2, "unknown").succeeded(), "effect_repeated"),
    "resolved as applied, and failed": (
        lambda: resolved(applied=False).with_("call.resolved", body={"applied": True}),
        "outcome_unfounded",
    ),
    "resolved as not applied, and succeeded": (lambda: resolved().with_("call.resolved", body={"applied": False}), "resolution_unfinished"),
    "resolved, and nothing follows": (lambda: resolved().without("call.succeeded"), "resolution_unfinished"),
    "resolved as not applied, and sent again": (
        lambda: resolved(applied=False).without("call.failed").decided(("unknown", "ready")).intended(2).succeeded(),
        "resolution_unfinished",
    ),
    "resolved, and looked up": (
        lambda: resolved().without("call.succeeded").tell("call.reconciled", found=True).succeeded("unknown"),
        "resolution_unfinished",
    ),
    "resolved though it was known": (lambda: allowed().tell("call.resolved", applied=True, by="olga", via="cli"), "resolution_unasked"),
    "resolved while it is sent": (
        lambda: Call("c1").received().decided().intended().tell("call.resolved", applied=True, by="olga", via="cli").succeeded(),
        "resolution_unasked",
    ),
    "resolved by who asked for it": (lambda: resolved(by="agent-1"), "self_resolved"),
    "resolved by whom it is done for": (lambda: resolved(by="customer-1"), "self_resolved"),
    "given up on though it was done": (lambda: allowed().tell("call.dead_lettered", why="x", attempts=1), "dead_letter_unfounded"),
    "given up on twice": (
        lambda: lost().tell("call.dead_lettered", why="no_look_up", attempts=1).tell("call.dead_lettered", why="look_ups_fail", attempts=1),
        "dead_letter_doubled",
    ),
    "given up on after attempts that were never made": (
        lambda: lost().tell("call.dead_lettered", why="no_look_up", attempts=3),
        "attempt_differs",
    ),
    "sent before its time": (lambda: again(delayed()).later("10:00").intended().succeeded(), "delay_passed"),
    "sent without a delay that its decision asks for": (
        lambda: asking(Call("c1").received().decided(), 60).intended().succeeded(),
        "delay_passed",
    ),
    "sent before a longer delay of its last decision": (lambda: again(delayed(), 90).intended().succeeded(), "delay_passed"),
    "let cool off for less than its decision asks for": (lambda: again(delayed(asked=90), 30).intended().succeeded(), "delay_short"),
    "let cool off for less than it says": (
        lambda: again(delayed(until="2026-03-01T10:00:59.000000Z")).intended().succeeded(),
        "delay_short",
    ),
    "not decided anew when it had cooled off": (lambda: delayed().later("10:01").intended().succeeded(), "not_decided"),
    "cooling off while it waits for a vote": (
        lambda: Call("c1").received().decided(None).held().tell("call.delayed", until=UNTIL, seconds=60),
        "state_differs",
    ),
    "reversed twice": (
        lambda: allowed().tell("effect.reversed", by="stripe", code="x").tell("effect.reversed", by="stripe", code="x"),
        "taken_back_twice",
    ),
    "undone and reversed": (
        lambda: allowed().tell("call.undone", undo="c2", by="olga").tell("effect.reversed", by="stripe", code="x"),
        "taken_back_twice",
    ),
    "reversed though it failed": (
        lambda: failed(Call("c1").received().decided().intended()).tell("effect.reversed", by="s", code="x"),
        "taken_back_unfounded",
    ),
    "reversed before it was done": (
        lambda: Call("c1").received().decided().intended().tell("effect.reversed", by="s", code="x").succeeded(),
        "taken_back_unfounded",
    ),
    "undone by something without a name": (lambda: allowed().tell("call.undone", undo=["c2"], by="olga"), "event_malformed"),
}


@pytest.mark.parametrize(("make", "code"), BAD.values(), ids=BAD)
def test_a_story_that_makes_no_sense_is_found_even_when_rightly_signed(make, code):
    assert code in {finding.code for finding in verify(log_of(make()), decide=None).findings}


def test_a_resolution_is_judged_by_what_follows_it_whatever_the_order_of_leaves():
    log = log_of(resolved())
    log.rows.reverse()
    assert verify(log.resign()).ok


def test_a_story_holds_with_its_decisions_reproduced():
    report = verify(log_of(found(True).succeeded("unknown")), decide=decide)
    assert (report.ok, report.reproduced) == (True, 1)
