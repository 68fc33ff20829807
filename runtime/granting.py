"""What the role of a process must be allowed to do on PostgreSQL: read and write rows, and nothing else."""

from __future__ import annotations

import re

from .opening import Ask
from .statements import STATEMENTS

_WRITES = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM) (?!SET\b)(\w+)")
_BESIDE = ("commit_mark", "procrastinate_jobs", "procrastinate_events", "procrastinate_workers")
"""What is written on a server alone."""
PLACING = frozenset({("event", "UPDATE"), ("checkpoint", "INSERT"), ("log_head", "UPDATE")})
"""What a process needs that gives events their places and signs; all others may work without (docs/postgresql-roles.sql)."""
PRUNING = frozenset({("event", "DELETE"), ("pruned", "INSERT"), ("pruned", "UPDATE")})
"""What a process needs that prunes."""
_PLACES = (
    "SELECT has_column_privilege('event', 'leaf_index', 'UPDATE'), has_table_privilege('checkpoint', 'INSERT'),"
    " has_table_privilege('log_head', 'UPDATE')"
)
_READ_TO_PLACE = ("alembic_version", "store_meta", "event", "log_head", "checkpoint", "commit_mark")
_LACKING = (
    "SELECT needed.right_to || ' on ' || needed.place FROM unnest(?::text[], ?::text[]) AS needed(place, right_to)"
    " WHERE NOT has_table_privilege(needed.place, needed.right_to)"
)
_SEQUENCES = (
    "SELECT 'USAGE on ' || needed.name FROM unnest(?::text[], ?::text[]) AS of(place, col),"
    " pg_get_serial_sequence(of.place, of.col) AS needed(name) WHERE NOT has_sequence_privilege(needed.name, 'USAGE')"
)
_NUMBERED = {"event": "position", "procrastinate_jobs": "id", "procrastinate_events": "id"}


def needed() -> set[tuple[str, str]]:
    """List (table, right) of all that is written, and that it may be read."""
    written = {(table, kind.split()[0]) for text in STATEMENTS.values() for kind, table in _WRITES.findall(text)}
    updated = {(_WRITES.findall(text)[0][1], "UPDATE") for text in STATEMENTS.values() if "DO UPDATE" in text}
    queued = {(table, right) for table in _BESIDE for right in ("INSERT", "UPDATE", "DELETE")}
    everything = written | updated | queued
    return everything | {(table, "SELECT") for table, _ in everything} | {("alembic_version", "SELECT")}


def may_place(ask: Ask) -> bool:
    """Say whether the current role may give events their places and sign: all of what that takes."""
    return all(ask(_PLACES)[0])


def lacking(ask: Ask) -> list[str]:
    """Name what the current role may not do with a database of this version, such as `INSERT on call`.

    A role that may do nothing of what placing and signing takes lacks none of it: that is another's.
    """
    apart = PRUNING | (PLACING if not any(ask(_PLACES)[0]) else frozenset())
    places, rights = zip(*sorted(needed() - apart), strict=True)
    found = ask(_LACKING, (list(places), list(rights))) + ask(_SEQUENCES, (list(_NUMBERED), list(_NUMBERED.values())))
    return [one for (one,) in found]


def lacking_to_place(ask: Ask) -> list[str]:
    """Name what the current role may not do that only places and signs."""
    needs = {(table, "SELECT") for table in _READ_TO_PLACE} | {("commit_mark", right) for right in ("INSERT", "UPDATE", "DELETE")}
    places, rights = zip(*sorted(needs), strict=True)
    found = [one for (one,) in ask(_LACKING, (list(places), list(rights)))]
    named = ("UPDATE (leaf_index) on event", "INSERT on checkpoint", "UPDATE on log_head")
    return found + [name for name, may in zip(named, ask(_PLACES)[0], strict=True) if not may]
