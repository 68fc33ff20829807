"""Every statement that writes, as text, in the order in which a group runs them.

The order is the lock order of 1-architecture: tenant control, calls, effect keys, then the rest. A `Write` must touch
exactly `expect` rows, else its whole change is refused: compare-and-set, uniqueness and assertions are one mechanism.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

from .call import Call

CALL_COLUMNS = tuple(field.name for field in fields(Call))
_FIXED = frozenset(
    {
        "tenant",
        "id",
        "action",
        "action_version",
        "schema_digest",
        "kind",
        "principal",
        "principal_kind",
        "created_at",
        "cancel_asked",
        "undoes",
    }
)
CALL_MUTABLE = tuple(name for name in CALL_COLUMNS if name not in _FIXED)


def _values(names: tuple[str, ...]) -> Callable[[Call], tuple[Any, ...]]:
    """Read columns of a call in one step, its state as plain text: sqlite3 looks long for an adapter of anything else."""
    return attrgetter(*(f"{name}.value" if name == "state" else name for name in names))


_inserted, _replaced = _values(CALL_COLUMNS), _values(CALL_MUTABLE)
"""What a move of a call writes. `cancel_asked` is not among them: an attempt that settles must not undo what was asked meanwhile."""


def _insert(table: str, *columns: str) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - names from this file


HELD = (
    "SELECT h.id FROM hold h WHERE h.tenant = ?1 AND (h.kind = 'subject' AND h.target = ?2 OR EXISTS (SELECT 1 FROM call c WHERE"
    " c.tenant = ?1 AND c.subject = ?2 AND (h.kind = 'call' AND c.id = h.target OR h.kind = 'time'"
    " AND c.created_at >= h.since_at AND c.created_at <= h.until_at)))"
)
"""The legal holds on a person: on them, on a call of theirs, or on a time in which they called."""

_GONE = "NOT EXISTS (SELECT 1 FROM event e WHERE e.tenant = ?1 AND e.call = ?2)"
_HOLDS_EFFECT = (
    "EXISTS (SELECT 1 FROM effect f WHERE f.tenant = ?1 AND f.key = call.effect_key AND f.ordinal = call.ordinal AND f.call = call.id)"
)
_REMEMBERED = f"({_HOLDS_EFFECT} OR call.idempotency IS NOT NULL AND call.state = 'succeeded' AND call.kind <> 'read')"
_REQUIREMENTS = "(SELECT r.id FROM requirement r WHERE r.tenant = ?1 AND r.call = ?2)"
"""Of a call (`?2`): that all its events were pruned, that it holds its effect key still, that it must not happen twice, by that key or by
its caller's, and what it was asked for."""

COUNTS = (
    "EXISTS (SELECT 1 FROM series s WHERE s.tenant = reservation.tenant AND s.series = reservation.series AND s.key = reservation.key"
    " AND reservation.at >= (CASE WHEN s.at > {now} THEN s.at ELSE {now} END) - 61 * s.width)"
)
"""Of a reservation: that it counts still in the window of its limit, at the time `now`."""

