"""`remit init` and `remit new`: what they make works at once, and nothing is overwritten."""

import shlex

import pytest

from remit.cli.scaffold import APP


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_what_init_makes_works_as_its_next_steps_say(tmp_path, remit, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = remit("init", "desk")
    assert made.code == 0
    monkeypatch.chdir(tmp_path / "desk")
    steps = [line.strip().partition("   ")[0] for line in made.out.splitlines() if line.startswith("  remit ")]
    assert len(steps) == 8
    waiting = ""
    for step in steps:
        ended = remit(*shlex.split(step.replace("CALL", waiting))[1:])
        assert ended.code == 0, (step, ended)
        if "waiting" in ended.out and not waiting:
            waiting = remit("calls", "list", "--state=waiting", "--json").document["calls"][0]["id"]
    assert {call["state"] for call in remit("calls", "list", "--json").document["calls"]} == {"succeeded"}


def test_the_commands_in_its_readme_work(desk, remit):
    steps = [line for line in (desk / "README.md").read_text().splitlines() if line.startswith("remit ")]
    assert steps
    for step in steps:
        assert remit(*shlex.split(step)[1:]).code == 0, step


def test_init_makes_just_its_files(tmp_path, remit, monkeypatch):
    monkeypatch.chdir(tmp_path)
    remit("init", "desk")
    assert set(snapshot(tmp_path / "desk")) == set(APP)
    assert "remit.keys" in (tmp_path / "desk" / ".gitignore").read_text()


@pytest.mark.parametrize("taken", APP)
def test_init_overwrites_nothing_and_leaves_nothing_half_made(tmp_path, remit, monkeypatch, taken):
    monkeypatch.chdir(tmp_path)
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).write_text("mine")
    assert taken in remit("init").line
    assert snapshot(tmp_path) == {taken: "mine"}


def test_a_new_action_loads_at_once_and_refuses_until_it_is_written(desk, remit):
    before = snapshot(desk)
    made = remit("new", "action", "cancel_order")
    assert made.code == 0
    assert set(snapshot(desk)) - set(before) == {"actions/cancel_order.py", "policies/cancel_order.yaml"}
    assert {name: text for name, text in snapshot(desk).items() if name in before} == before
    steps = [line.strip() for line in made.out.splitlines() if line.startswith("  remit ")]
    assert len(steps) == 4
    remit("people", "add", "eve", "--role=lead")
    for step in steps:
        assert remit(*shlex.split(step)[1:]).code == 0, step
    waiting = remit("call", "cancel_order", "--arg=order_id=A-1001", "--as-subject=ada", "--json").document["call"]
    refused = remit("approve", waiting, "--as=eve", "--json")
    assert refused.code == 1
    assert refused.document["state"] == "failed"
    assert "not written yet" in refused.document["message"]


def test_a_new_action_overwrites_nothing(desk, remit):
    (desk / "policies" / "cancel_order.yaml").write_text("mine")
    before = snapshot(desk)
    assert "policies/cancel_order.yaml exists" in remit("new", "action", "cancel_order").line
    assert snapshot(desk) == before


def test_a_new_action_needs_an_app(tmp_path, remit, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "remit init" in remit("new", "action", "cancel_order").line
    assert snapshot(tmp_path) == {}
