"""The story of one call makes sense, or what does not is found at its place, even when it is rightly signed."""

from dataclasses import replace

import pytest

from remit.audit import verify
from tests.audit.building import NEEDS_ONE, Call, MadeLog, allowed, approved, confirmed, decide, log_of, lost, read, uncertain


def codes(log) -> set[str]:
    return {finding.code for finding in verify(log).findings}


def test_what_the_customer_confirmed_runs():
    assert verify(log_of(confirmed()), decide=decide).ok
    by_policy = {"allowed": True, "requirements": [{"kind": "confirmation", "rule": "again"}]}
    assert verify(log_of(confirmed().with_("call.decided", every=True, body={"decision": by_policy}))).ok


def test_a_call_may_be_denied_by_its_policies_or_before_they_are_asked():
    denied = Call("c1").received().decided(None)
    denied.events[-1].body["decision"]["allowed"] = False
    assert verify(log_of(denied.tell("call.denied", ("new", "denied"), code="denied"))).ok
    assert verify(log_of(Call("c1").received().tell("call.denied", ("new", "denied"), code="switched_off"))).ok


def test_a_read_may_fail_before_it_is_decided():
    call = Call("c1", effect="read").received().tell("call.failed", ("new", "failed"), code="facts_unavailable")
    assert verify(log_of(call)).ok


def test_executing_without_an_intent_is_found_while_there_is_no_outcome():
    assert codes(log_of(Call("c1").received().decided(("new", "executing")))) == {"intent_missing"}
    assert codes(log_of(Call("c1").received().decided().intended())) == set()


def test_a_first_event_that_names_one_before_it_is_found():
    event = replace(Call("c1").received().events[0], sequence=1)
    assert codes(MadeLog().place(event).checkpoint()) == set()
    assert codes(MadeLog().place(replace(event, previous="0" * 64)).checkpoint()) == {"chain_broken"}


def test_a_vote_for_each_of_two_approvals_suffices():
    two = [{"kind": "approval", "by": role, "votes": 1} for role in ("finance", "legal")]
    call = approved().with_("call.decided", every=True, body={"decision": {"allowed": True, "requirements": two}})
    assert codes(log_of(call)) == {"votes_missing"}
    requested, voted = call.events[3:5]
    call.events[3:4] = [requested, replace(requested, body={**requested.body, "approval": "a2", "by": "legal"})]
    vote = replace(voted, change=None, body={**voted.body, "approval": "a2", "person": "max", "role": "legal"})
    call.events.insert(5, vote)
    assert verify(log_of(call)).ok


