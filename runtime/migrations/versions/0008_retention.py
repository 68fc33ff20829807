"""Keep, of what is pruned, by which event that is recorded, and the roots of its blocks, from which the rest of the log is still proved."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring a database of revision 0007 to 0008."""
    op.add_column("pruned", sa.Column("event", sa.String(), nullable=True))
    op.add_column("pruned", sa.Column("former", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("pruned", sa.Column("blocks", sa.LargeBinary(), nullable=True))
