"""The tables of erasures and of legal holds."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel


class ErasureRow(SQLModel, table=True):
    """A person who was erased, by pseudonym; complete once the tenant key of `epoch`, which backups' rows are wrapped by, is destroyed."""

    __tablename__ = "erasure"
    tenant: str = Field(primary_key=True)
    pseudonym: str = Field(primary_key=True)
    epoch: int
    at: int = Field(sa_column=Column(BigInteger, nullable=False))
    completed_at: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))


class HoldRow(SQLModel, table=True):
    """A legal hold that stands: `kind` is subject (`target` is the pseudonym), call (its id) or time (calls received from `since_at` until `until_at`)."""

    __tablename__ = "hold"
    tenant: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    kind: str
    target: str
    since_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    until_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    reason: str
    author: str
    at: int = Field(sa_column=Column(BigInteger, nullable=False))
