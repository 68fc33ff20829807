"""The tables, the migrations and the values are one thing said three times; and what is slow to import is imported late."""

import subprocess
import sys
from dataclasses import fields

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from remit.runtime import tables
from remit.runtime.call import Call
from remit.runtime.migrating import LATEST, migration_config
from remit.runtime.store import Requirement
from tests.runtime.bank import _template


def differences(sql: str = "") -> list:
    engine = create_engine(f"sqlite:///{_template()}")
    with engine.connect() as connection:
        if sql:
            connection.execute(text(sql))
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), tables.METADATA)
        connection.rollback()
    engine.dispose()
    return found


def test_the_head_of_the_migrations_is_the_latest():
    assert ScriptDirectory.from_config(migration_config()).get_heads() == [LATEST]


def test_the_migrations_make_the_tables():
    assert differences() == []


def test_control_a_column_more_is_a_difference():
    assert differences("ALTER TABLE call ADD COLUMN extra TEXT") != []


def test_a_call_is_its_row():
    assert [field.name for field in fields(Call)] == list(tables.CallRow.__table__.columns.keys())


def test_a_requirement_is_its_row():
    assert [field.name for field in fields(Requirement)] == list(tables.RequirementRow.__table__.columns.keys())


def test_the_tenant_leads_every_key():
    keys = {name: [column.name for column in table.primary_key] for name, table in tables.METADATA.tables.items()}
    assert {name for name, columns in keys.items() if columns[0] != "tenant"} == {"store_meta", "event"}


PROBE = "import sys; import {what}; print(*(name for name in {names!r} if name in sys.modules))"


def imported(what: str, *names: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", PROBE.format(what=what, names=names)], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_facade_and_the_log_bring_in_no_runtime():
    others = ("remit.runtime", "remit.policies", "remit.actions", "cel_expr_python", "sqlalchemy")
    assert imported("remit, remit.audit", *others) == set()


def test_a_runtime_brings_in_nothing_that_only_migrations_or_connectors_need():
    assert imported("remit.runtime", "alembic", "sqlalchemy", "sqlmodel", "stripe", "fastapi", "typer") == set()


def test_control_the_probe_sees_what_is_imported():
    assert imported("remit.runtime", "remit.policies", "remit.audit") == {"remit.policies", "remit.audit"}
