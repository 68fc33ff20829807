"""`remit audit` search, story and access, in a desk as `remit init` makes it."""

import pytest


@pytest.fixture
def told(waiting, credit, remit):
    """Two calls: one that waits, was approved by eve and is done, and a smaller one of another order."""
    assert remit("approve", waiting, "--as=eve", "--reason=SECRET-REASON").code == 0
    return waiting, credit("5.00 EUR", "--json", order="A-1002").document["call"]


def calls(ended):
    return [one["call"] for one in ended.document["found"] if "call" in one]


def test_each_filter_is_an_option(told, remit):
    large, small = told
    for options, expected in {
        (): [small, large],
        ("--subject=ada",): [small, large],
        ("--subject=bob",): [],
        ("--action=give_credit",): [small, large],
        ("--action=look_up",): [],
        ("--approver=eve",): [large],
        ("--by=eve",): [large],
        ("--principal=local operator",): [small, large],
        ("--conversation=c",): [],
        ("--outcome=succeeded",): [small, large],
        ("--outcome=failed",): [],
        ("--kind=approval.voted",): [large],
        ("--at-least=20.00 EUR",): [large],
        ("--at-most=20.00 EUR",): [small],
        (f"--call={small}",): [small],
        ("--since=1h",): [small, large],
        ("--until=1h",): [],
        ("--since=2001-01-01", "--until=2001-01-01T10:00"): [],
        ("--text=nobody wrote this",): [],
        ("--text=SECRET-REASON",): [],
    }.items():
        assert calls(remit("audit", "search", *options, "--json")) == expected, options
    matched = remit("audit", "story", large, "--json").document["decisions"][0]["matched"]
    (rule,) = [one["rule"] for one in matched if one["then"] == "require_approval"]
    assert calls(remit("audit", "search", f"--rule={rule}", "--json")) == [large]


def test_a_page_is_a_table_that_leads_on(told, remit):
    large, small = told
    first = remit("audit", "search", "--action=give_credit", "--most=1")
    assert small in first.out and large not in first.out and "5.00 EUR" in first.out
    cursor = first.out.split("--after ")[1].split()[0]
    second = remit("audit", "search", "--action=give_credit", "--most=1", "--after", cursor)
    assert large in second.out and small not in second.out and "--after" not in second.out
    assert remit("audit", "search", "--action=nothing").out.startswith("Nothing in the log meets that.")


@pytest.mark.parametrize(
    "options",
    [
        ("--since=soon",),
        ("--outcome=done",),
        ("--at-least=10",),
        ("--at-least=1.001 EUR",),
        ("--at-least=1.00 EUR", "--at-most=1.00 USD"),
        ("--kind=call.vanished",),
        ("--kind=limit.reserved",),
        ("--text= ",),
        ("--after=x",),
        ("--as=nobody",),
    ],
)
def test_what_can_not_be_searched_for_is_said_in_one_line(desk, remit, options):
    assert remit("audit", "search", *options).line


def test_a_story_is_told_in_plain_words_without_personal_values(told, remit):
    large, _ = told
    shown = remit("audit", "story", large)
    assert shown.code == 0
    for words in ("It was done", "asked for it", "approved it, as lead", "What eve saw before voting", "are sealed", "begins attempt 1"):
        assert words in shown.out, words
    assert "ada" not in shown.out and "SECRET-REASON" not in shown.out and "A-1001" not in shown.out
    document = remit("audit", "story", large, "--json").document
    assert document["stands"].startswith("It was done") and document["events"][0]["who"] == "local operator"
    assert remit("audit", "story", "call_0").code == 2


def test_revealing_takes_a_person_a_role_and_a_purpose(told, remit):
    large, _ = told
    assert "say who reads" in remit("audit", "story", large, "--reveal", "--purpose=complaint 117").line
    assert "has none of the roles" in remit("audit", "story", large, "--reveal", "--purpose=complaint 117", "--as=eve").line
    assert remit("people", "role", "eve", "--add", "reviewer").code == 0
    assert "purpose" in remit("audit", "story", large, "--reveal", "--as=eve").line
    assert "--purpose is for --reveal" in remit("audit", "story", large, "--purpose=complaint 117").line
    shown = remit("audit", "story", large, "--reveal", "--purpose=complaint 117", "--as=eve").out
    assert "SECRET-REASON" in shown and "A-1001" in shown
    (revealed,) = [one for one in remit("audit", "access", "--json").document["accesses"] if one["purpose"] == "complaint 117"]
    assert (revealed["kind"], revealed["who"], revealed["call"]) == ("personal.revealed", "eve", large)


def test_whoever_reads_is_in_the_access_log(told, remit):
    remit("audit", "search", "--subject=ada", "--as=eve")
    assert remit("audit", "verify").code == 0
    found = remit("audit", "access", "--json").document["accesses"]
    assert [(one["kind"], one["who"]) for one in found][:2] == [("audit.verified", "local operator"), ("audit.read", "eve")]
    assert found[1]["sought"]["subject"].startswith("sub_") and "'ada'" not in str(found)
    shown = remit("audit", "access").out
    assert "audit.verified" in shown and "eve" in shown


def test_an_access_log_that_nobody_is_in_says_so(desk, remit):
    assert remit("audit", "access").out == "Nobody has read the log yet.\n"


def test_control_the_words_that_must_not_be_shown_are_in_what_is_sealed(told, remit):
    shown = remit("calls", "show", told[0]).out
    assert "ada" in shown and "SECRET-REASON" in shown and "A-1001" in shown
