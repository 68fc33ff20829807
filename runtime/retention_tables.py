"""The table of what was pruned. A part of `tables`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel


class PrunedRow(SQLModel, table=True):
    """From which place on a tenant's leaves must be there: what lies below may be deleted, by whoever prunes, and nothing else.

    `event` is the id of the one that says so, `former` the mark of before, which stands until that has its place; `blocks` are the
    roots of all that was pruned, 256 leaves each.
    """

    __tablename__ = "pruned"
    tenant: str = Field(primary_key=True)
    below: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: int = Field(sa_column=Column(BigInteger, nullable=False))
    event: str | None = None
    former: int = Field(sa_column=Column(BigInteger, nullable=False, server_default="0"))
    blocks: bytes | None = None
