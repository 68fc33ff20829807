"""The wire form of a few actions, word for word, as reviewed; `python -m tests.dialects.test_golden` writes it anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remit.actions.dialects import DIALECTS, dialect
from tests.dialects.offered import book_slots, look_up_payment, refund_payment

GOLDEN = Path(__file__).with_name("golden")
ACTIONS = [refund_payment, look_up_payment, book_slots]


def written(name: str) -> str:
    return json.dumps(dialect(name).tools(ACTIONS), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", DIALECTS)
def test_tools_go_out_in_the_providers_wire_form(name: str) -> None:
    assert written(name) == (GOLDEN / f"{name}.json").read_text()


@pytest.mark.parametrize("name", DIALECTS)
def test_no_mark_of_ours_and_no_list_of_types_leaves(name: str) -> None:
    assert "x-remit" not in written(name)
    assert '"type": [' not in written(name)


if __name__ == "__main__":
    for each in DIALECTS:
        (GOLDEN / f"{each}.json").write_text(written(each))
