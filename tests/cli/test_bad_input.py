"""What can't be tried: one line on stderr that says what, where, and what to do; exit code 2; nothing half-written."""

import os
import socket
import sqlite3
import stat
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from remit.cli import main


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_broken_policy_is_shown_with_its_place_and_a_caret(desk, remit):
    change(desk / "policies" / "credits.yaml", "facts.order.total.minor", "facts.order.totl.minor")
    for command in (("policy", "check"), ("calls", "list"), ("policy", "reload")):
        ended = remit(*command)
        assert (ended.code, ended.out) == (2, "")
        first, excerpt, caret = ended.err.splitlines()
        assert first.startswith("credits.yaml:6:")
        assert "did you mean `total`?" in first
        assert excerpt[caret.index("^") :].startswith("totl")
    assert not (desk / "remit.db").exists()


def test_every_mistake_of_the_policies_is_named(desk, remit):
    change(desk / "policies" / "credits.yaml", "facts.order.total.minor", "facts.order.totl.minor")
    change(desk / "policies" / "orders.yaml", "then: allow", "then: alow")
    ended = remit("policy", "check")
    assert ended.code == 2
    assert ended.err.count("^") == 2
    document = remit("policy", "check", "--json").document
    assert document["ok"] is False
    assert sorted(problem["path"] for problem in document["problems"]) == ["credits.yaml", "orders.yaml"]
    assert document["problems"][0].keys() == {"path", "line", "column", "message"}


def test_a_broken_policy_leaves_the_one_in_force_as_it_was(desk, remit):
    before = remit("policy", "reload", "--json").document
    change(desk / "policies" / "orders.yaml", "then: allow", "then: alow")
    assert remit("policy", "reload").code == 2
    change(desk / "policies" / "orders.yaml", "then: alow", "then: allow")
    assert remit("policy", "reload", "--json").document == before


def test_an_unknown_action_is_refused_with_the_nearest(desk, remit):
    assert "did you mean give_credit?" in remit("call", "give_credt").line
    assert "remit actions list" in remit("actions", "schema", "zzz").line
    assert not (desk / "remit.db").exists()


def test_an_unknown_field_is_refused_with_the_nearest(credit, desk):
    line = credit("1.00 EUR", "--arg=raeson=late").line
    assert "raeson is not an argument" in line
    assert "did you mean `reason`?" in line
    assert not (desk / "remit.db").exists()


@pytest.mark.parametrize("amount", ["12", "1.234 EUR", "1.00 XXX", "-1.00 EUR", "lots"])
def test_an_amount_that_is_none_is_refused(credit, amount):
    assert credit(amount).line.startswith("give_credit: amount")


def test_assurance_of_nobody_is_refused(desk, remit):
    assert "anonymous" in remit("call", "look_up_order", "--arg=order_id=A-1001", "--assurance=2").line


def test_a_locked_database_is_waited_for_and_then_named(desk, remit):
    assert remit("db", "upgrade").code == 0
    with closing(sqlite3.connect("remit.db")) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        line = remit("calls", "list").line
    assert "remit.db" in line
    assert "locked" in line
    assert remit("calls", "list").code == 0


