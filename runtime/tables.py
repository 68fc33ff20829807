"""The tables, declared once; `migrations/` brings a database to them.

`tenant` leads every key. Times are microseconds since 1970 (UTC); `bytes` that hold personal values are sealed under the
subject's key; keys that callers and customers gave are HMACs under the lookup key.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, text
from sqlmodel import Field, SQLModel

METADATA = SQLModel.metadata
POSITION = BigInteger().with_variant(Integer, "sqlite")


def _big(*, nullable: bool = False) -> Column[int]:
    return Column(BigInteger, nullable=nullable)


class StoreMeta(SQLModel, table=True):
    """What the database says of itself: format, key fingerprints, log id."""

    __tablename__ = "store_meta"
    key: str = Field(primary_key=True)
    value: str


class TenantControl(SQLModel, table=True):
    """The active policy bundle, and the epoch that every intent is checked against."""

    __tablename__ = "tenant_control"
    tenant: str = Field(primary_key=True)
    epoch: int = Field(sa_column=_big())
    bundle: str


class Bundle(SQLModel, table=True):
    """A policy bundle by digest, sources included."""

    __tablename__ = "bundle"
    tenant: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    sources: str
    author: str
    created_at: int = Field(sa_column=_big())


class SubjectRow(SQLModel, table=True):
    """A person's random pseudonym and wrapped key."""

    __tablename__ = "subject"
    tenant: str = Field(primary_key=True)
    lookup: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    pseudonym: str = Field(unique=True)
    wrapped_key: bytes


class CallRow(SQLModel, table=True):
    """A call: the columns are the fields of `call.Call`."""

    __tablename__ = "call"
    __table_args__ = (
        Index(
            "call_idempotency",
            "tenant",
            "idempotency",
            unique=True,
            sqlite_where=text("idempotency IS NOT NULL"),
            postgresql_where=text("idempotency IS NOT NULL"),
        ),
        Index("call_wake", "tenant", "wake_at", sqlite_where=text("wake_at IS NOT NULL"), postgresql_where=text("wake_at IS NOT NULL")),
    )
    tenant: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int = Field(sa_column=_big())
    state: str
    action: str
    action_version: str
    schema_digest: str
    kind: str
    principal: str
    principal_kind: str
    subject: str
    conversation: str
    channel: str
    model: str
    assurance: int
    idempotency: bytes | None
    fingerprint: bytes | None
    digest: str
    effect_key: bytes | None
    ordinal: int
    sealed: bytes
    created_at: int = Field(sa_column=_big())
    updated_at: int = Field(sa_column=_big())
    attempt: int
    sequence: int
    last_leaf: bytes | None
    deadline_at: int | None = Field(sa_column=_big(nullable=True))
    lease_until: int | None = Field(sa_column=_big(nullable=True))
    settle_at: int | None = Field(sa_column=_big(nullable=True))
    first_sent_at: int | None = Field(sa_column=_big(nullable=True))
    unsure: int
    wake_at: int | None = Field(sa_column=_big(nullable=True))
    cancel_asked: int
    code: str | None
    result: bytes | None
    reference: str | None
    provider_status: str | None


class EffectRow(SQLModel, table=True):
    """Who holds an effect key; a row goes when its call ends without effect."""

    __tablename__ = "effect"
    tenant: str = Field(primary_key=True)
    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    ordinal: int = Field(primary_key=True)
    call: str
    fingerprint: bytes
    subject: str


class RequirementRow(SQLModel, table=True):
    """What a waiting call waits for: an approval by staff, or a confirmation by the customer."""

    __tablename__ = "requirement"
    __table_args__ = (Index("requirement_call", "tenant", "call"), Index("requirement_state", "tenant", "state"))
    tenant: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    call: str
    kind: str
    rule: str
    role: str
    votes: int
    digest: str
    state: str
    reason: str
    created_at: int = Field(sa_column=_big())
    deadline_at: int = Field(sa_column=_big())


class VoteRow(SQLModel, table=True):
    """One person's answer; each person counts once for a requirement."""

    __tablename__ = "vote"
    tenant: str = Field(primary_key=True)
    requirement: str = Field(primary_key=True)
    person: str = Field(primary_key=True)
    answer: str
    role: str
    digest: str
    at: int = Field(sa_column=_big())


class EventRow(SQLModel, table=True):
    """One audit event, as written; the sequencer gives it its place in the tree."""

    __tablename__ = "event"
    __table_args__ = (
        Index("event_call", "tenant", "call", "sequence"),
        Index(
            "event_place",
            "tenant",
            "leaf_index",
            unique=True,
            sqlite_where=text("leaf_index IS NOT NULL"),
            postgresql_where=text("leaf_index IS NOT NULL"),
        ),
        Index("event_unplaced", "tenant", "position", sqlite_where=text("leaf_index IS NULL"), postgresql_where=text("leaf_index IS NULL")),
    )
    position: int | None = Field(default=None, sa_column=Column(POSITION, primary_key=True, autoincrement=True))
    tenant: str
    id: str = Field(unique=True)
    call: str | None
    sequence: int
    kind: str
    at: int = Field(sa_column=_big())
    leaf: bytes
    hash: bytes
    leaf_index: int | None = Field(sa_column=_big(nullable=True))


class OpeningRow(SQLModel, table=True):
    """The sealed salts and values of one event's commitments."""

    __tablename__ = "opening"
    tenant: str = Field(primary_key=True)
    event: str = Field(primary_key=True)
    subject: str
    blob: bytes


class LogHead(SQLModel, table=True):
    """The right edge of the tree, so that a restart is O(log n); `version` fences the sequencer."""

    __tablename__ = "log_head"
    tenant: str = Field(primary_key=True)
    version: int = Field(sa_column=_big())
    size: int = Field(sa_column=_big())
    edge: bytes


class CheckpointRow(SQLModel, table=True):
    """A signed tree head."""

    __tablename__ = "checkpoint"
    tenant: str = Field(primary_key=True)
    size: int = Field(sa_column=Column(BigInteger, primary_key=True))
    note: str
    at: int = Field(sa_column=_big())


class PersonRow(SQLModel, table=True):
    """A member of staff."""

    __tablename__ = "person"
    tenant: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    name: str
    email: str
    roles: str
    active: int


class AgentRow(SQLModel, table=True):
    """An agent and the person who answers for it."""

    __tablename__ = "agent"
    tenant: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    owner: str


class ApiKeyRow(SQLModel, table=True):
    """An API key: the prefix finds it, the SHA-256 proves it; it belongs to a person or a service."""

    __tablename__ = "api_key"
    tenant: str = Field(primary_key=True)
    prefix: str = Field(primary_key=True)
    hash: bytes
    owner: str
    owner_kind: str
    scopes: str
    created_at: int = Field(sa_column=_big())
    expires_at: int | None = Field(sa_column=_big(nullable=True))
    revoked: int