MEANING = {
    "an intent left out": (lambda: allowed().without("call.intended"), "intent_missing"),
    "a second dispatch without its intent": (
        lambda: uncertain().without("call.became_unknown").with_("call.succeeded", change=("unknown", "succeeded")),
        "state_differs",
    ),
    "executing without an intent": (
        lambda: allowed().without("call.intended").with_("call.decided", change=("new", "executing")),
        "intent_missing",
    ),
    "a transition that does not exist": (
        lambda: allowed().tell("call.cancelled", ("succeeded", "cancelled")),
        "transition_illegal",
    ),
    "a state out of nowhere": (lambda: allowed().with_("call.intended", change=("waiting", "executing")), "state_differs"),
    "an outcome that its state belies": (lambda: allowed().with_("call.succeeded", change=("executing", "failed")), "state_differs"),
    "a write that settles like a read": (
        lambda: read().with_("call.received", body={"effect": "keyed"}),
        "transition_illegal",
    ),
    "a beginning without the request": (lambda: allowed().without("call.received"), "not_received"),
    "no decision": (lambda: allowed().without("call.decided").with_("call.received", change=("new", "ready")), "not_decided"),
    "run though denied": (
        lambda: allowed().with_("call.decided", body={"decision": {"allowed": False, "requirements": []}}),
        "not_allowed",
    ),
    "read though denied": (lambda: read().with_("call.decided", body={"decision": {"allowed": False, "requirements": []}}), "not_allowed"),
    "no vote": (
        lambda: approved().without("approval.voted"),
        "votes_missing",
    ),
    "a vote by another role": (lambda: approved().with_("approval.voted", body={"role": "support"}), "votes_missing"),
    "a vote by the requester": (lambda: approved().with_("approval.voted", body={"person": "agent-1"}), "self_approval"),
    "a vote by the subject": (lambda: approved().with_("approval.voted", body={"person": "customer-1"}), "self_approval"),
    "a vote on another digest": (lambda: approved().with_("approval.voted", body={"digest": "d2"}), "vote_digest"),
    "a vote nobody asked for": (lambda: approved().with_("approval.voted", body={"approval": "a9"}), "vote_unasked"),
    "a vote against": (lambda: approved().with_("approval.voted", body={"answer": "reject"}), "was_rejected"),
    "another digest runs": (lambda: approved().with_("call.intended", body={"digest": "d2"}), "digest_differs"),
    "a confirmation that nobody gave": (lambda: confirmed().without("call.confirmed"), "not_confirmed"),
    "a confirmation refused": (lambda: confirmed().with_("call.confirmed", body={"answer": "reject"}), "not_confirmed"),
    "a confirmation of another digest": (lambda: confirmed().with_("call.confirmed", body={"digest": "d2"}), "not_confirmed"),
    "a read that should have been approved": (
        lambda: read().with_("call.decided", body={"decision": NEEDS_ONE}),
        "votes_missing",
    ),
    "an attempt skipped": (lambda: allowed().with_("call.intended", body={"attempt": 2}), "attempt_differs"),
    "an outcome of another attempt": (lambda: uncertain().with_("call.became_unknown", body={"attempt": 2}), "attempt_differs"),
    "a second attempt under another key": (
        lambda: uncertain().with_("call.intended", body={"provider_key": "k0"}),
        "provider_key_differs",
    ),
    "an effect without a key sent again while it is unknown": (
        lambda: uncertain().with_("call.intended", body={"kind": "once"}),
        "effect_repeated",
    ),
    "a retry without a decision of its own": (
        lambda: allowed().without("call.succeeded").tell("call.reconciled", ("executing", "ready"), attempt=1).intended(2).succeeded(),
        "not_decided",
    ),
    "a retry of what nothing says was not applied": (
        lambda: allowed().without("call.succeeded").tell("call.reconciled", ("executing", "ready"), attempt=1).decided(None).intended(2),
        "retry_unfounded",
    ),
    "a retry on the word of a decision": (
        lambda: allowed().without("call.succeeded").decided(("executing", "ready")).intended(2).succeeded(),
        "retry_unfounded",
    ),
    "run on what was decided before it was held": (
        lambda: Call("c1").received().decided(None, minor=90_000).held().voted(("waiting", "ready")).intended().succeeded(),
        "not_decided",
    ),
    "run on what was decided before the last vote": (
        lambda: (
            Call("c2")
            .received()
            .decided(None, minor=90_000)
            .held()
            .decided(("waiting", "ready"), minor=90_000)
            .voted()
            .intended()
            .succeeded()
        ),
        "not_decided",
    ),
    "held without a decision": (lambda: approved().without("call.decided"), "not_decided"),
    "held before the decision": (
        lambda: Call("c1").received().held().decided(("waiting", "ready"), minor=90_000),
        "not_decided",
    ),
    "held though denied": (
        lambda: approved().with_("call.decided", body={"decision": {"allowed": False, "requirements": []}}),
        "not_allowed",
    ),
    "people asked about something else": (lambda: approved().with_("call.held", body={"digest": "d2"}), "digest_differs"),
    "denied by policies that allow it": (
        lambda: Call("c1").received().decided(None).tell("call.denied", ("new", "denied"), code="denied"),
        "denial_unfounded",
    ),
    "denied by policies that nobody asked": (
        lambda: Call("c1").received().tell("call.denied", ("new", "denied"), code="denied"),
        "denial_unfounded",
    ),
    "confirmed twice": (
        lambda: (
            Call("c1")
            .received()
            .decided(None)
            .tell("call.held", ("new", "waiting"), requirements=[{"kind": "confirmation", "rule": "again"}], digest="d1")
            .tell("call.confirmed", digest="d1", answer="approve")
            .tell("call.confirmed", digest="d1", answer="approve")
        ),
        "confirmation_unasked",
    ),
    "a confirmation that nobody asked for": (
        lambda: Call("c1").received().decided(None).tell("call.confirmed", digest="d1", answer="approve"),
        "confirmation_unasked",
    ),
    "an approval that nobody was asked for": (lambda: allowed().with_("call.intended", body={"approvals": ["a9"]}), "approval_unasked"),
    "received once more, as a read": (
        lambda: Call("c1").received().decided().tell("call.received", digest="d1", effect="read").succeeded("ready"),
        "received_twice",
    ),
    "an intent of another action": (lambda: allowed().with_("call.intended", action={"name": "pay_out"}), "call_differs"),
    "an intent by somebody else": (
        lambda: allowed().with_("call.intended", principal={"id": "agent-2", "kind": "agent"}),
        "call_differs",
    ),
    "an effect on somebody else": (lambda: allowed().with_("call.intended", subject="s2"), "call_differs"),
    "decided after its end": (lambda: allowed().decided(None), "after_the_end"),
    "voted after its end": (lambda: approved().voted(person="max"), "after_the_end"),
    "an attempt after somebody asked to cancel it": (
        lambda: lost().tell("call.cancel_asked", by="olga").intended(2, "unknown").succeeded(),
        "attempt_forbidden",
    ),
    "a body of another shape": (lambda: approved().with_("call.held", body={"requirements": 7}), "event_malformed"),
    "a state that does not exist": (lambda: allowed().with_("call.intended", change=("ready", "flying")), "event_malformed"),
}


@pytest.mark.parametrize(("make", "code"), MEANING.values(), ids=MEANING)
def test_what_makes_no_sense_is_found_even_when_rightly_signed(make, code):
    report = verify(log_of(make()))
    assert code in {finding.code for finding in report.findings}, report.findings
    assert report.checkpoints == 2
    assert {finding.code for finding in report.findings}.isdisjoint({"root_differs", "checkpoint_invalid", "leaf_changed"})


def test_one_person_counts_once():
    two = {"allowed": True, "requirements": [{"kind": "approval", "by": "finance", "votes": 2}]}

    def call(person):
        made = approved().with_("call.decided", every=True, body={"decision": two})
        first = made.events[4]
        made.events.insert(4, replace(first, change=None, body={**first.body, "person": person}))
        return made

    assert verify(log_of(call("max"))).ok
    assert codes(log_of(call("ada"))) == {"vote_doubled", "votes_missing"}