STATEMENTS: dict[str, str] = {
    "control.open": _insert("tenant_control", "tenant", "epoch", "bundle"),
    "control.activate": "UPDATE tenant_control SET epoch = epoch + 1, bundle = ? WHERE tenant = ? AND epoch = ?",
    "control.shadow": "UPDATE tenant_control SET epoch = epoch + 1, shadow = ? WHERE tenant = ?",
    "control.raise": "UPDATE tenant_control SET epoch = epoch + 1 WHERE tenant = ?",
    # Nothing was put on hold since what is to be pruned was found out.
    "prune.begin": "UPDATE tenant_control SET epoch = epoch + 1 WHERE tenant = ? AND epoch = ?",
    "control.raise_all": "UPDATE tenant_control SET epoch = epoch + 1",
    # After all that raises the epoch: an intent in one group with a switch or another bundle must not pass beside it.
    "control.hold": "UPDATE tenant_control SET epoch = epoch WHERE tenant = ? AND epoch = ?",
    "switch.throw": _insert("switch", "tenant", "kind", "target", "reason", "author", "at"),
    "switch.lift": "DELETE FROM switch WHERE tenant = ? AND kind = ? AND target = ?",
    # Whoever adds a person does so under the tenant key that stands: a rotation must find everybody.
    "keys.fence": "UPDATE store_meta SET value = ? WHERE key = 'fingerprint.tenant' AND value = ?",
    # Only while there are just so many logs: each of them must be told.
    "keys.sign": "UPDATE store_meta SET value = ? WHERE key = 'fingerprint.signing' AND value = ? AND (SELECT count(*) FROM log_head) = ?",
    "keys.stand": "UPDATE store_meta SET value = value WHERE key = 'fingerprint.tenant' AND value = ?",
    "bundle.add": _insert("bundle", "tenant", "digest", "sources", "author", "created_at") + " ON CONFLICT DO NOTHING",
    "subject.add": _insert("subject", "tenant", "lookup", "pseudonym", "wrapped_key"),
    "call.add": _insert("call", *CALL_COLUMNS),
    "call.move": f"UPDATE call SET {', '.join(f'{name} = ?' for name in CALL_MUTABLE)} WHERE tenant = ? AND id = ? AND version = ?",  # noqa: S608
    "call.forbid": "UPDATE call SET cancel_asked = 1 WHERE tenant = ? AND id = ? AND state IN ('executing', 'unknown')",
    "call.wake": "",
    "subject.wrap": "UPDATE subject SET lookup = ?, wrapped_key = ? WHERE tenant = ? AND pseudonym = ? AND wrapped_key = ?",
    # Only while every call of theirs has ended, and no hold stands: counted here, where no other transaction is under way.
    "erase.subject": "DELETE FROM subject WHERE tenant = ?1 AND pseudonym = ?2 AND NOT EXISTS (SELECT 1 FROM call c"  # noqa: S608 - text from this file
    " WHERE c.tenant = ?1 AND c.subject = ?2 AND c.state IN ('new', 'waiting', 'ready', 'executing', 'unknown'))"
    " AND NOT EXISTS (" + HELD + ")",
    "erase.openings": "DELETE FROM opening WHERE tenant = ? AND subject = ?",
    "erase.effects": "UPDATE effect SET fingerprint = ?1 WHERE tenant = ?2 AND (subject = ?3 OR call IN"
    " (SELECT c.id FROM call c WHERE c.tenant = ?2 AND c.subject = ?3))",
    "erase.excluded": "DELETE FROM excluded WHERE tenant = ?1 AND call IN (SELECT c.id FROM call c WHERE c.tenant = ?1 AND c.subject = ?2)",
    "erase.votes": "UPDATE vote SET who = NULL WHERE tenant = ?1 AND call IN (SELECT c.id FROM call c WHERE c.tenant = ?1 AND c.subject = ?2)",
    "erase.codes": "DELETE FROM code WHERE tenant = ?1 AND requirement IN (SELECT r.id FROM requirement r"
    " JOIN call c ON c.tenant = r.tenant AND c.id = r.call WHERE c.tenant = ?1 AND c.subject = ?2)",
    "erase.raised": "DELETE FROM raised WHERE tenant = ? AND subject = ?",
    "erase.calls": "UPDATE call SET version = version + 1, sealed = ?, result = NULL, fingerprint = NULL, conversation = '',"
    " provider_status = NULL WHERE tenant = ? AND subject = ?",
    "erasure.add": _insert("erasure", "tenant", "pseudonym", "epoch", "at"),
    "erasure.complete": "UPDATE erasure SET completed_at = ? WHERE tenant = ? AND pseudonym = ? AND completed_at IS NULL",
    "hold.add": _insert("hold", "tenant", "id", "kind", "target", "since_at", "until_at", "reason", "author", "at"),
    "hold.drop": "DELETE FROM hold WHERE tenant = ? AND id = ?",
    "effect.hold": _insert("effect", "tenant", "key", "ordinal", "call", "fingerprint", "subject"),
    "effect.amend": "UPDATE effect SET fingerprint = ? WHERE tenant = ? AND key = ? AND ordinal = ? AND call = ?",
    "effect.free": "DELETE FROM effect WHERE tenant = ? AND key = ? AND ordinal = ? AND call = ?",
    "requirement.add": _insert(
        "requirement",
        "tenant",
        "id",
        "call",
        "kind",
        "rule",
        "role",
        "votes",
        "digest",
        "state",
        "reason",
        "created_at",
        "deadline_at",
        "assurance",
        "covers",
        "escalate_at",
        "escalate_to",
        "escalated",
        "shown",
    ),
    "requirement.move": "UPDATE requirement SET state = ? WHERE tenant = ? AND id = ? AND state = ?",
    "requirement.close": "UPDATE requirement SET state = ? WHERE tenant = ? AND call = ? AND state = 'open'",
    "requirement.escalate": "UPDATE requirement SET escalated = 1 WHERE tenant = ? AND id = ? AND state = 'open' AND escalated = 0",
    "excluded.add": _insert("excluded", "tenant", "call", "who") + " ON CONFLICT DO NOTHING",
    "vote.void": "UPDATE vote SET void = 1 WHERE tenant = ? AND call = ? AND digest = ? AND void = 0",
    "vote.add": _insert("vote", "tenant", "requirement", "person", "answer", "role", "digest", "at", "call", "roles", "who"),
    # Only while few enough were sent about the same person lately: counted here, because many may be asked for at once.
    "code.put": "INSERT INTO code (tenant, requirement, sent, hash, tries, sent_at, expires_at, used) SELECT CAST(?1 AS VARCHAR), CAST(?2 AS VARCHAR), ?3, ?4, ?5, ?6, ?7, ?8"
    " WHERE (SELECT coalesce(sum(k.sent), 0) FROM call c JOIN requirement r ON r.tenant = c.tenant AND r.call = c.id"
    " JOIN code k ON k.tenant = r.tenant AND k.requirement = r.id WHERE c.tenant = ?1 AND c.subject = ?9 AND k.sent_at > ?10) < ?11"
    " ON CONFLICT (tenant, requirement) DO UPDATE SET sent = excluded.sent, hash = excluded.hash, tries = 0, sent_at = excluded.sent_at,"
    " expires_at = excluded.expires_at, used = 0 WHERE code.sent = excluded.sent - 1",
    "code.try": "UPDATE code SET tries = tries + 1 WHERE tenant = ? AND requirement = ? AND sent = ? AND tries = ? AND used = 0",
    "code.use": "UPDATE code SET used = 1 WHERE tenant = ? AND requirement = ? AND sent = ? AND used = 0",
    "raised.put": _insert("raised", "tenant", "subject", "conversation", "assurance", "verified_at", "until_at")
    + " ON CONFLICT (tenant, subject, conversation) DO UPDATE SET assurance = excluded.assurance, verified_at = excluded.verified_at,"
    " until_at = excluded.until_at",
    "person.put": _insert("person", "tenant", "id", "name", "email", "roles", "active")
    + " ON CONFLICT (tenant, id) DO UPDATE SET name = excluded.name, email = excluded.email, roles = excluded.roles, active = excluded.active",
    "agent.put": _insert("agent", "tenant", "id", "owner") + " ON CONFLICT (tenant, id) DO UPDATE SET owner = excluded.owner",
    "key.add": _insert("api_key", "tenant", "prefix", "hash", "owner", "owner_kind", "scopes", "created_at", "expires_at", "revoked"),
    "key.revoke": "UPDATE api_key SET revoked = 1 WHERE tenant = ? AND prefix = ? AND revoked = 0",
    "series.put": _insert("series", "tenant", "series", "key", "width", "number", "at")
    + " ON CONFLICT (tenant, series, key) DO UPDATE SET width = excluded.width, number = excluded.number, at = excluded.at",
    "usage.drop": "DELETE FROM usage WHERE tenant = ? AND series = ? AND key = ? AND slice < ?",
    "usage.clear": "DELETE FROM usage WHERE tenant = ? AND series = ? AND key = ?",
    "usage.anew": "INSERT INTO usage (tenant, series, key, slice, member, amount)"
    " SELECT tenant, series, key, at / ?1, member, sum(amount) FROM reservation"
    " WHERE tenant = ?2 AND series = ?3 AND key = ?4 AND at >= ?5 AND released = 0 GROUP BY tenant, series, key, at / ?1, member",
    "usage.add": _insert("usage", "tenant", "series", "key", "slice", "member", "amount")
    + " ON CONFLICT (tenant, series, key, slice, member) DO UPDATE SET amount = usage.amount + excluded.amount",
    "reservation.release": "UPDATE reservation SET released = 1 WHERE tenant = ? AND call = ? AND series = ?",
    "reservation.put": "INSERT INTO reservation (tenant, call, series, key, member, amount, at, released) VALUES (?, ?, ?, ?, ?, ?, ?, 0)"
    " ON CONFLICT (tenant, call, series) DO UPDATE SET key = excluded.key, member = excluded.member, amount = excluded.amount,"
    " at = excluded.at, released = 0",
    "event.add": _insert("event", "tenant", "id", "call", "sequence", "kind", "at", "leaf", "hash"),
    "event.place": "UPDATE event SET leaf_index = ? WHERE position = ? AND leaf_index IS NULL",
    "term.add": _insert("term", "tenant", "what", "term", "at", "about", "number") + " ON CONFLICT DO NOTHING",
    "access.add": _insert("access", "tenant", "id", "at", "kind", "who", "call", "sought", "found", "purpose"),
    "opening.add": _insert("opening", "tenant", "event", "subject", "blob"),
    "head.open": _insert("log_head", "tenant", "version", "size", "edge") + " ON CONFLICT DO NOTHING",
    "head.move": "UPDATE log_head SET version = version + 1, size = ?, edge = ? WHERE tenant = ? AND version = ?",
    "checkpoint.add": _insert("checkpoint", "tenant", "size", "note", "at"),
    # The furthest ahead since this machine was started (its name has 36 letters); never while an attempt is under way, whose lease
    # would be over at once.
    "meta.ahead": "INSERT INTO store_meta (key, value) VALUES ('clock', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    " WHERE substr(store_meta.value, 1, 36) <> substr(excluded.value, 1, 36)"
    " OR (CAST(substr(store_meta.value, 38) AS BIGINT) < CAST(substr(excluded.value, 38) AS BIGINT)"
    " AND NOT EXISTS (SELECT 1 FROM call WHERE tenant IN (SELECT tenant FROM tenant_control) AND wake_at IS NOT NULL AND state = 'executing'))",
    # First the mark, by which the guards let events go; then whatever belonged to calls of which no event is left.
    "prune.mark": _insert("pruned", "tenant", "below", "at", "event", "former", "blocks")
    + " ON CONFLICT (tenant) DO UPDATE SET below = excluded.below, at = excluded.at, event = excluded.event, former = excluded.former,"
    # Another process has moved it since, and its event may wait for its place still.
    " blocks = excluded.blocks WHERE pruned.below = excluded.former",
    "prune.openings": "DELETE FROM opening WHERE tenant = ?1 AND event IN"
    " (SELECT e.id FROM event e WHERE e.tenant = ?1 AND e.leaf_index >= ?2 AND e.leaf_index < ?3)",
    "prune.term": "DELETE FROM term WHERE tenant = ? AND what = ? AND term = ? AND at = ? AND about = ? AND number = ?",
    "prune.events": "DELETE FROM event WHERE tenant = ? AND leaf_index >= ? AND leaf_index < ?",
    "prune.codes": f"DELETE FROM code WHERE tenant = ?1 AND requirement IN {_REQUIREMENTS} AND {_GONE}",  # noqa: S608 - text from this file
    "prune.votes": f"DELETE FROM vote WHERE tenant = ?1 AND requirement IN {_REQUIREMENTS} AND {_GONE}",  # noqa: S608
    "prune.requirements": f"DELETE FROM requirement WHERE tenant = ?1 AND call = ?2 AND {_GONE}",  # noqa: S608
    "prune.excluded": f"DELETE FROM excluded WHERE tenant = ?1 AND call = ?2 AND {_GONE}",  # noqa: S608
    # What still counts in the window of its limit stays.
    "prune.reservations": f"DELETE FROM reservation WHERE tenant = ?1 AND call = ?2 AND {_GONE}"  # noqa: S608
    f" AND (released = 1 OR NOT {COUNTS.format(now='?3')})",
    # What a customer has proved, once it holds no longer and nothing else is known of that conversation.
    "prune.raised": "DELETE FROM raised WHERE tenant = ?1 AND until_at < ?2 AND NOT EXISTS (SELECT 1 FROM call c WHERE c.tenant = ?1"
    " AND c.conversation = raised.conversation AND c.conversation <> '') AND NOT EXISTS (SELECT 1 FROM hold h WHERE h.tenant = ?1"
    " AND h.kind = 'subject' AND h.target = raised.subject)",
    "prune.effects": "UPDATE effect SET fingerprint = ?3 WHERE tenant = ?1 AND call = ?2"  # noqa: S608
    " AND key = (SELECT c.effect_key FROM call c WHERE c.tenant = ?1 AND c.id = ?2)"
    f" AND ordinal = (SELECT c.ordinal FROM call c WHERE c.tenant = ?1 AND c.id = ?2) AND {_GONE}",
    # Whoever holds an effect key, or had an effect under a key of its caller, is remembered by that: it must not happen twice.
    "prune.emptied": "UPDATE call SET version = version + 1, sealed = ?3, result = NULL, fingerprint = NULL, conversation = '',"  # noqa: S608
    f" provider_status = NULL WHERE tenant = ?1 AND id = ?2 AND sealed <> ?4 AND {_REMEMBERED} AND {_GONE}",
    "prune.calls": f"DELETE FROM call WHERE tenant = ?1 AND id = ?2 AND NOT {_REMEMBERED} AND {_GONE}",  # noqa: S608
    "meta.add": _insert("store_meta", "key", "value"),
}


