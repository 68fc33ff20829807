"""The tables, declared once; `migrations/` brings a database to them.

`tenant` leads every key. Times are microseconds since 1970 (UTC); `bytes` that hold personal values are sealed under the
subject's key; keys that callers and customers gave are HMACs under the lookup key.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, text
from sqlmodel import Field, SQLModel

from . import retention_tables, subjects_tables  # noqa: F401 - they are tables of the same database
from .call import UNDOING
from .reading_tables import AccessRow, TermRow

__all__ = ["AccessRow", "TermRow"]
METADATA = SQLModel.metadata
_SAID, _DECLINED, _COUNTS = text("conversation <> ''"), text("state = 'declined'"), text("void = 0")
_DEAD, _UNDOING = text("dead_at IS NOT NULL"), text(UNDOING)
POSITION = BigInteger().with_variant(Integer, "sqlite")


def _big(*, nullable: bool = False) -> Column[int]:
    return Column(BigInteger, nullable=nullable)


def _number() -> Any:
    """Declare an integer that rows of before have as 0."""
    return Field(sa_column=Column(Integer, nullable=False, server_default="0"))


def _text(default: str) -> Any:
    """Declare a text that rows of before have as this."""
    return Field(sa_column=Column(String, nullable=False, server_default=default))


class StoreMeta(SQLModel, table=True):
    """What the database says of itself: format, key fingerprints, log id."""

    __tablename__ = "store_meta"
    key: str = Field(primary_key=True)
    value: str


class TenantControl(SQLModel, table=True):
    """The active policy bundle, the one that is decided beside it (empty: none), and the epoch that every intent is checked against."""

    __tablename__ = "tenant_control"
    tenant: str = Field(primary_key=True)
    epoch: int = Field(sa_column=_big())
    bundle: str
    shadow: str = _text("")


class SwitchRow(SQLModel, table=True):
    """A thrown switch: while its row stands, nothing that it names is intended. `kind` is action, agent, tenant or all."""

    __tablename__ = "switch"
    tenant: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    target: str = Field(primary_key=True)
    reason: str
    author: str
    at: int = Field(sa_column=_big())


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
        Index("call_conversation", "tenant", "conversation", sqlite_where=_SAID, postgresql_where=_SAID),
        Index("call_subject", "tenant", "subject", "created_at"),
        Index("call_declined", "tenant", "fingerprint", sqlite_where=_DECLINED, postgresql_where=_DECLINED),
        Index("call_dead", "tenant", "dead_at", sqlite_where=_DEAD, postgresql_where=_DEAD),
        Index("call_undoes", "tenant", "undoes", unique=True, sqlite_where=_UNDOING, postgresql_where=_UNDOING),
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
    met_at: int | None = Field(sa_column=_big(nullable=True))
    delayed_until: int | None = Field(sa_column=_big(nullable=True))
    looks: int = _number()
    dead_at: int | None = Field(sa_column=_big(nullable=True))
    undoes: str | None
    taken_back: str | None


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
    """What a waiting call waits for: a step-up or a confirmation by the customer, an approval by staff.

    `assurance` is what a step-up must reach, `covers` the sum that an agreement beyond a limit holds for, `shown` commits to
    what whoever is asked is shown.
    """

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
    assurance: int = _number()
    covers: int | None = Field(sa_column=_big(nullable=True))
    escalate_at: int | None = Field(sa_column=_big(nullable=True))
    escalate_to: str = _text("")
    escalated: int = _number()
    shown: str = _text("")


class VoteRow(SQLModel, table=True):
    """One person's answer, with the roles held when voting; each person counts once for what a call would do.

    `who` is a keyed hash of the person's id: a trigger refuses whoever is `excluded` from the call, its principal, and the
    owner of the agent that asks. A vote on what has changed since is `void`, and the person is asked anew.
    """

    __tablename__ = "vote"
    __table_args__ = (
        Index("vote_once", "tenant", "call", "digest", "person", unique=True, sqlite_where=_COUNTS, postgresql_where=_COUNTS),
    )
    tenant: str = Field(primary_key=True)
    requirement: str = Field(primary_key=True)
    person: str = Field(primary_key=True)
    answer: str
    role: str
    digest: str
    at: int = Field(sa_column=_big())
    call: str = _text("")
    roles: str = _text("")
    who: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    void: int = _number()


class ExcludedRow(SQLModel, table=True):
    """Whoever can't vote on a call, as a keyed hash: who asked, the customer, whose id is nobody's business, and who amended it."""

    __tablename__ = "excluded"
    tenant: str = Field(primary_key=True)
    call: str = Field(primary_key=True)
    who: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))


class CodeRow(SQLModel, table=True):
    """The latest one-time code that was sent for a step-up, as a keyed hash; `sent` counts codes, `tries` those of this one."""

    __tablename__ = "code"
    tenant: str = Field(primary_key=True)
    requirement: str = Field(primary_key=True)
    sent: int
    hash: bytes
    tries: int
    sent_at: int = Field(sa_column=_big())
    expires_at: int = Field(sa_column=_big())
    used: int


class RaisedRow(SQLModel, table=True):
    """What a customer has proved in a conversation, and until when that holds for its other calls."""

    __tablename__ = "raised"
    tenant: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    conversation: str = Field(primary_key=True)
    assurance: int
    verified_at: int = Field(sa_column=_big())
    until_at: int = Field(sa_column=_big())


class SeriesRow(SQLModel, table=True):
    """One limit for one key: how many reservations and releases it has seen, when it was last reserved from, and its slices' width."""

    __tablename__ = "series"
    tenant: str = Field(primary_key=True)
    series: str = Field(primary_key=True)
    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    width: int = Field(sa_column=_big())
    number: int = Field(sa_column=_big())
    at: int = Field(sa_column=_big())


class UsageRow(SQLModel, table=True):
    """What was taken of a limit in one slice of time, as wide as its series says; of a distinct count, by each value (`member`).

    Without a rowid the rows of a window lie side by side: a sum reads one stretch of the table.
    """

    __tablename__ = "usage"
    __table_args__ = {"sqlite_with_rowid": False}
    tenant: str = Field(primary_key=True)
    series: str = Field(primary_key=True)
    key: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    slice: int = Field(sa_column=Column(BigInteger, primary_key=True))
    member: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    amount: int = Field(sa_column=_big())


class ReservationRow(SQLModel, table=True):
    """What one call has taken of one limit, and when: from these the slices can be made anew."""

    __tablename__ = "reservation"
    __table_args__ = (Index("reservation_series", "tenant", "series", "key", "at"),)
    tenant: str = Field(primary_key=True)
    call: str = Field(primary_key=True)
    series: str = Field(primary_key=True)
    key: bytes
    member: bytes
    amount: int = Field(sa_column=_big())
    at: int = Field(sa_column=_big())
    released: int


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
