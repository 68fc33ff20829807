"""Find what does not go on: calls that nobody takes up, events that nobody places, wake-ups that nobody works at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .finding import Finding, Look, Verdict, seconds
from .queue_names import queue_prefix

LATE = 10_000_000
TOO_LATE = 60_000_000
"""Microseconds after which what should have happened is worth a word, and after which it is bad."""
SHOWN = 5

_START = "see that a process with this action runs, `remit worker` for one, and what its log says of these calls"
_RESOLVE = "find out at the provider, then `remit calls resolve ID --applied|--not-applied --reason TEXT`"
_OVERDUE = {
    "executing": "an attempt is past its lease",
    "waiting": "nobody ended what is past its deadline",
    "ready": "nobody took up what is due",
    "unknown": "nobody looked up what is due",
}
_STANDING = "state IN ('waiting', 'ready', 'executing', 'unknown')"
_DUE = "SELECT state, count(*), min(wake_at) FROM call WHERE tenant = ? AND wake_at < ? GROUP BY state ORDER BY state"
_WHICH = "SELECT id FROM call WHERE tenant = ? AND wake_at < ? AND state = ? ORDER BY wake_at LIMIT ?"
_DEAD = "SELECT id FROM call WHERE tenant = ? AND dead_at IS NOT NULL ORDER BY dead_at"
_LEFT = "SELECT id FROM call WHERE tenant = ? AND state = 'unknown' AND wake_at IS NULL AND dead_at IS NULL ORDER BY updated_at"
_ACTIONS = (
    f"SELECT action, action_version, schema_digest, count(*) FROM call WHERE tenant = ? AND {_STANDING} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"  # noqa: S608
)
_JOBS = (
    "SELECT count(*) FILTER (WHERE j.status = 'todo' AND coalesce(j.scheduled_at, now()) <= now()),"
    " coalesce(extract(epoch FROM max(now() - coalesce(j.scheduled_at, d.at)) FILTER (WHERE j.status = 'todo')), 0)::bigint,"
    " count(*) FILTER (WHERE j.status = 'doing' AND (w.id IS NULL OR w.last_heartbeat < now() - interval '15 s')),"
    " count(*) FILTER (WHERE j.status = 'failed')"
    " FROM procrastinate_jobs j LEFT JOIN procrastinate_workers w ON w.id = j.worker_id"
    " LEFT JOIN LATERAL (SELECT min(at) AS at FROM procrastinate_events WHERE job_id = j.id) d ON true"
    " WHERE j.queue_name LIKE ?"
)
_WORKERS = "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - interval '15 s'"


def calls(look: Look) -> Iterator[Finding]:
    """Find calls whose time has come and that nobody has taken up, and those that only a person can settle."""
    overdue = look.ask(_DUE, (look.tenant, look.now - LATE))
    for state, many, since in overdue:
        found = f"{_OVERDUE.get(state, state)}: {_calls(many)}, the longest for {seconds(look.now - since)}"
        which = look.ask(_WHICH, (look.tenant, look.now - LATE, state, SHOWN))
        yield Finding("calls", _late(look.now - since), found, _START, _some(which))
    dead, left = look.ask(_DEAD, (look.tenant,)), look.ask(_LEFT, (look.tenant,))
    if dead:
        yield Finding("calls", "warn", f"dead letters, which wait for a person: {_calls(len(dead))}", _RESOLVE, _some(dead))
    if left:
        yield Finding("calls", "bad", f"unknown, and nothing looks them up: {_calls(len(left))}", _RESOLVE, _some(left))
    if not (overdue or dead or left):
        yield Finding("calls", "ok", "none is stuck")


def unregistered(look: Look) -> Iterator[Finding]:
    """Find calls on their way whose action is not what it was, or is not registered here."""
    none = True
    for name, version, schema, many in look.ask(_ACTIONS, (look.tenant,)):
        action = look.runtime.catalog.get(name)
        if action is None:
            does = "let a process run that has it; until then only their deadlines run"
            found = f"{name} is not registered in this app: {_calls(many)} on their way"
        elif (version, schema) != (action.version, action.schema_digest):
            does = "what waits is denied as action_changed when its turn comes; what has begun is only looked up"
            found = f"{name} has changed since {_calls(many)} on their way were asked for"
        else:
            continue
        none = False
        yield Finding("actions", "warn", found, does)
    if none:
        yield Finding("actions", "ok", "every call on its way has its action")


def events(look: Look) -> Iterator[Finding]:
    """Find out for how long no event was given its place in the log."""
    rows = look.ask("SELECT at FROM event WHERE tenant = ? AND leaf_index IS NULL ORDER BY position LIMIT 1", (look.tenant,))
    waited = look.now - rows[0][0] if rows else 0
    if waited < LATE:
        yield Finding("log", "ok", "its events are under a signed checkpoint")
    else:
        does = "see that a process runs, and what its log says of checkpoints"
        yield Finding("log", _late(waited), f"the oldest event without a place in the log is {seconds(waited)} old", does)


def queue(look: Look) -> Iterator[Finding]:
    """Find wake-ups that nobody works at, on PostgreSQL; elsewhere the calls themselves say when."""
    if not look.server:
        return
    due, oldest, orphaned, failed = look.ask(_JOBS, (f"{queue_prefix(look.tenant)}%",))[0]
    ((workers,),) = look.ask(_WORKERS)
    if not workers:
        yield Finding(
            "workers", "bad" if due else "warn", f"none is alive; {due} wake-ups are due", "start `remit worker`, or a process that serves"
        )
    late = oldest * 1_000_000
    if due and late > LATE:
        yield Finding("queue", _late(late), f"{due} wake-ups are due, the oldest for {seconds(late)}", _START)
    if orphaned:
        does = "their calls are taken up all the same, where a process runs; the next worker that starts clears them away"
        yield Finding("queue", "warn", f"{orphaned} wake-ups are with workers that are dead", does)
    if failed:
        yield Finding(
            "queue", "warn", f"{failed} wake-ups have failed", "their calls are found by their due time; the log of the workers says why"
        )
    if workers and not (orphaned or failed or late > LATE):
        yield Finding("queue", "ok", f"{due} wake-ups are due, and {workers} processes work at them")


def _late(micros: int) -> Verdict:
    return "bad" if micros > TOO_LATE else "warn"


def _some(rows: list[Any]) -> tuple[str, ...]:
    return tuple(call for (call,) in rows[:SHOWN])


def _calls(many: int) -> str:
    return "1 call" if many == 1 else f"{many:,} calls"
