"""`remit doctor`: a verdict a line, what to do about each, and an exit code that says whether something is bad."""

import sqlite3

import pytest


@pytest.fixture
def look(remit):
    """Look, and give the exit code and the findings by what they are about."""

    def look():
        shown, told = remit("doctor"), remit("doctor", "--json")
        assert shown.err == told.err == ""
        assert shown.code == told.code
        assert told.document["ok"] is (told.code == 0)
        for one in told.document["findings"]:
            assert one["verdict"] in {"ok", "warn", "bad"}
            assert (one["do"] == "") is (one["verdict"] == "ok")
            assert any(line.split()[:2] == [one["verdict"], one["about"]] for line in shown.out.splitlines())
        return told.code, {one["about"]: one for one in told.document["findings"]}

    return look


def test_a_desk_that_has_not_begun_is_no_fault_and_stays_so(desk, look):
    code, found = look()
    assert (code, found["database"]["verdict"]) == (0, "warn")
    assert not (desk / "remit.db").exists()


def test_a_call_that_nobody_takes_up_is_bad_and_named(waiting, look):
    assert look()[0] == 0
    with sqlite3.connect("remit.db") as connection:
        connection.execute("UPDATE call SET wake_at = 1")
    connection.close()
    code, found = look()
    assert (code, found["calls"]["calls"]) == (1, [waiting])
    assert "remit worker" in found["calls"]["do"]


def test_a_database_that_is_none_is_bad_and_is_said(desk, look):
    (desk / "remit.db").write_text("not a database, whatever its name says")
    code, found = look()
    assert (code, found["database"]["verdict"]) == (1, "bad")


def test_what_is_in_the_database_can_not_act_on_the_terminal(waiting, remit):
    with sqlite3.connect("remit.db") as connection:
        connection.execute("INSERT INTO switch VALUES ('default', 'action', 'give_credit', ?, 'eve', 1)", ("\x1b[31mred\n\u202e",))
    connection.close()
    shown = remit("doctor").out
    assert "\x1b" not in shown and "\u202e" not in shown and "red" in shown
