"""The page on PostgreSQL, step by step: its roles, its grants, its app, and its commands."""

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.postgres import database, server

PAGE = (Path(__file__).parents[2] / "docs" / "postgresql.md").read_text()
BLOCKS = dict(re.findall(r"<!-- test: (\S+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))
pytestmark = pytest.mark.on_files("it makes its database itself")


def as_role(url, role):
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))


class Desk:
    """The desk of the page in a folder, its two roles, and what is run in it."""

    def __init__(self, folder, url, names):
        self.folder, self.url, self.names = folder, url, names

    def sql(self, text, role=None):
        url = as_role(self.url, self.names[role]) if role else self.url
        with psycopg.connect(url, autocommit=True) as connection:
            return connection.execute(re.sub("|".join(self.names), lambda found: self.names[found[0]], text))

    def remit(self, *words, role="remit_app"):
        assert words[:2] in {("call", "look_up_order"), ("audit", "verify")} or f"remit {' '.join(words)}" in PAGE
        environment = {**os.environ, "DATABASE_URL": as_role(self.url, self.names[role]), "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-m", "remit", *words], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def desk(tmp_path):
    subprocess.run([sys.executable, "-m", "remit", "init"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "app.py").write_text(BLOCKS["app.py"])
    names = {name: f"{name}_{secrets.token_hex(4)}" for name in ("remit_owner", "remit_app")}
    with database() as url:
        desk = Desk(tmp_path, url, names)
        *roles, made = BLOCKS["roles.sql"].strip().splitlines()
        desk.sql("".join(roles))
        assert made == "CREATE DATABASE remit OWNER remit_owner;"
        desk.sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO remit_owner', current_database()); END $$")
        yield desk
    with psycopg.connect(server(), autocommit=True) as connection:
        for role in names.values():
            connection.execute(f"DROP ROLE {role}")


ASKS = ("call", "look_up_order", "--arg=order_id=A-1001", "--as-subject=ada")


def test_its_steps_make_a_desk_that_works_with_rights_to_rows_alone(desk):
    desk.sql(BLOCKS["grants.sql"], "remit_owner")
    assert desk.remit("keys", "init")[0] == 0
    code, said = desk.remit("db", "upgrade")
    assert code == 2 and "may not bring it to revision" in said and "remit db upgrade" in said
    assert desk.remit("db", "upgrade", role="remit_owner")[0] == 0
    assert desk.remit(*ASKS)[0] == 0
    assert desk.remit("audit", "verify")[0] == 0
    _, said = desk.remit("doctor")
    assert "this role may do all that a process does" in said
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        desk.sql("ALTER TABLE call ADD COLUMN mine text", "remit_app")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        desk.sql("TRUNCATE event", "remit_app")


def test_without_its_grants_what_is_missing_is_said_one_by_one(desk):
    assert desk.remit("keys", "init")[0] == 0
    assert desk.remit("db", "upgrade", role="remit_owner")[0] == 0
    code, said = desk.remit(*ASKS)
    assert code == 2 and "permission denied for table store_meta" in said and "docs/postgresql.md" in said
    desk.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO remit_app", "remit_owner")
    code, said = desk.remit(*ASKS)
    assert code == 2 and "INSERT on call" in said and "INSERT on event" in said and "DELETE on event" not in said
    code, said = desk.remit("doctor")
    assert code == 1 and "INSERT on call" in said
    desk.sql("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO remit_app", "remit_owner")
    code, said = desk.remit(*ASKS)
    assert code == 2 and "USAGE on" in said and "event_position_seq" in said


def test_it_needs_keys_before_a_database(desk):
    code, said = desk.remit("db", "upgrade", role="remit_owner")
    assert code == 2 and "remit keys init" in said
    assert desk.remit("keys", "init")[0] == 0
    assert desk.remit("db", "upgrade", role="remit_owner")[0] == 0
    (desk.folder / "remit.keys").unlink()
    code, said = desk.remit("keys", "init", role="remit_owner")
    assert code == 2 and "restore" in said
