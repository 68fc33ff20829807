"""Looking at calls on the command line: who looked is in the access log, and roles decide who may."""

from pathlib import Path


def read(remit):
    return [
        (one["kind"], one["who"], one["call"], one["purpose"]) for one in reversed(remit("audit", "access", "--json").document["accesses"])
    ]


def test_looking_at_a_call_is_recorded(waiting, remit):
    assert remit("calls", "list").code == 0
    assert remit("calls", "show", waiting).code == 0
    assert remit("calls", "show", waiting, "--as", "eve").code == 0
    assert remit("policy", "explain", waiting, "--as", "eve").code == 0
    assert read(remit) == [
        ("audit.read", "local operator", None, ""),
        ("personal.revealed", "local operator", waiting, "work on a call"),
        ("personal.revealed", "eve", waiting, "approval"),
        ("personal.revealed", "eve", waiting, "approval"),
    ]


def test_who_votes_has_seen_it(waiting, remit):
    assert remit("approve", waiting, "--as", "eve").code == 0
    assert ("personal.revealed", "eve", waiting, "approval") in read(remit)


def test_who_may_not_is_told_why(waiting, remit):
    remit("people", "add", "uma", "--role", "support")
    remit("people", "add", "olga", "--role", "operator")
    assert "has none of the roles" in remit("calls", "show", waiting, "--as", "uma").line
    assert "say for what purpose" in remit("calls", "show", waiting, "--as", "olga").line
    assert remit("calls", "show", waiting, "--as", "olga", "--purpose", "complaint 117").code == 0
    assert "no active person" in remit("calls", "list", "--as", "nobody").line


def test_a_bundle_holds_the_values_of_those_who_are_named(waiting, remit):
    remit("people", "add", "rae", "--role", "reviewer")
    take = ("audit", "export", "log", "--disclose", "--as", "rae", "--purpose", "yearly audit")
    assert "--disclose" in remit("audit", "export", "log", "--subject", "ada").line
    assert "Nothing is held" in remit(*take, "--subject", "nobody-known").line
    assert "with those of one customer." in remit(*take, "--subject", "ada").out
    assert Path("log").stat().st_mode & 0o077 == 0, "its owner alone can read them"
    assert remit("audit", "export", "plain").code == 0
    assert Path("plain").stat().st_mode & 0o055 == 0o055, "the control: without values it is for everybody"
    report = remit("audit", "verify", "log", "--json").document
    assert report["ok"] and report["opened"] > 0
