"""Help: an example for each command that parses, a reference that is current, and a start that brings in nothing heavy."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from remit.cli.app import app
from remit.cli.reference import reference

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("asyncio", "pydantic", "rich", "remit.actions", "remit.audit", "remit.policies", "remit.runtime", "remit.server", "sqlite3")


def commands(command, path=("remit",)):
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


FOUND = dict(commands(typer.main.get_command(app)))


def examples(command):
    return [line.strip() for line in (command.epilog or "").partition("Example:")[2].splitlines() if line.strip()]


def parse(line):
    """Parse a command line as its command would, and do nothing; raises what typer raises."""
    words = shlex.split(line)
    path = next(words[:length] for length in (3, 2, 1) if tuple(words[:length]) in FOUND)
    FOUND[tuple(path)].make_context(" ".join(path), words[len(path) :])
    return tuple(path)


@pytest.mark.parametrize("path", FOUND, ids=" ".join)
def test_every_help_has_an_example_that_parses(path, remit):
    shown = remit(*path[1:], "--help")
    assert shown.code == 0
    found = examples(FOUND[path])
    assert found
    for line in found:
        assert line in shown.out
        assert parse(line)[: len(path)] == path


def test_control_an_example_that_does_not_parse_is_noticed():
    with pytest.raises(typer.TyperException):
        parse("remit calls list --sate=waiting")


def test_the_commands_are_those_that_were_promised():
    promised = """demo · init · new action · actions list · actions schema · call · calls list · calls show · calls amend · calls cancel · calls resolve · calls reversed · calls undo · approve · reject · policy check ·
        policy test · policy diff · policy schema · policy reload ·
        policy explain · policy replay · policy shadow · policy propose · policy activate · policy bundles ·
        switch throw · switch lift · switch list · subject export · subject erase · subject complete · subject erased ·
        hold place · hold lift · hold list · retention show · retention prune · people add · people role · people disable · people list · keys init ·
        keys new · keys revoke · keys rotate-signing · audit verify ·
        audit export · audit follow · audit place · audit search · audit story · audit access · audit reconcile · db upgrade · doctor · serve · worker"""
    leaves = {" ".join(path[1:]) for path, command in FOUND.items() if not getattr(command, "commands", None)}
    assert leaves == {" ".join(name.split()) for name in promised.split("·")}


def test_the_reference_is_current():
    assert (ROOT / "docs" / "cli.md").read_text() == reference(), "python -m remit.cli.reference > docs/cli.md"


def imported(*arguments):
    script = "import sys; sys.argv = ['remit', *sys.argv[1:]]\ntry:\n    from remit.cli import main; main()\nexcept SystemExit: print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return {name for name in HEAVY if name in ended.stdout.splitlines()[-1].split()}


def test_help_brings_in_nothing_heavy():
    assert imported("--help") == set()
    assert imported("audit", "verify", "--help") <= {"pydantic"}  # typer's own doing, where a command has arguments


def test_control_what_is_heavy_is_noticed(desk):
    assert imported("actions", "list") >= {"pydantic", "rich", "remit.actions", "remit.runtime"}


@pytest.mark.parametrize("command", [["-m", "remit"], ["-c", "from remit.cli import main; main()"]])
def test_it_runs_as_a_command(command, tmp_path):
    ended = subprocess.run([sys.executable, *command, "calls", "list"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "remit init" in ended.stderr


def test_the_completion_of_a_shell_can_be_shown():
    script = "from remit.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={"_REMIT_COMPLETE": "complete_bash", "COMP_WORDS": "remit actions s", "COMP_CWORD": "2", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.split() == ["schema"]
