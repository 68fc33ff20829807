"""A whole log verifies; each way of tampering with it is found, at its place and in words."""

import sys
from dataclasses import replace

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remit.audit import Entry, Event, verify
from remit.errors import PolicyError
from tests.audit.building import MadeLog, allowed, approved, decide, log_of, read, uncertain

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
    assert verify(log, meaning=False).ok is (code == "leaf_foreign"), "the tree alone shows it; what a leaf says, it does not"


def test_the_tree_alone_is_checked_without_reading_a_leaf():
    log = log_of(uncertain())
    log.change(2, b"intended", b"denied")
    notes = log.notes
    log.resign().notes = notes
    assert not verify(log, meaning=False).ok
    assert verify(log.resign(), meaning=False).ok and not verify(log).ok, "rightly signed, it makes no sense"
    report = verify(whole(), meaning=False)
    assert (report.ok, report.entries, report.checkpoints, report.uncovered, report.calls) == (True, 21, 2, 0, 0)


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


def test_a_decision_by_policies_that_were_never_in_force_is_found_whatever_the_order_of_leaves():
    def log(policy: str) -> MadeLog:
        activated = Event("policy.activated", "2026-03-01T11:00:00.000000Z", "s1", "default", body={"policy": policy})
        return log_of(allowed()).place(activated).resign()

    assert verify(log("p" * 64)).ok
    assert codes(log("q" * 64)) == {"policy_inactive"}


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
