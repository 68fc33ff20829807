"""Refuse, in the database itself, to change or delete a reading: the access log is written once, and never pruned.

`term` has no guards: it is derived from what is clear in leaves, and can be filled anew (docs/tampering.md).
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_REFUSED = "BEGIN SELECT RAISE(ABORT, 'what was recorded is never changed or deleted'); END"
_TAKEN = "EXISTS (SELECT 1 FROM access WHERE tenant = NEW.tenant AND id = NEW.id)"
_SQLITE = (
    f"CREATE TRIGGER access_unchanged BEFORE UPDATE ON access {_REFUSED}",
    f"CREATE TRIGGER access_undeleted BEFORE DELETE ON access {_REFUSED}",
    f"CREATE TRIGGER access_unreplaced BEFORE INSERT ON access WHEN {_TAKEN} {_REFUSED}",
)
_POSTGRES = (
    "CREATE TRIGGER access_unchanged BEFORE UPDATE OR DELETE ON access FOR EACH ROW EXECUTE FUNCTION remit_recorded()",
    "CREATE TRIGGER access_untruncated BEFORE TRUNCATE ON access FOR EACH STATEMENT EXECUTE FUNCTION remit_recorded()",
    "ALTER TABLE access ENABLE ALWAYS TRIGGER access_unchanged, ENABLE ALWAYS TRIGGER access_untruncated",
)


def upgrade() -> None:
    """Bring a database to revision 0009."""
    cursor = op.get_bind().connection.cursor()
    for statement in _POSTGRES if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        cursor.execute(statement)
    cursor.close()
