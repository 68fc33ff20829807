"""A whole log verifies; each way of tampering with it is found, at its place and in words."""

import sys
from dataclasses import replace

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remit.audit import Entry, Event, verify
from remit.errors import PolicyError
from tests.audit.building import NEEDS_ONE, Call, MadeLog, allowed, approved, confirmed, decide, log_of, lost, read, uncertain

FORGER = Ed25519PrivateKey.from_private_bytes(b"f" * 32)


def whole() -> MadeLog:
    return log_of(allowed(), approved(), uncertain(), read())


def codes(log, **options) -> set[str]:
    return {finding.code for finding in verify(log, **options).findings}


def test_a_whole_log_verifies_and_says_what_it_checked():
    log = whole()
    report = verify(log, decide=decide)
    assert report.ok, report.findings
    assert report.first is None
    assert (report.entries, report.calls, report.open_calls, report.checkpoints, report.uncovered) == (len(log.rows), 4, 0, 2, 0)
    assert (report.reproduced, report.attested, report.sealed, report.mismatched) == (5, 0, 0, 0)
    assert report.opened == 4 * 2 + 5 * 3 + 3 + 1  # received of each; five decisions; three results; one reason
    assert orjson.loads(orjson.dumps(report.to_json()))["ok"] is True


def test_an_empty_log_verifies_with_and_without_a_checkpoint():
    assert verify(MadeLog()).ok
    assert verify(MadeLog().checkpoint()).checkpoints == 1


def test_progress_is_told(monkeypatch):
    monkeypatch.setattr(sys.modules["remit.audit.verify"], "_PROGRESS_EVERY", 8)
    seen = []
    verify(whole(), progress=seen.append)
    assert seen == [8, 16, 21]


# --- the leaves and the tree -------------------------------------------------------------------------------------------------


def _drop(log):
    del log.rows[5]


def _drop_and_close_the_gap(log):
    del log.rows[5]
    log.rows = [replace(row, index=index) for index, row in enumerate(log.rows)]


def _swap(log):
    log.rows[5], log.rows[6] = replace(log.rows[6], index=5), replace(log.rows[5], index=6)


def _double(log):
    log.rows.insert(5, log.rows[5])


def _append_unsigned_then_claim(log):
    log.rows[-1] = replace(log.rows[0], index=len(log.rows) - 1)


@pytest.mark.parametrize(
    ("tamper", "code", "words"),
    [
        (lambda log: log.change(5, b"10:00:01", b"10:00:09"), "leaf_changed", "leaf 5: its bytes"),
        (_drop, "leaf_missing", "leaf 5: it is missing"),
        (_drop_and_close_the_gap, "root_differs", "one of the leaves 0 to 9"),
        (_swap, "root_differs", "one of the leaves 0 to 9"),
        (_double, "leaf_doubled", "leaf 5: there is more than one"),
        (_append_unsigned_then_claim, "root_differs", "one of the leaves 10 to 20"),
        (lambda log: log.rows.pop(), "log_truncated", "the log ends after"),
        (lambda log: log.rows.__delitem__(slice(3, None)), "log_truncated", "the log ends after 3"),
        (lambda log: log.notes.clear(), "no_checkpoint", "nothing shows that it is whole"),
        (lambda log: log.notes.reverse(), "checkpoint_disordered", "after a larger one"),
        (lambda log: log.resign(FORGER), "checkpoint_invalid", "not signed by this log's key"),
        (lambda log: setattr(log, "public_key", FORGER.public_key().public_bytes_raw()), "checkpoint_invalid", "not signed by"),
        (lambda log: setattr(log, "log_id", "log-2"), "leaf_foreign", "leaf 0, call c1: it is of the log 'log-1'"),
        (lambda log: setattr(log, "origin", "audit.example.org/log-2"), "checkpoint_invalid", "of the log 'audit.example.org/log-1'"),
    ],
)
def test_whoever_lacks_the_key_is_found_out(tamper, code, words):
    log = whole()
    assert verify(log).ok
    tamper(log)
    found = {finding.code: str(finding) for finding in reversed(verify(log).findings)}
    assert words in found[code]


def test_a_changed_leaf_with_its_hash_changed_too_is_named_by_the_chain_and_the_tree():
    log = whole().change(5, b"10:00:01", b"10:00:09")
    notes = log.notes
    log.resign().notes = notes
    report = verify(log)
    assert {finding.code for finding in report.findings} == {"root_differs", "chain_broken"}
    assert "leaf 5 hashes to" in str(report.first)
    assert any("one of the leaves 0 to 9" in finding.message for finding in report.findings)


def test_only_the_first_wrong_root_is_reported_and_what_follows_is_not_covered():
    for leaf, covered in ((2, 0), (15, 10)):
        report = verify(whole().change(leaf, b"10:00:0", b"10:00:1"))
        assert [finding.code for finding in report.findings].count("root_differs") == 1
        assert report.uncovered == report.entries - covered


