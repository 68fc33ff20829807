"""A bar is drawn where somebody looks, and nothing where nobody does."""

import io
import sys

from remit.audit import FolderLog, export, verify
from remit.cli.progress import progress
from tests.audit.building import allowed, log_of


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_the_verifier_moves_a_bar(monkeypatch, tmp_path):
    export(log_of(*(allowed(f"c{number}") for number in range(300))), tmp_path / "log")
    log, terminal = FolderLog(tmp_path / "log"), Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress("events", log.size) as told:
        assert verify(log, progress=told).ok
    assert "1200/1200" in terminal.getvalue()


def test_elsewhere_nothing_is_drawn(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress("events", 5) as told:
        assert told is None
    assert sys.stderr.getvalue() == ""
