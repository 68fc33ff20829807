"""Look a deployment over, reading only: nothing is started, migrated, put in force or written.

What stands in the way of everything else (no database, another schema) is said first, and then nothing else is looked at.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..audit import KeyFile
from ..errors import KeysMissing, RemitError, StoreError
from .clock import MICROSECOND, SECOND
from .finding import Finding, Look, seconds
from .granting import lacking, may_place
from .migrating import LATEST
from .opening import REVISION, check_keys
from .retention import CLASSES
from .sqlite import keys_path
from .stored import reading
from .stuck import calls, events, queue, unregistered

if TYPE_CHECKING:
    from .runtime import Runtime

SKEW = 2_000_000
FAR_OFF = 60_000_000
"""Microseconds that two clocks may differ by before it is worth a word, and before it is bad."""
UNPRUNED = 31 * 24 * 3_600 * SECOND
"""Microseconds that the oldest event may outlive every class before it is worth a word: blocks are pruned, by a timer."""
_SERVER_TIME = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"


def examine(runtime: Runtime) -> list[Finding]:
    """Say how the deployment of a runtime stands, which need not run: what was looked at, in words, and what to do about each."""
    found: list[Finding] = []
    try:
        with reading(runtime.database) as ask:
            server = not isinstance(runtime.database, Path)
            now = ask(_SERVER_TIME)[0][0] if server else time.time_ns() // 1_000
            look = Look(ask=ask, runtime=runtime, server=server, now=now)
            for finding in _schema(look):
                found.append(finding)
                if finding.verdict != "ok":
                    return [*found, *_keys(look, made=False)]
            for check in _CHECKS:
                found += check(look)
    except StoreError as error:
        absent = isinstance(runtime.database, Path) and not runtime.database.exists()
        does = "the first start makes it, with its keys" if absent else "see that the server runs, and that this address and role are right"
        found.append(Finding("database", "warn" if absent else "bad", error.message, does))
    return found


def _schema(look: Look) -> Iterator[Finding]:
    there = look.ask(_THERE[look.server], ("alembic_version",))[0][0]
    revision = look.ask(REVISION)[0][0] if there else None
    if revision is None:
        yield Finding("database", "warn", f"{look.name} has no tables yet", "`remit keys init`, then `remit db upgrade` as their owner")
    elif revision > LATEST:
        yield Finding(
            "schema", "bad", f"revision {revision}, brought forward by a newer Remit; this one knows {LATEST}", "upgrade Remit here"
        )
    elif revision < LATEST:
        yield Finding(
            "schema", "warn", f"revision {revision}; this Remit needs {LATEST}", "`remit db upgrade`, or the next start, brings it forward"
        )
    else:
        yield Finding("database", "ok", f"{look.name} can be read, and is at revision {LATEST}")


_THERE = (
    "SELECT count(*) FROM sqlite_master WHERE name = ?",
    "SELECT to_regclass(?)",
)


def _keys(look: Look, *, made: bool = True) -> Iterator[Finding]:
    place = look.runtime.keys if look.server else keys_path(Path(look.runtime.database))
    try:
        keys = KeyFile.load(place)
        if made:
            check_keys(look.ask, keys, file=place, name=look.name)
    except KeysMissing:
        does = "restore it from its backup; nothing opens without it" if made else "`remit keys init` makes it"
        yield Finding("keys", "bad", f"{place} is missing", does)
    except RemitError as error:
        yield Finding("keys", "bad", error.message, "put the file back that was made with this database")
    else:
        if place.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield Finding("keys", "warn", f"others than its owner may read {place}", f"chmod 600 {place}")
        else:
            yield Finding("keys", "ok", f"{place} is there{' and belongs to this database' if made else ''}")


def _rights(look: Look) -> Iterator[Finding]:
    if not look.server:
        return
    if missing := lacking(look.ask):
        yield Finding("rights", "bad", f"this role lacks {', '.join(missing)}", "let the owner of the tables grant it (docs/postgresql.md)")
    elif may_place(look.ask):
        yield Finding("rights", "ok", "this role may do all that a process does")
    else:
        yield Finding(
            "rights", "ok", "this role may do all that a process does but place events and sign: the sequencer's process must run"
        )


def _durable(look: Look) -> Iterator[Finding]:
    """Find what lets a server forget what it has committed: an intent that is lost is an effect that may be had twice."""
    if not look.server:
        return
    settings = ("fsync", "synchronous_commit", "full_page_writes")
    if off := look.ask("SELECT name FROM pg_settings WHERE setting = 'off' AND name = ANY(?) ORDER BY name", (list(settings),)):
        names = ", ".join(name for (name,) in off)
        does = "turn it on for this database: after a crash an effect could be had twice"
        yield Finding("durability", "bad", f"the server may forget what it has committed: {names} is off", does)
    else:
        yield Finding("durability", "ok", "what the server commits is on its disk")


def _clock(look: Look) -> Iterator[Finding]:
    if look.server:
        before = time.time_ns() // 1_000
        there = look.ask(_SERVER_TIME)[0][0]
        apart = there - (before + time.time_ns() // 1_000) // 2
        said, does = (
            f"this machine's clock is {seconds(abs(apart))} {'behind' if apart > 0 else 'ahead of'} the server's",
            "let both take the time by NTP",
        )
        does += "; calls go by the server's clock, whatever is off here"
    else:
        ((last,),) = look.ask("SELECT coalesce(max(at), 0) FROM (SELECT at FROM event ORDER BY position DESC LIMIT 100)")
        apart = max(0, last - look.now)
        said, does = (
            f"the last event was recorded {seconds(apart)} in the future of this machine's clock",
            "set the clock; until then time goes on from that event",
        )
    if abs(apart) <= SKEW:
        yield Finding("clock", "ok", "it agrees with the database")
    else:
        yield Finding("clock", "bad" if abs(apart) > FAR_OFF else "warn", said, does)


def _policies(look: Look) -> Iterator[Finding]:
    rows = look.ask("SELECT bundle, shadow FROM tenant_control WHERE tenant = ?", (look.tenant,))
    if not rows:
        yield Finding("policies", "warn", "none are in force yet", "the first start puts them in force")
        return
    active, shadow = rows[0]
    beside = f"; {shadow[:12]} is decided beside them" if shadow else ""
    if look.runtime.managed or look.runtime.folder.policies.digest == active:
        yield Finding("policies", "ok", f"{active[:12]} is in force{beside}")
        return
    folder = look.runtime.folder
    yield Finding(
        "policies",
        "warn",
        f"{folder.path} ({folder.policies.digest[:12]}) is not what is in force ({active[:12]}){beside}; a start with it is refused",
        "`remit policy diff` shows how they differ, `remit policy reload` puts the folder in force",
    )


def _switches(look: Look) -> Iterator[Finding]:
    thrown = look.ask("SELECT kind, target, author, reason FROM switch WHERE tenant IN (?, '*') ORDER BY at", (look.tenant,))
    for kind, target, author, reason in thrown:
        what = {"all": "everything", "tenant": f"the tenant {target}"}.get(kind, f"{kind} {target}")
        yield Finding(
            "switches",
            "warn",
            f"{what} is switched off by {author}: {reason or 'no reason was given'}",
            "`remit switch lift`, when it may go on",
        )
    if not thrown:
        yield Finding("switches", "ok", "nothing is switched off")


def _retention(look: Look) -> Iterator[Finding]:
    """Find a log that nobody prunes although it is said for how long it is kept."""
    if look.runtime.keeps is None:
        return
    rows = look.ask("SELECT at FROM event WHERE tenant = ? AND leaf_index >= 0 ORDER BY leaf_index LIMIT 1", (look.tenant,))
    age, longest = look.now - rows[0][0] if rows else 0, max(map(look.runtime.keeps.of, CLASSES))
    if age <= longest // MICROSECOND + UNPRUNED:
        yield Finding("retention", "ok", f"the oldest event is {seconds(age)} old; at most {longest.days} days are kept")
    else:
        found = f"the oldest event is {seconds(age)} old, and every class is to be kept for {longest.days} days at most"
        does = "`remit retention show` says whether a legal hold or a call keeps it; else let a timer run `remit retention prune`"
        yield Finding("retention", "warn", found, does)


_CHECKS: tuple[Callable[[Look], Iterator[Finding]], ...] = (
    _keys,
    _rights,
    _durable,
    _clock,
    _policies,
    _switches,
    calls,
    unregistered,
    events,
    queue,
    _retention,
)
