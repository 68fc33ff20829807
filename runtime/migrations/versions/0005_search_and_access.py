"""Add what the log is searched by, filled from what is there, and the log of who looked at it."""

from collections.abc import Iterator
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

from remit.runtime import terms

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TOGETHER = 2_000
_EVENTS = sa.text(
    "SELECT e.position, e.tenant, e.id, e.call, e.sequence, e.kind, e.at, e.leaf, c.created_at FROM event e "
    "LEFT JOIN call c ON c.tenant = e.tenant AND c.id = e.call WHERE e.position > :after ORDER BY e.position LIMIT :most"
)
_TERM = sa.text(
    "INSERT INTO term (tenant, what, term, at, about, number) VALUES (:tenant, :what, :term, :at, :about, :number) ON CONFLICT DO NOTHING"
)


def upgrade() -> None:
    """Bring a database of revision 0004 to 0005."""
    text, big = sa.String, sa.BigInteger
    keys = {"tenant": text, "what": text, "term": text, "at": big, "about": text, "number": big}
    op.create_table("term", *_columns(keys), sa.PrimaryKeyConstraint(*keys), sqlite_with_rowid=False)
    read = {"tenant": text, "id": text, "at": big, "kind": text, "who": text, "call": text, "sought": text, "found": big, "purpose": text}
    op.create_table("access", *_columns(read), sa.PrimaryKeyConstraint("tenant", "id"))
    _fill(op.get_bind())


def _columns(kinds: dict[str, Any]) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind(), nullable=False) for name, kind in kinds.items()]


def _fill(connection: sa.Connection) -> None:
    after = -1
    while rows := connection.execute(_EVENTS, {"after": after, "most": TOGETHER}).all():
        after = rows[-1].position
        found = {tuple(one.values()): one for row in rows for one in _terms(row)}
        if found:
            connection.execute(_TERM, list(found.values()))


def _terms(row: Any) -> Iterator[dict[str, Any]]:
    if row.call is None and row.kind in terms.COUNTED:
        return
    try:
        told = list(_of(row, orjson.loads(row.leaf)))
    except (KeyError, TypeError, ValueError, AttributeError):  # a leaf that was changed: the verifier says so
        return
    at, about = (row.at, row.id) if row.call is None else (row.at if row.created_at is None else row.created_at, row.call)
    for what, text, number in told:
        yield {"tenant": row.tenant, "what": what, "term": text, "at": at, "about": about, "number": number}


def _of(row: Any, leaf: dict[str, Any]) -> terms.Terms:
    principal = (leaf.get("principal") or {}).get("id", "")
    if row.call is None:
        yield from terms.alone(row.kind, leaf["body"], principal)
        return
    if row.sequence == 1:
        yield from terms.of_call(leaf["action"]["name"], principal)
    yield from terms.of_event(row.kind, leaf["body"])
