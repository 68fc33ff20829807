"""A desk as `remit init` makes it, and the command line run in it as its users run it."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from remit.cli import main


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def document(self):
        return json.loads(self.out)

    @property
    def line(self):
        """The one line on stderr; nothing else may have been printed."""
        assert self.code == 2
        assert self.out == ""
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        return self.err.rstrip("\n")


@pytest.fixture
def remit(monkeypatch, capsys):
    """Run a command in the current folder, in this process, with the folder's modules imported anew."""
    for variable in ("REMIT_APP", "REMIT_HOST", "REMIT_PORT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file changed within a second would be taken from its old bytecode
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments):
        capsys.readouterr()
        known = set(sys.modules)
        with pytest.raises(SystemExit) as left:
            main(arguments)
        for name in set(sys.modules) - known:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(Path.cwd())):
                del sys.modules[name]
        return Ended(left.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def desk(tmp_path, monkeypatch, remit):
    """A new desk, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    assert remit("init").code == 0
    return tmp_path


@pytest.fixture
def credit(desk, remit):
    """Ask for credit for an order of ada's; beyond 20 EUR a lead must agree."""

    def ask(amount, *more, order="A-1001"):
        return remit(
            "call", "give_credit", f"--arg=order_id={order}", f"--arg=amount={amount}", "--arg=reason=late", "--as-subject=ada", *more
        )

    return ask


@pytest.fixture
def waiting(credit, remit):
    """The id of a call that waits, and eve, who may approve it."""
    assert remit("people", "add", "eve", "--role", "lead").code == 0
    return credit("35.00 EUR", "--json").document["call"]
