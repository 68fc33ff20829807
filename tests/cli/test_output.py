"""Tables in a narrow terminal: what is to be copied is whole, words are not broken where there is room, and nothing is wider than it."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from remit.cli import output
from remit.cli.output import show, table

CALL = "call_1a21f28d602c19413ef6b3f9f"
LIST = ("call", "action", "state", "asked by", "when (UTC)", "who must act")
ROW = (CALL, "give_credit", "succeeded", "local operator", "2026-11-27 22:38:19", "approval by lead")


def drawn(headers, rows, width):
    out = io.StringIO()
    Console(file=out, width=width, markup=False, emoji=False, highlight=False).print(table(headers, rows))
    lines = out.getvalue().splitlines()
    assert all(cell_len(line) <= width for line in lines)
    return "\n".join(lines)


def test_at_80_columns_no_word_of_a_list_of_calls_is_broken():
    words = drawn(LIST, [ROW, ROW], 80).split()
    assert words.count(CALL) == words.count("2026-11-27") == words.count("22:38:19") == words.count("succeeded") == 2


def test_control_left_to_the_library_they_are_broken(monkeypatch):
    monkeypatch.setattr(output._Rows, "_widths", lambda *_: ())
    assert "2026-11-27" not in drawn(LIST, [ROW, ROW], 80).split()


@pytest.mark.parametrize("width", [1, 10, 30, 60, 79, 80, 81, 120, 500])
@pytest.mark.parametrize("row", [ROW, ("",) * 6, ("界" * 40,) * 6, ("a b\nc" * 30,) * 6, ("x" * 300, *("y" * 200,) * 5)])
def test_nothing_is_ever_wider_than_the_terminal(row, width):
    drawn(LIST, [row, row], width)
    drawn(("bundle", "", ""), [row[:3]], width)
    drawn(LIST, [], width)


def test_a_key_is_never_broken(capsys):
    key = f"remit/{'d0' * 8}+6fea5de0+{'A' * 43}="
    show(f"Whoever checks it: remit audit verify {'folder/' * 12} --key {key}", "Words may be. " * 20)
    first, *rest = capsys.readouterr().out.splitlines()
    assert key in first and len(rest) > 1
