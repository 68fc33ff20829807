"""What is read of a database that nobody opens for work."""

import json
import sqlite3

import pytest

from remit.errors import StoreError
from remit.runtime.migrating import upgrade
from remit.runtime.stored import bundle_sources, roles_held


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "remit.db"
    upgrade(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        for digest in ("aa11", "aa22", "bb33"):
            row = ("t", digest, json.dumps({"a.yaml": digest}), "mona", 0)
            connection.execute("INSERT INTO bundle (tenant, digest, sources, author, created_at) VALUES (?, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO tenant_control (tenant, epoch, bundle, shadow) VALUES ('t', 3, 'aa22', 'bb33')")
        for person, roles, active in (("eve", "finance lead", 1), ("bo", "boss", 0)):
            row = ("t", person, "", "", roles, active)
            connection.execute("INSERT INTO person (tenant, id, name, email, roles, active) VALUES (?, ?, ?, ?, ?, ?)", row)
    connection.close()
    return path


@pytest.mark.parametrize(("named", "digest"), [("active", "aa22"), ("shadow", "bb33"), ("aa1", "aa11"), ("bb33", "bb33")])
def test_a_bundle_is_found_by_what_it_is_or_how_its_digest_begins(database, named, digest):
    before = database.read_bytes()
    assert bundle_sources(database, "t", named) == {"a.yaml": digest}
    assert database.read_bytes() == before


@pytest.mark.parametrize(("named", "says"), [("aa", "2 bundles begin so"), ("cc", "no such bundle"), ("%", "no such bundle")])
def test_what_names_no_single_bundle_is_refused(database, named, says):
    with pytest.raises(StoreError, match=says):
        bundle_sources(database, "t", named)


def test_another_tenants_are_not_found(database):
    for named in ("active", "aa11"):
        with pytest.raises(StoreError, match="no such bundle"):
            bundle_sources(database, "other", named)
    assert roles_held(database, "other") == frozenset()


def test_only_who_is_active_has_roles(database):
    assert roles_held(database, "t") == {"finance", "lead"}


def test_nothing_is_made_where_there_is_nothing(tmp_path):
    assert roles_held(tmp_path / "remit.db", "t") is None
    with pytest.raises(StoreError, match="no database here"):
        bundle_sources(tmp_path / "remit.db", "t", "active")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_database_is_refused(tmp_path):
    (tmp_path / "remit.db").write_text("not a database, but long enough to be looked at" * 10)
    with pytest.raises(StoreError, match=r"remit\.db"):
        roles_held(tmp_path / "remit.db", "t")
