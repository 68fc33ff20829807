"""The tables that reading the log needs: what it is searched by, and who has read it. A part of `tables`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel


class TermRow(SQLModel, table=True):
    """What a call, or an event outside every call (`about`), is found by; see `terms`. `number` is an amount in minor units, else 0."""

    __tablename__ = "term"
    __table_args__ = {"sqlite_with_rowid": False}
    tenant: str = Field(primary_key=True)
    what: str = Field(primary_key=True)
    term: str = Field(primary_key=True)
    at: int = Field(sa_column=Column(BigInteger, primary_key=True))
    about: str = Field(primary_key=True)
    number: int = Field(sa_column=Column(BigInteger, primary_key=True))


class AccessRow(SQLModel, table=True):
    """One reading of the log: by whom, what was looked for (JSON; customers by pseudonym), how much was found, and for what purpose."""

    __tablename__ = "access"
    tenant: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    at: int = Field(sa_column=Column(BigInteger, nullable=False))
    kind: str
    who: str
    call: str
    sought: str
    found: int = Field(sa_column=Column(BigInteger, nullable=False))
    purpose: str
