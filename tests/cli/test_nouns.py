"""Actions, policies, people, keys, the log and the database, each as its commands show it."""

import re
import stat
from pathlib import Path

import pytest

from remit import server
from remit.audit import FolderLog, KeyFile
from remit.cli.keys import Scope


def test_actions_are_listed(desk, remit):
    assert "credit:{order_id}" in remit("actions", "list").out
    found = remit("actions", "list", "--json").document["actions"]
    assert [action["name"] for action in found] == ["give_credit", "look_up_order"]
    assert all(action.keys() == {"name", "title", "version", "description", "effect", "key", "tags"} for action in found)


@pytest.mark.parametrize("dialect", ["openai", "openai-responses", "anthropic", "gemini", "bedrock", "mcp"])
def test_an_action_is_printed_as_a_provider_takes_it(desk, remit, dialect):
    printed = remit("actions", "schema", "give_credit", f"--dialect={dialect}").document
    document = remit("actions", "schema", "give_credit", f"--dialect={dialect}", "--json").document
    assert document["tools"] == (printed if isinstance(printed, list) else [printed])
    assert "give_credit" in str(document["tools"])
    assert document["dialect"] == dialect


def test_what_a_provider_cannot_express_is_reported_beside_it(desk, remit):
    orders = desk / "actions" / "orders.py"
    orders.write_text(
        orders.read_text()
        .replace("order_id: str)", 'order_id: Annotated[str, Field(pattern="^A-[0-9]+$")])')
        .replace("from pydantic import BaseModel", "from typing import Annotated\n\nfrom pydantic import BaseModel, Field")
    )
    ended = remit("actions", "schema", "look_up_order", "--dialect=anthropic")
    losses = remit("actions", "schema", "look_up_order", "--dialect=anthropic", "--json").document["losses"]
    assert [loss.keys() for loss in losses] == [{"path", "keyword", "why"}] * len(losses)
    assert ended.document["name"] == "look_up_order"  # stdout stays one JSON document
    assert ended.err.count("\n") == len(losses)


def test_policies_are_checked_and_put_in_force(desk, remit):
    assert "can be used" in remit("policy", "check").out
    assert remit("policy", "check", "--json").document == {"ok": True, "problems": [], "warnings": []}
    assert not (desk / "remit.db").exists()
    before = remit("policy", "reload", "--json").document["policy"]
    policy = desk / "policies" / "credits.yaml"
    policy.write_text(policy.read_text().replace("2000", "1000"))
    assert "remit policy reload" in remit("calls", "list").line
    assert "In force" in remit("policy", "reload").out
    assert remit("policy", "reload", "--json").document["policy"] != before
    assert remit("calls", "list").code == 0


def test_what_is_probably_not_meant_is_a_warning(desk, remit):
    (desk / "policies" / "credits.yaml").unlink()
    ended = remit("policy", "check")
    assert ended.code == 0
    assert "warning: no policy names the action `give_credit`" in ended.out
    [warning] = remit("policy", "check", "--json").document["warnings"]
    assert warning.keys() == {"path", "line", "message"}


def test_people_come_change_and_go(desk, remit):
    assert "remit people add" in remit("people", "list").out
    assert (
        remit("people", "add", "eve", "--name=Eve", "--email=eve@example.org", "--role=lead", "--role=trainee").out
        == "eve: lead, trainee\n"
    )
    assert remit("people", "role", "eve", "--add=finance", "--remove=trainee").out == "eve: finance, lead\n"
    eve = {"id": "eve", "name": "Eve", "email": "eve@example.org", "roles": ["finance", "lead"], "active": True}
    assert remit("people", "list", "--json").document == {"people": [eve]}
    assert remit("people", "disable", "eve").out == "eve: disabled\n"
    assert remit("people", "list", "--json").document == {"people": [eve | {"active": False}]}
    assert "eve@example.org" in remit("people", "list").out


def test_the_key_file_is_made_for_a_database_to_come_and_for_no_other(desk, remit):
    assert "Back it up" in remit("keys", "init").out
    assert stat.S_IMODE((desk / "remit.keys").stat().st_mode) == 0o600
    made = KeyFile.load(desk / "remit.keys").fingerprints
    assert "remit.keys" in remit("keys", "init").line
    assert remit("db", "upgrade").code == 0
    assert "remit.db exists" in remit("keys", "init").line
    assert KeyFile.load(desk / "remit.keys").fingerprints == made


