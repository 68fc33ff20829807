"""`docs/erasure.md` says of every column whether it stays or goes."""

import re
from pathlib import Path

from remit.runtime.tables import METADATA

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "erasure.md").read_text()
EVENTS = {"subject.id", "subject.erased", "erasure.completed"}
"""Names of other things."""
NAMED = set(re.findall(r"`(\w+\.(?:\w+|\*))`", PAGE))


def missing(named):
    columns = {(table.name, column.name) for table in METADATA.tables.values() for column in table.columns}
    return sorted(f"{table}.{column}" for table, column in columns if not {f"{table}.{column}", f"{table}.*"} & named)


def test_every_column_is_there():
    assert missing(NAMED) == []


def test_control_a_column_that_is_not_named_is_missed():
    assert missing(NAMED - {"call.sealed"}) == ["call.sealed"]


def test_nothing_else_is_called_a_column():
    tables = METADATA.tables
    columns = {f"{name}.{column}" for name, table in tables.items() for column in (*table.columns.keys(), "*")}
    assert {one for one in NAMED if one.partition(".")[0] in tables} - columns - EVENTS == set()