def test_entries_after_the_last_checkpoint_are_counted_and_not_a_fault():
    log = whole()
    event = Event("policy.activated", "2026-03-01T11:00:00.000000Z", "s1", "default", body={"policy": "p" * 64})
    log.place(event, event)
    log.rows[-1] = replace(log.rows[-1], index=None)
    report = verify(log)
    assert (report.ok, report.uncovered) == (True, 2)


# --- the openings and the decisions ------------------------------------------------------------------------------------------


def _reopen(log, index, **values):
    opening = {**log.rows[index].opening, **values}
    log.rows[index] = replace(log.rows[index], opening=opening)


@pytest.mark.parametrize(
    ("pair", "code"),
    [
        (lambda salt, value: (salt, "pay_78"), "opening_mismatch"),
        (lambda salt, value: ("00" * 32, value), "opening_mismatch"),
        (lambda salt, value: (salt, 0.5), "opening_mismatch"),
        (lambda salt, value: "nonsense", "opening_mismatch"),
        (lambda salt, value: None, "opening_mismatch"),
    ],
)
def test_an_opening_that_is_not_what_was_committed_to_is_found(pair, code):
    log = whole()
    place = "/arguments/payment_id"
    assert log.rows[0].opening[place][1] == "pay_77"
    _reopen(log, 0, **{place: pair(*log.rows[0].opening[place])})
    report = verify(log)
    assert [finding.code for finding in report.findings] == [code]
    assert report.mismatched == 1
    assert str(report.first) == "leaf 0, call c1: the value opened at /arguments/payment_id is not the one that was committed to"


def test_an_opening_of_what_was_never_committed_to_is_found():
    log = whole()
    _reopen(log, 0, **{"/arguments/extra": ("00" * 32, "x")})
    assert codes(log) == {"opening_surplus"}


def test_a_sealed_opening_is_counted_and_its_decision_attested():
    log = whole()
    log.rows = [replace(row, opening=None) for row in log.rows]
    report = verify(log, decide=decide)
    assert (report.ok, report.opened, report.sealed, report.reproduced, report.attested) == (True, 0, 27, 0, 5)


def test_without_decide_decisions_are_attested():
    assert (verify(whole()).reproduced, verify(whole()).attested) == (0, 5)


def test_a_decision_that_does_not_follow_from_its_inputs_is_found():
    log = log_of(allowed(), approved().with_("call.decided", body={"decision": {"allowed": True, "requirements": []}}))
    assert verify(log).ok  # without deciding again it can't be seen
    assert codes(log, decide=decide) == {"decision_differs"}


def test_a_decision_without_its_policies_is_found():
    def lost(inputs, policy):
        raise PolicyError("no such bundle")

    assert codes(log_of(allowed()), decide=lost) == {"decision_unreproducible"}


# --- the meaning: written and signed by somebody who has the key -------------------------------------------------------------


def test_the_order_of_leaves_is_not_the_order_of_events():
    log = whole()
    log.rows.reverse()
    assert verify(log.resign()).ok


def test_calls_still_open_are_fine():
    open_call = approved()
    del open_call.events[3:]
    report = verify(log_of(open_call, allowed()))
    assert (report.ok, report.open_calls) == (True, 1)


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


def test_a_decision_by_policies_that_were_never_in_force_is_found_whatever_the_order_of_leaves():
    def log(policy: str) -> MadeLog:
        activated = Event("policy.activated", "2026-03-01T11:00:00.000000Z", "s1", "default", body={"policy": policy})
        return log_of(allowed()).place(activated).resign()

    assert verify(log("p" * 64)).ok
    assert codes(log("q" * 64)) == {"policy_inactive"}


def test_one_person_counts_once():
    two = {"allowed": True, "requirements": [{"kind": "approval", "by": "finance", "votes": 2}]}

    def call(person):
        made = approved().with_("call.decided", every=True, body={"decision": two})
        first = made.events[4]
        made.events.insert(4, replace(first, change=None, body={**first.body, "person": person}))
        return made

    assert verify(log_of(call("max"))).ok
    assert codes(log_of(call("ada"))) == {"vote_doubled", "votes_missing"}


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (lambda rows: rows.pop(2), "event_missing"),
        (lambda rows: rows.append(rows[2]), "event_doubled"),
        (lambda rows: rows.append(Entry(None, b"not a leaf")), "leaf_malformed"),
    ],
)
def test_a_dropped_or_repeated_event_is_found_even_when_rightly_signed(tamper, code):
    log = log_of(allowed())
    assert verify(log.resign()).ok
    tamper(log.rows)
    assert codes(log.resign()) == {code}


def test_a_changed_event_breaks_the_chain_even_when_rightly_signed():
    log = log_of(allowed()).change(1, b"10:00:01", b"10:00:02")
    assert codes(log.resign()) == {"chain_broken"}


def test_a_kind_that_does_not_exist_is_found():
    log = log_of(allowed()).change(3, b"call.succeeded", b"call.triumphed")
    assert "kind_unknown" in codes(log.resign())


def test_findings_are_kept_up_to_a_cap_and_counted_beyond():
    log = log_of(*(allowed(f"c{number}").without("call.received") for number in range(60)))
    report = verify(log)
    assert len(report.findings) == 100
    assert report.found > 100
