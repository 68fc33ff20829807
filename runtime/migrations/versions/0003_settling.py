"""Add what cooling off, dead letters and undoing keep."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_DEAD = sa.text("dead_at IS NOT NULL")
_UNDOING = sa.text("undoes IS NOT NULL AND state NOT IN ('rejected', 'denied', 'failed', 'declined', 'expired', 'cancelled')")


def upgrade() -> None:
    """Bring a database of revision 0002 to 0003."""
    for column in (
        sa.Column("met_at", sa.BigInteger(), nullable=True),
        sa.Column("delayed_until", sa.BigInteger(), nullable=True),
        sa.Column("looks", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("dead_at", sa.BigInteger(), nullable=True),
        sa.Column("undoes", sa.String(), nullable=True),
        sa.Column("taken_back", sa.String(), nullable=True),
    ):
        op.add_column("call", column)
    op.create_index("call_dead", "call", ["tenant", "dead_at"], sqlite_where=_DEAD, postgresql_where=_DEAD)
    op.create_index("call_undoes", "call", ["tenant", "undoes"], unique=True, sqlite_where=_UNDOING, postgresql_where=_UNDOING)
    # Nothing would wake those of unknown outcome that nothing can look up: they are looked at once more, and said to be dead.
    op.execute("UPDATE call SET wake_at = updated_at WHERE state = 'unknown' AND wake_at IS NULL")
