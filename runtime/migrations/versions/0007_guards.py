"""Refuse, in the database itself, to change or delete what was recorded: leaves, checkpoints, bundles.

An event may be changed once, when the sequencer gives it its place; a checkpoint and a bundle never. Nothing of them is deleted, with
one exception, which retention needs: an event whose place lies below `pruned.below` of its tenant. Whoever prunes writes that row in
the transaction that deletes, and may do so only as a role that has rights on `pruned` (docs/postgresql-roles.sql gives the application
none); the row stays, and says from where on leaves must be there. A marker row, not a session's setting: SQLite has none, and on
PostgreSQL every role could set it.

These guards stop mistakes and whoever has the application's rights. The owner of the tables can drop them: what is done then, the
verifier finds (docs/tampering.md).
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COLUMNS = ("position", "tenant", "id", "call", "sequence", "kind", "at", "leaf", "hash")
"""What of an event never changes."""

_SAME = " AND ".join(f"OLD.{name} IS NEW.{name}" for name in COLUMNS)
_REFUSED = "SELECT RAISE(ABORT, 'what was recorded is never changed or deleted')"
_TAKEN = "SELECT RAISE(ABORT, 'there is an event of this position, id or place')"
_SQLITE = f"""
CREATE TRIGGER event_unchanged BEFORE UPDATE ON event
WHEN NOT (OLD.leaf_index IS NULL AND typeof(NEW.leaf_index) = 'integer' AND {_SAME})
    OR EXISTS (SELECT 1 FROM event WHERE tenant = NEW.tenant AND leaf_index = NEW.leaf_index)
BEGIN {_REFUSED}; END;
CREATE TRIGGER event_undeleted BEFORE DELETE ON event
WHEN NOT EXISTS (SELECT 1 FROM pruned WHERE tenant = OLD.tenant AND OLD.leaf_index < below)
BEGIN {_REFUSED}; END;
CREATE TRIGGER event_unreplaced BEFORE INSERT ON event
WHEN (NEW.position <> -1 AND EXISTS (SELECT 1 FROM event WHERE position = NEW.position))
    OR (NEW.leaf_index IS NOT NULL AND EXISTS (SELECT 1 FROM event WHERE tenant = NEW.tenant AND leaf_index = NEW.leaf_index))
    OR EXISTS (SELECT 1 FROM event WHERE id = NEW.id)
BEGIN {_TAKEN}; END;
CREATE TRIGGER checkpoint_unchanged BEFORE UPDATE ON checkpoint BEGIN {_REFUSED}; END;
CREATE TRIGGER checkpoint_undeleted BEFORE DELETE ON checkpoint BEGIN {_REFUSED}; END;
CREATE TRIGGER checkpoint_unreplaced BEFORE INSERT ON checkpoint
WHEN EXISTS (SELECT 1 FROM checkpoint WHERE tenant = NEW.tenant AND size = NEW.size) BEGIN {_REFUSED}; END;
CREATE TRIGGER bundle_unchanged BEFORE UPDATE ON bundle BEGIN {_REFUSED}; END;
CREATE TRIGGER bundle_undeleted BEFORE DELETE ON bundle BEGIN {_REFUSED}; END;
CREATE TRIGGER bundle_unreplaced BEFORE INSERT ON bundle
WHEN EXISTS (SELECT 1 FROM bundle WHERE tenant = NEW.tenant AND digest = NEW.digest) BEGIN SELECT RAISE(IGNORE); END;
"""  # noqa: S608 - names from this file
"""On SQLite INSERT OR REPLACE deletes without asking the triggers of a deletion: so those of an insertion look, too. Before one,
a position that was not given is -1: what costs every event is one look by its id."""

_ROW = "({0}.position, {0}.tenant, {0}.id, {0}.call, {0}.sequence, {0}.kind, {0}.at, {0}.leaf, {0}.hash)"
_POSTGRES = f"""
CREATE FUNCTION remit_recorded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was recorded is never changed or deleted (%)', TG_TABLE_NAME USING ERRCODE = '23514';
END $$;
CREATE FUNCTION remit_event_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE pruned boolean;
BEGIN
    -- With its schema: whoever makes a temporary table of that name must not be heard.
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I.pruned WHERE tenant = $1 AND $2 < below)', TG_TABLE_SCHEMA)
        INTO pruned USING OLD.tenant, OLD.leaf_index;
    IF NOT pruned THEN
        RAISE EXCEPTION 'what was recorded is never changed or deleted (%)', TG_TABLE_NAME USING ERRCODE = '23514';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER event_unchanged BEFORE UPDATE ON event FOR EACH ROW
    WHEN (NOT (OLD.leaf_index IS NULL AND NEW.leaf_index IS NOT NULL AND {_ROW.format("OLD")} IS NOT DISTINCT FROM {_ROW.format("NEW")}))
    EXECUTE FUNCTION remit_recorded();
CREATE TRIGGER event_undeleted BEFORE DELETE ON event FOR EACH ROW EXECUTE FUNCTION remit_event_deleted();
CREATE TRIGGER event_untruncated BEFORE TRUNCATE ON event FOR EACH STATEMENT EXECUTE FUNCTION remit_recorded();
ALTER TABLE event ENABLE ALWAYS TRIGGER event_unchanged, ENABLE ALWAYS TRIGGER event_undeleted, ENABLE ALWAYS TRIGGER event_untruncated;
"""  # noqa: S608 - names from this file
_POSTGRES_KEPT = """
CREATE TRIGGER {0}_unchanged BEFORE UPDATE OR DELETE ON {0} FOR EACH ROW EXECUTE FUNCTION remit_recorded();
CREATE TRIGGER {0}_untruncated BEFORE TRUNCATE ON {0} FOR EACH STATEMENT EXECUTE FUNCTION remit_recorded();
ALTER TABLE {0} ENABLE ALWAYS TRIGGER {0}_unchanged, ENABLE ALWAYS TRIGGER {0}_untruncated;
"""
"""Always: else whoever may set `session_replication_role` passes them."""


def upgrade() -> None:
    """Bring a database to revision 0007."""
    op.create_table(
        "pruned",
        sa.Column("tenant", sa.String(), primary_key=True),
        sa.Column("below", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    cursor = op.get_bind().connection.cursor()
    if op.get_bind().dialect.name == "postgresql":
        for script in (_POSTGRES, *(_POSTGRES_KEPT.format(table) for table in ("checkpoint", "bundle"))):
            cursor.execute(script)
    else:
        for trigger in _SQLITE.split("\nCREATE ")[1:]:  # one by one: `executescript` would commit
            cursor.execute(f"CREATE {trigger}")
    cursor.close()
