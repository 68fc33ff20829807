"""A database, a file or served, and what brings it further than this code knows: one migration more."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import psycopg

from remit.audit import KeyFile
from remit.runtime import migrating, opening
from remit.runtime.migrating import LATEST, is_postgres, migration_config
from tests.runtime.bank import ALLOW, NOTES, Payment, World

ADDS = "op.add_column('call', sa.Column('later', sa.String(), nullable=True))"
TURNED = (sqlite3.Error, psycopg.Error)


def one_more(folder, monkeypatch, *does):
    """Let `upgrade` know one migration more, which does this; a copy of all of them goes into the folder."""
    folder /= "migrations"
    shutil.copytree(Path(migrating.__file__).parent / "migrations", folder)
    text = f"import sqlalchemy as sa\nfrom alembic import op\nrevision = '9999'\ndown_revision = '{LATEST}'\n\ndef upgrade():\n"
    (folder / "versions" / "9999_later.py").write_text(text + "".join(f"    {line}\n" for line in does))
    config = migration_config()
    config.set_main_option("script_location", str(folder))
    monkeypatch.setattr(migrating, "migration_config", lambda: config)


def served(folder, url):
    """Give a world whose database is at this address of a server, and as it is."""
    (folder / "server").write_text(url)
    (folder / "policies").mkdir()
    KeyFile.create(folder / "remit.keys")
    world = World(folder)
    world.policies(payments=ALLOW, notes=NOTES)
    world.bank.payments = {f"pay_{number}": Payment(customer="kay") for number in range(1, 60)}
    return world


def address(place):
    """Give what `upgrade` takes."""
    return place if is_postgres(place) else f"sqlite:///{place}"


@contextlib.contextmanager
def _connected(place):
    if is_postgres(place):
        with psycopg.connect(place) as connection:
            yield connection
        return
    with contextlib.closing(sqlite3.connect(place)) as connection:
        yield connection
        connection.commit()


def rows(place, sql):
    with _connected(place) as connection:
        return connection.execute(sql).fetchall()


def write(place, sql):
    with _connected(place) as connection:
        connection.execute(sql)


def standing(place):
    """Say at which revision a database is, and whether its calls have what the newer one adds."""
    try:
        rows(place, "SELECT later FROM call LIMIT 0")
    except TURNED:
        return rows(place, opening.REVISION)[0][0], False
    return rows(place, opening.REVISION)[0][0], True
