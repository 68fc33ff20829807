"""Add what requirements, limits and switches keep."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BIG, _TEXT, _BLOB = sa.BigInteger, sa.String, sa.LargeBinary


def upgrade() -> None:
    """Bring a database of revision 0001 to 0002."""
    _control()
    _requirements()
    _votes()
    _step_up()
    _limits()
    _call_indexes()


def _table(name: str, keys: dict[str, Any], columns: dict[str, Any], **options: Any) -> None:
    made = [sa.Column(column, kind(), nullable=False) for column, kind in {**keys, **columns}.items()]
    op.create_table(name, *made, sa.PrimaryKeyConstraint(*keys), **options)


def _control() -> None:
    op.add_column("tenant_control", sa.Column("shadow", sa.String(), nullable=False, server_default=""))
    _table("switch", {"tenant": _TEXT, "kind": _TEXT, "target": _TEXT}, {"reason": _TEXT, "author": _TEXT, "at": _BIG})


def _requirements() -> None:
    for column in (
        sa.Column("assurance", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("covers", sa.BigInteger(), nullable=True),
        sa.Column("escalate_at", sa.BigInteger(), nullable=True),
        sa.Column("escalate_to", sa.String(), nullable=False, server_default=""),
        sa.Column("escalated", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("shown", sa.String(), nullable=False, server_default=""),
    ):
        op.add_column("requirement", column)


def _votes() -> None:
    op.add_column("vote", sa.Column("call", sa.String(), nullable=False, server_default=""))
    op.add_column("vote", sa.Column("roles", sa.String(), nullable=False, server_default=""))
    op.add_column("vote", sa.Column("who", sa.LargeBinary(), nullable=True))
    op.add_column("vote", sa.Column("void", sa.Integer(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE vote SET roles = role, call = (SELECT r.call FROM requirement r WHERE r.tenant = vote.tenant AND r.id = vote.requirement)"
    )
    # Until now one person could answer several approvals of a call; from now on the first answer is the one that counts.
    op.execute(
        "DELETE FROM vote WHERE EXISTS (SELECT 1 FROM vote v WHERE v.tenant = vote.tenant AND v.call = vote.call AND v.digest = vote.digest "
        "AND v.person = vote.person AND (v.at < vote.at OR (v.at = vote.at AND v.requirement < vote.requirement)))"
    )
    counts = sa.text("void = 0")
    op.create_index("vote_once", "vote", ["tenant", "call", "digest", "person"], unique=True, sqlite_where=counts, postgresql_where=counts)
    _table("excluded", {"tenant": _TEXT, "call": _TEXT, "who": _BLOB}, {})
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER vote_excluded BEFORE INSERT ON vote WHEN "
            "EXISTS (SELECT 1 FROM excluded e WHERE e.tenant = NEW.tenant AND e.call = NEW.call AND e.who = NEW.who) OR "
            "EXISTS (SELECT 1 FROM call c WHERE c.tenant = NEW.tenant AND c.id = NEW.call AND (c.principal = NEW.person OR "
            "EXISTS (SELECT 1 FROM agent a WHERE a.tenant = c.tenant AND a.id = c.principal AND a.owner = NEW.person))) "
            "BEGIN SELECT RAISE(ABORT, 'whoever asked, answers for who asked, amended it, or is served by it can not vote'); END"
        )


def _step_up() -> None:
    _table(
        "code",
        {"tenant": _TEXT, "requirement": _TEXT},
        {"sent": sa.Integer, "hash": _BLOB, "tries": sa.Integer, "sent_at": _BIG, "expires_at": _BIG, "used": sa.Integer},
    )
    _table(
        "raised",
        {"tenant": _TEXT, "subject": _TEXT, "conversation": _TEXT},
        {"assurance": sa.Integer, "verified_at": _BIG, "until_at": _BIG},
    )


def _limits() -> None:
    series = {"tenant": _TEXT, "series": _TEXT, "key": _BLOB}
    _table("series", series, {"width": _BIG, "number": _BIG, "at": _BIG})
    _table("usage", {**series, "slice": _BIG, "member": _BLOB}, {"amount": _BIG}, sqlite_with_rowid=False)
    _table(
        "reservation",
        {"tenant": _TEXT, "call": _TEXT, "series": _TEXT},
        {"key": _BLOB, "member": _BLOB, "amount": _BIG, "at": _BIG, "released": sa.Integer},
    )
    op.create_index("reservation_series", "reservation", ["tenant", "series", "key", "at"])


def _call_indexes() -> None:
    op.create_index("call_subject", "call", ["tenant", "subject", "created_at"])
    for name, column, where in (
        ("call_conversation", "conversation", "conversation <> ''"),
        ("call_declined", "fingerprint", "state = 'declined'"),
    ):
        op.create_index(name, "call", ["tenant", column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))
