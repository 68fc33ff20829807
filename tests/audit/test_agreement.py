"""What people agreed to, told by events alone: each way in which it can be missing is found, even when rightly signed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.audit import verify
from remit.audit.agreement import _short
from tests.audit.building import Call, log_of


def codes(call: Call) -> set[str]:
    return {finding.code for finding in verify(log_of(call)).findings}


def needs(*requirements) -> dict:
    return {"allowed": True, "requirements": list(requirements)}


STEP = {"kind": "step_up", "rule": "r/weak", "by": "", "votes": 1, "assurance": 2}
SURE = {"kind": "confirmation", "rule": "r/sure", "by": "", "votes": 1}
FINANCE = {"kind": "approval", "rule": "r/large", "by": "finance", "votes": 1}


def held(call: Call, *requirements, before: str = "waiting", digest: str = "d1", **more) -> Call:
    asked = [{**one, "requirement": f"req-{one['rule']}"} for one in requirements]
    return call.tell("call.held", (before, "waiting"), requirements=asked, digest=digest, shown="s1", **more)


def requested(call: Call, approval: str = "a1", **more) -> Call:
    return call.tell("approval.requested", **{"approval": approval, "rule": "r/large", "by": "finance", "votes": 1, "digest": "d1", **more})


def voted(call: Call, person: str = "ada", **more) -> Call:
    body = {"approval": "a1", "person": person, "answer": "approve", "digest": "d1", "role": "finance", "roles": ["finance"]}
    return call.tell("approval.voted", None, {}, **{**body, **more})


def decided(call: Call, *requirements, before: str | None = None) -> Call:
    call.decided((before, "ready") if before else None)
    call.events[-1].body["decision"] = needs(*requirements)
    return call


def whole(amend: bool = False, covers: int | None = None, escalate: bool = False) -> Call:
    """A call that takes all three; perhaps amended after the proof, beyond a limit, or widened to others."""
    more = {"covers": covers} if covers else {}
    wants = STEP, SURE, {**FINANCE, **more}
    call = decided(Call("c1").received(), *wants)
    held(call, STEP, before="new").tell("call.stepped_up", requirement="req-r/weak", method="code", assurance=2)
    digest = "d1"
    if amend:
        call.tell("call.amended", ("waiting", "waiting"), digest_before="d1", digest="d2", by="olga", arguments={})
        digest = "d2"
    held(decided(call, *wants), SURE, digest=digest).tell("call.confirmed", digest=digest, answer="approve", shown="s1")
    held(decided(call, *wants), {**FINANCE, **more}, digest=digest)
    requested(call, digest=digest, **({"escalate_to": "leads"} if escalate else {}), **more)
    if escalate:
        call.tell("approval.escalated", approval="a1", to="leads")
    voted(call, digest=digest, **({"role": "leads", "roles": ["leads"]} if escalate else {}))
    return decided(call, *wants, before="waiting").intended(digest=digest, approvals=["a1"]).succeeded()


@pytest.mark.parametrize("how", [{}, {"amend": True}, {"covers": 900}, {"escalate": True}], ids=str)
def test_what_was_agreed_to_runs(how):
    assert verify(log_of(whole(**how))).ok, verify(log_of(whole(**how))).findings


def _twice(call: Call) -> Call:
    return voted(Call("c1", events=call.events[:-3]), "ada")


def _again(call: Call, kind: str, **changes) -> Call:
    number = max(number for number, event in enumerate(call.events) if event.kind == kind)
    call.events[number].body.update(changes)
    return call


def _refused_first(call: Call) -> Call:
    number = next(number for number, event in enumerate(call.events) if event.kind == "call.confirmed")
    told = call.events[number]
    call.events.insert(number, replace(told, id="no", body={**told.body, "answer": "reject"}))
    return call


def _asked_anew(call: Call) -> Call:
    """Ask for the approval once more, after the vote."""
    number = next(number for number, event in enumerate(call.events) if event.kind == "approval.requested")
    told = call.events[number]
    call.events.insert(number + 2, replace(told, id="anew", body={**told.body, "approval": "a2"}))
    return call


def outgrown() -> Call:
    return _again(whole(covers=900), "call.decided", decision=needs(STEP, SURE, {**FINANCE, "covers": 901}))


TAMPERED = {
    "the proof left out": (lambda: whole().without("call.stepped_up"), "not_stepped_up"),
    "a weaker proof": (lambda: whole().with_("call.stepped_up", body={"assurance": 1}), "not_stepped_up"),
    "a proof that nothing asked for": (lambda: whole().with_("call.held", body={"requirements": []}), "step_up_unasked"),
    "a stronger proof required since": (
        lambda: _again(whole(), "call.decided", decision=needs({**STEP, "assurance": 3}, SURE, FINANCE)),
        "not_stepped_up",
    ),
    "the confirmation left out": (lambda: whole().without("call.confirmed"), "not_confirmed"),
    "the confirmation refused": (lambda: whole().with_("call.confirmed", body={"answer": "reject"}), "not_confirmed"),
    "another sight confirmed": (lambda: whole().with_("call.confirmed", body={"shown": "s2"}), "shown_differs"),
    "a second confirmation by another rule": (
        lambda: _again(whole(), "call.decided", decision=needs(STEP, SURE, {**SURE, "rule": "r/too"}, FINANCE)),
        "not_confirmed",
    ),
    "confirmed before it was amended": (
        lambda: whole(amend=True).with_("call.confirmed", body={"digest": "d1"}),
        "not_confirmed",
    ),
    "amended from something else": (lambda: whole(amend=True).with_("call.amended", body={"digest_before": "d0"}), "digest_differs"),
    "amended, and what was first asked for runs": (
        lambda: whole(amend=True).with_("call.intended", body={"digest": "d1"}),
        "digest_differs",
    ),
    "a vote by the amender": (lambda: whole(amend=True).with_("approval.voted", body={"person": "olga"}), "self_approval"),
    "a vote of another role": (lambda: whole().with_("approval.voted", body={"roles": ["support"]}), "vote_unentitled"),
    "a vote of the others before it was widened": (lambda: whole(escalate=True).without("approval.escalated"), "vote_unentitled"),
    "widened to another role": (lambda: whole(escalate=True).with_("approval.escalated", body={"to": "support"}), "escalation_unasked"),
    "widened though that was never said": (
        lambda: whole(escalate=True).with_("approval.requested", body={"escalate_to": None}),
        "escalation_unasked",
    ),
    "one person twice": (lambda: _twice(whole()), "vote_doubled"),
    "further beyond a limit than was approved": (outgrown, "not_covered"),
    "a no of the customer before its yes": (lambda: _refused_first(whole()), "was_rejected"),
    "a limit asked about after the vote": (lambda: _asked_anew(whole(covers=900)), "votes_missing"),
}


@pytest.mark.parametrize(("make", "code"), TAMPERED.values(), ids=TAMPERED)
def test_what_was_not_agreed_to_is_found_even_when_rightly_signed(make, code):
    assert code in codes(make())


def test_votes_on_what_was_shown_before_do_not_count_and_the_same_person_may_vote_anew():
    call = whole()
    number = next(number for number, event in enumerate(call.events) if event.kind == "approval.voted") + 1
    rest, call.events = call.events[number:], call.events[:number]
    requested(held(decided(call, STEP, SURE, FINANCE), FINANCE, why="what was shown has changed"), "a2")
    without = Call("c1", events=[*call.events, *rest])
    assert "votes_missing" in codes(without)
    again = voted(Call("c1", events=list(call.events)), approval="a2")
    assert verify(log_of(Call("c1", events=[*again.events, *rest]))).ok


def matched(seats, voters) -> bool:
    """Say whether people can be placed, by trying: the slow way."""
    places = [roles for roles, votes in seats.items() for _ in range(votes)]
    if not places:
        return True
    first = places[0]
    rest = dict(seats)
    rest[first] -= 1
    if not rest[first]:
        del rest[first]
    return any(
        held & first and matched(rest, {name: roles for name, roles in voters.items() if name != who}) for who, held in voters.items()
    )


ROLES = st.frozensets(st.sampled_from("abcd"), min_size=1, max_size=2)


@given(st.dictionaries(ROLES, st.integers(1, 2), max_size=3), st.dictionaries(st.sampled_from("uvwxyz"), ROLES, max_size=5))
def test_halls_condition_holds_exactly_when_people_can_be_placed(seats, voters):
    assert (not list(_short(seats, voters, ""))) == matched(seats, voters)


@given(st.dictionaries(ROLES, st.integers(1, 2), max_size=3), st.dictionaries(st.sampled_from("uvwxyz"), ROLES, max_size=5))
def test_it_agrees_with_the_count_that_let_it_run(seats, voters):
    from remit.policies import Seats, filled

    placed = filled([Seats(roles, votes) for roles, votes in seats.items()], voters)
    assert (not list(_short(seats, voters, ""))) == (list(placed) == list(seats.values()))


def test_control_counting_each_role_by_itself_would_let_one_person_be_two():
    seats, voters = {frozenset("a"): 1, frozenset("b"): 1}, {"u": frozenset("ab")}
    by_itself = all(sum(bool(held & roles) for held in voters.values()) >= votes for roles, votes in seats.items())
    assert by_itself and list(_short(seats, voters, ""))


def test_more_kinds_of_approval_than_can_be_checked_are_said_to_be_so():
    many = [{**FINANCE, "rule": f"r/{number}", "by": f"role-{number}"} for number in range(40)]
    call = decided(Call("c1").received(), *many, before="new").intended().succeeded()
    assert "votes_uncounted" in codes(call)