@lru_cache(maxsize=512)
def numbered(sql: str) -> str:
    """Write `?` and `?1` as PostgreSQL numbers its values."""
    if re.search(r"\?\d", sql):
        return re.sub(r"\?(\d+)", r"$\1", sql)
    numbers = iter(range(1, sql.count("?") + 1))
    return re.sub(r"\?", lambda _: f"${next(numbers)}", sql)


def inserted_columns(statement: str) -> str:
    """Give the beginning of a statement that inserts, up to its values."""
    return STATEMENTS[statement].partition(" VALUES ")[0]


POSTGRES = {name: numbered(text) for name, text in STATEMENTS.items()} | {
    # The lock that whoever raises the epoch holds alone is shared by all others: to look is enough.
    "control.hold": "SELECT 1 FROM tenant_control WHERE tenant = $1 AND epoch = $2",
    "keys.stand": "SELECT 1 FROM store_meta WHERE key = 'fingerprint.tenant' AND value = $1",
}
"""The same for PostgreSQL."""

ORDER = {name: place for place, name in enumerate(STATEMENTS)}


WAKE = "call.wake"
"""Let a call be taken up: its action, itself and when. On SQLite a column of the call says that; elsewhere a queue does."""


@dataclass(frozen=True, slots=True)
class Write:
    """One statement with its values; `expect` rows must be touched (None: any number)."""

    statement: str
    values: tuple[Any, ...]
    expect: int | None = 1


Batch = tuple[str, Sequence[tuple[Any, ...]]]
"""A statement, and the rows of values that it is run for."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is committed together or not at all: rows in the order of `STATEMENTS`, and what is taken of limits or given back."""

    writes: Sequence[Write]
    limits: Sequence[Any] = ()


def add_call(call: Call) -> Write:
    """Insert a call in its first version."""
    return Write("call.add", _inserted(call))


def move_call(call: Call, *, seen: int) -> Write:
    """Replace the stored version `seen` of a call by this one; a call that has moved meanwhile is left alone."""
    return Write("call.move", (*_replaced(call), call.tenant, call.id, seen))