def test_an_api_key_is_shown_once_and_revoked(desk, remit):
    made = remit("keys", "new", "--service=bot", "--scope=tools:read", "--scope=calls:write", "--json").document
    assert made.keys() == {"key", "prefix", "owner", "kind", "scopes"}
    assert made["scopes"] == ["calls:write", "tools:read"]
    assert made["key"].encode() not in (desk / "remit.db").read_bytes()
    assert remit("keys", "revoke", made["prefix"]).code == 0
    assert made["prefix"] in remit("keys", "revoke", made["prefix"]).line


def test_a_persons_key_is_for_a_person_who_is_there(desk, remit):
    assert "no person eve" in remit("keys", "new", "--person=eve", "--scope=approvals:vote").line
    remit("people", "add", "eve")
    assert re.fullmatch(r"remit_[0-9a-f]{8}_\S{43}\n.*\n", remit("keys", "new", "--person=eve", "--scope=approvals:vote").out)


def test_the_scopes_are_those_that_the_http_api_asks_for():
    doors = Path(server.__file__).parent.glob("*.py")
    asked = re.findall(r'scopes=\["([^"]+)"\]', "".join(one.read_text() for one in doors))
    assert set(asked) == set(Scope)


def test_the_live_log_verifies(credit, remit):
    credit("15.00 EUR")
    ended = remit("audit", "verify")
    assert ended.code == 0
    assert "The log verifies" in ended.out
    report = remit("audit", "verify", "--json").document
    assert (report["ok"], report["reproduced"], report["attested"]) == (True, 1, 0)


def test_an_exported_log_verifies_anywhere(credit, remit, tmp_path_factory, monkeypatch):
    credit("15.00 EUR")
    folder = tmp_path_factory.mktemp("away") / "log"
    exported = remit("audit", "export", str(folder))
    key = exported.out.split("--key ")[1].strip()
    monkeypatch.chdir(folder)
    ended = remit("audit", "verify", ".", "--key", key)
    assert ended.code == 0
    assert "decisions attested only" in ended.out
    assert "the folder says itself" in remit("audit", "verify", ".").out


def test_with_its_values_disclosed_its_decisions_are_reproduced(credit, remit):
    credit("15.00 EUR")
    assert "say who reads" in remit("audit", "export", "log", "--disclose").line
    assert remit("people", "add", "rae", "--role", "reviewer").code == 0
    assert remit("audit", "export", "log", "--disclose", "--as", "rae", "--purpose", "yearly audit").code == 0
    report = remit("audit", "verify", "log", "--app=app:runtime", "--json").document
    assert (report["ok"], report["reproduced"], report["sealed"]) == (True, 1, 0)
    assert remit("audit", "verify", "log", "--json").document["attested"] == 1


def test_a_log_that_was_changed_ends_with_1(credit, remit, desk):
    credit("15.00 EUR")
    remit("audit", "export", "log")
    leaves = desk / "log" / "leaves.jsonl"
    leaves.write_bytes(leaves.read_bytes().replace(b'"minor":1500', b'"minor":9500'))
    ended = remit("audit", "verify", "log")
    assert ended.code == 1
    assert "does NOT verify" in ended.out
    report = remit("audit", "verify", "log", "--json")
    assert report.code == 1
    assert report.document["ok"] is False


def test_anothers_key_did_not_sign_it(credit, remit, desk):
    credit("15.00 EUR")
    remit("audit", "export", "log")
    own = FolderLog(desk / "log").origin
    (desk / "remit.db").rename(desk / "old.db")
    (desk / "remit.keys").rename(desk / "old.keys")
    credit("15.00 EUR")
    key = remit("audit", "export", "other").out.split("--key ")[1].strip()
    assert own in remit("audit", "verify", "log", "--key", key).line


def test_the_database_is_made_and_brought_forward(desk, remit):
    assert "revision" in remit("db", "upgrade").out
    assert (desk / "remit.db").exists()
    assert remit("db", "upgrade").code == 0


def test_the_signing_key_is_rotated(credit, remit):
    credit("15.00 EUR")
    rotated = remit("keys", "rotate-signing", "--by", "eve", "--reason", "yearly", "--json").document
    assert rotated["waiting"] == []
    assert rotated["old"] != rotated["new"]
    said = remit("keys", "rotate-signing", "--reason", "again").out
    assert "signs" in said and "destroyed" in said
    assert remit("audit", "export", "exported").code == 0
    for key in (rotated["old"], rotated["new"]):
        assert "The log verifies" in remit("audit", "verify", "exported", "--key", key).out