@contextmanager
def as_anybody():
    """Be somebody to whom read-only means read-only: root may write anything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_read_only_database_is_named(remit, monkeypatch):
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to others
        folder = Path(place)
        monkeypatch.chdir(folder)
        assert remit("init").code == 0
        assert remit("people", "add", "eve").code == 0  # and everything that is imported lazily is now imported
        for path in (*folder.rglob("*"), folder):
            path.chmod(0o555 if path.is_dir() else 0o444)
        with as_anybody():
            line = remit("people", "add", "bo").line
        folder.chmod(0o755)
        assert "remit.db" in line
        assert "writable" in line
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        assert [person["id"] for person in remit("people", "list", "--json").document["people"]] == ["eve"]


def test_a_newer_database_is_named(desk, remit):
    remit("db", "upgrade")
    with closing(sqlite3.connect("remit.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    for command in (("calls", "list"), ("db", "upgrade")):
        line = remit(*command).line
        assert "remit.db" in line
        assert "upgrade Remit" in line


def test_a_missing_key_file_is_named_and_never_made_anew(desk, remit):
    remit("db", "upgrade")
    (desk / "remit.keys").unlink()
    for command in (("calls", "list"), ("db", "upgrade"), ("audit", "verify"), ("keys", "init")):
        line = remit(*command).line
        assert "remit.keys" in line
        assert "restore" in line
    assert not (desk / "remit.keys").exists()


def test_another_databases_keys_are_named(desk, remit):
    remit("db", "upgrade")
    (desk / "remit.keys").unlink()
    (desk / "remit.db").rename(desk / "own.db")
    remit("keys", "init")
    (desk / "own.db").rename(desk / "remit.db")
    assert "another database" in remit("calls", "list").line


def test_a_file_that_is_no_database_is_named(desk, remit):
    remit("keys", "init")
    (desk / "remit.db").write_text("a letter, not a database\n" * 100)
    assert "not a SQLite database" in remit("calls", "list").line


def test_a_busy_port_is_named_before_anything_is_opened(desk, remit):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        line = remit("serve", f"--port={port}").line
    assert f"127.0.0.1:{port}" in line
    assert "--port" in line
    assert not (desk / "remit.db").exists()


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("nope:runtime", "no module nope"),
        ("app", "MODULE:NAME"),
        (":runtime", "MODULE:NAME"),
        ("app:rt", "say --app app:runtime"),
        ("app:Runtime", "say --app app:runtime"),
        ("actions.orders:runtime", "has no Runtime called runtime"),
        ("actions.nope:runtime", "no module actions.nope"),
    ],
)
def test_an_app_that_is_not_there_is_named(desk, remit, monkeypatch, app, says):
    assert says in remit("calls", "list", "--app", app).line
    monkeypatch.setenv("REMIT_APP", app)
    assert says in remit("calls", "list").line


def test_without_an_app_init_is_suggested(tmp_path, remit, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "remit init" in remit("calls", "list").line


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("app.py", "runtime =", "1 / 0\nruntime =", "app.py:11: ZeroDivisionError"),
        ("app.py", "runtime =", "def (\nruntime =", "app.py:11: SyntaxError"),
        ("app.py", "from remit", "import nonesuch\nfrom remit", "app.py:7: ModuleNotFoundError: No module named 'nonesuch'"),
        ("app.py", "from remit", "raise SystemError('\\x1b[2J')\nfrom remit", "app.py:7: SystemError: \\x1b[2J"),
        (
            "actions/orders.py",
            'order_id: str) -> Order | None:\n    """Look',
            'order_id: float) -> Order | None:\n    """Look',
            "actions/orders.py:39: ",
        ),
    ],
)
def test_a_mistake_in_the_app_is_named_with_its_line(desk, remit, file, old, new, says):
    change(desk / file, old, new)
    assert remit("actions", "list").line.startswith(says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("calls", "show"), "Missing argument 'ID'. See `remit calls show --help`."),
        (("calls", "lst"), "Did you mean 'list'?"),
        (("cals",), "Did you mean 'calls', 'call'?"),
        (("calls", "list", "--sate=x"), "--state"),
        (("calls", "list", "--state=bogus"), "--state bogus: write one of new, rejected"),
        (("calls", "list", "--most=0"), "--most"),
        (("calls", "show", "call_x"), "call_x"),
        (("approve", "call_x", "--as=eve"), "call_x"),
        (("reject", "call_x", "--as=eve"), "--reason"),
        (("call", "look_up_order", "--arg=order_id"), "NAME=VALUE"),
        (("actions", "schema", "give_credit", "--dialect=klingon"), "openai-responses"),
        (("people", "add", "a b"), "a b"),
        (("people", "add", "eve", "--role=Lead!"), "Lead!"),
        (("people", "role", "eve"), "--add ROLE"),
        (("people", "role", "eve", "--add=lead"), "remit people add eve"),
        (("people", "disable", "eve"), "eve"),
        (("keys", "new", "--scope=calls:read"), "--person ID or --service NAME"),
        (("keys", "new", "--scope=calls:read", "--person=a", "--service=b"), "--person ID or --service NAME"),
        (("keys", "new", "--scope=everything", "--service=b"), "calls:read"),
        (("keys", "revoke", "00000000"), "00000000"),
        (("audit", "verify", "nowhere"), "nowhere"),
        (("audit", "export", "policies"), "policies exists"),
        (("audit", "export", "no/such/place"), "no/such"),
        (("new", "action", "Cancel-Order"), "Cancel-Order"),
        (("new", "action", "import"), "import"),
        (("init",), "app.py exists"),
        (("serve", "--port=0"), "--port"),
        (("call", "x\x1b[2J"), "x\\x1b[2J"),
    ],
)
def test_what_is_called_wrongly_is_said_in_one_line(desk, remit, arguments, says):
    assert says in remit(*arguments).line


@pytest.mark.parametrize("variable", ["REMIT_PORT"])
def test_a_setting_that_is_none_is_named(desk, remit, monkeypatch, variable):
    monkeypatch.setenv(variable, "high")
    assert remit("serve").line.startswith(f"{variable}=high: ")


def test_a_group_alone_shows_its_help(remit):
    ended = remit("calls")
    assert ended.code == 2
    assert "remit calls list" in ended.err


def test_control_a_bug_of_our_own_is_not_dressed_up_as_bad_input(desk, monkeypatch):
    def broken(_app):
        raise KeyError("ours")

    monkeypatch.setattr("remit.cli.actions.load", broken)
    with pytest.raises(KeyError, match="ours"):
        main(["actions", "list"])


def test_control_the_reader_of_one_line_sees_two(desk, remit):
    ended = remit("calls")
    with pytest.raises(AssertionError):
        _ = ended.line


def test_control_the_read_only_folder_can_be_written_by_its_owner(desk, remit):
    assert stat.S_IMODE(desk.stat().st_mode) & stat.S_IWUSR
    assert remit("people", "add", "bo").code == 0
