"""Write a long history: finished calls by the writer that every call uses, in the tables of either database, in the tree, and signed.

One call is taken through the phases, and then recorded again and again as another: with ids, keys and a person of its own, four leaves,
their commitments and sealed openings. Processes build the rows, and this one writes them, 10,000 calls in a transaction. What it writes
is what the runtime would have left: the sequencer goes on from it, and the verifier accepts it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sqlite3
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from remit import Runtime
from remit.audit import KeyFile, RightEdge, sign
from remit.runtime.advance import FIRST
from remit.runtime.call import Call
from remit.runtime.clock import Clock
from remit.runtime.effects import claim_writes
from remit.runtime.execution import execute_and_settle
from remit.runtime.phases import start_attempt
from remit.runtime.receive import Submission, parse, receive
from remit.runtime.statements import STATEMENTS, add_call
from remit.runtime.vault import SubjectKey
from remit.runtime.work import Draft, Work, new_id, record, request

from .workload import next_call, open_runtime

PEOPLE = 1_000
AT_ONCE = 1_000
"""Calls that a process builds at once."""
TOGETHER = 10_000
"""Calls in one transaction, and under one checkpoint."""
BUILDERS = 2
FEW = 500
"""So few are built in this process."""
PLACED = "INSERT INTO event (tenant, id, call, sequence, kind, at, leaf, hash, leaf_index) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
Rows = Mapping[str, list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Pattern:
    """What each call of a history is made after; it goes to other processes."""

    tenant: str
    log_id: str
    call: Call
    drafts: tuple[Draft, ...]
    asked: Mapping[str, Any]
    answered: Mapping[str, Any]
    owners: tuple[tuple[str, bytes], ...]

    @classmethod
    async def of(cls, runtime: Runtime) -> Pattern:
        """Take a call through all phases, without writing anything of it, and make the people of the history."""
        parts = runtime.parts
        work = await _finished(runtime)
        owners = await asyncio.gather(*(parts.vault.subject(f"earlier_customer_{number}") for number in range(PEOPLE)))
        kept = tuple((owner.pseudonym, owner.key) for owner in owners)
        answered = work.owner.open(work.call.result, work.call.id)
        return cls(parts.store.tenant, parts.log_id, work.call, work.drafts, request(work), answered, kept)

    def rows(self, calls: int) -> Rows:
        """Build the rows of so many calls, by statement."""
        owners = [SubjectKey(*owner) for owner in self.owners]
        parts: Any = SimpleNamespace(clock=Clock(), log_id=self.log_id, store=SimpleNamespace(tenant=self.tenant))
        built: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for number in range(calls):
            owner, now, key, said = owners[number % len(owners)], parts.clock.now(), os.urandom(32), os.urandom(32)
            name, own = new_id("call", now), {"effect_key": key.hex(), "idempotency_key": said.hex()}
            own |= {which: os.urandom(32).hex() for which in ("digest", "provider_key")}
            drafts = tuple(replace(one, body={which: own.get(which, value) for which, value in one.body.items()}) for one in self.drafts)
            call = self.call.evolve(
                id=name,
                subject=owner.pseudonym,
                conversation=f"earlier_conversation_{number}",
                effect_key=key,
                idempotency=said,
                digest=own["digest"],
                fingerprint=os.urandom(32),
                sealed=owner.seal(self.asked, name),
                result=owner.seal(self.answered, name),
                created_at=now,
            )
            recorded, events = record(parts, call, drafts, owner)
            for write in (add_call(recorded), *events):
                built[write.statement].append(write.values)
            built["effect.hold"].append((call.tenant, key, 1, call.id, call.fingerprint, owner.pseudonym))
        return built


async def _finished(runtime: Runtime) -> Work:
    parts = runtime.parts
    tool_call, session = next_call()
    submission = Submission(tool_call=tool_call, session=session, key=tool_call.id)
    action, arguments = parse(parts, submission)
    work = await receive(parts, submission, action, arguments)
    for phase in FIRST[:-2]:
        work = await phase(parts, work)
    return await execute_and_settle(parts, start_attempt(parts, claim_writes(work)))


async def fill(folder: Path, calls: int, url: str = "") -> None:
    """Put a history into the database that `open_runtime` opens so, and which nobody else has open."""
    runtime = await open_runtime(folder, url=url)
    try:
        pattern = await Pattern.of(runtime)
    finally:
        await runtime.close()  # places what was written by now: the history follows it in the tree
    with _postgres(url) if url else _sqlite(folder / "remit.db") as writing:
        _write(writing, pattern, KeyFile.load(folder / "remit.keys"), calls)


class Sink(Protocol):
    """A database that is open for writing many rows; everything since the last commit goes with the next."""

    def insert(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows by a statement of `statements.STATEMENTS`; events with their place at the end."""

    def ask(self, sql: str, *values: Any) -> Any:
        """Run a statement, and give its first row."""

    def commit(self) -> None:
        """Commit."""


def _write(sink: Sink, pattern: Pattern, keys: KeyFile, calls: int) -> None:
    tenant, clock, unsigned = pattern.tenant, Clock(), 0
    (state,) = sink.ask("SELECT edge FROM log_head WHERE tenant = ?", tenant)
    edge = RightEdge.from_bytes(bytes(state))
    for rows in _built(pattern, calls):
        for statement, values in rows.items():
            if statement == "event.add":
                sink.insert(statement, [(*row, edge.size + offset) for offset, row in enumerate(values)])
                for row in values:
                    edge.append(row[-1])
            else:
                sink.insert(statement, values)
        unsigned += len(rows["call.add"])
        if unsigned >= TOGETHER:
            _sign(sink, pattern, keys, edge, clock.now())
            unsigned = 0
    if unsigned:
        _sign(sink, pattern, keys, edge, clock.now())


def _sign(sink: Sink, pattern: Pattern, keys: KeyFile, edge: RightEdge, now: int) -> None:
    note = sign(pattern.log_id, edge.size, edge.root(), keys.signing_key)
    sink.ask("UPDATE log_head SET version = version + 1, size = ?, edge = ? WHERE tenant = ?", edge.size, edge.to_bytes(), pattern.tenant)
    sink.insert("checkpoint.add", [(pattern.tenant, edge.size, note, now)])
    sink.commit()


def _built(pattern: Pattern, calls: int) -> Iterator[Rows]:
    if calls <= FEW:
        yield pattern.rows(calls)
        return
    sizes = [min(AT_ONCE, calls - begun) for begun in range(0, calls, AT_ONCE)]
    with ProcessPoolExecutor(BUILDERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        ahead: deque[Future[Rows]] = deque()
        for size in sizes:
            ahead.append(pool.submit(pattern.rows, size))
            if len(ahead) > 2 * BUILDERS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


class _Sqlite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def insert(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self._connection.executemany(PLACED if statement == "event.add" else STATEMENTS[statement], rows)

    def ask(self, sql: str, *values: Any) -> Any:
        return self._connection.execute(sql, values).fetchone()

    def commit(self) -> None:
        self._connection.commit()


@contextmanager
def _sqlite(path: Path) -> Iterator[Sink]:
    with closing(sqlite3.connect(path)) as connection:
        for pragma in ("synchronous = OFF", "cache_size = -500000"):  # nobody unplugs a benchmark while it prepares
            connection.execute(f"PRAGMA {pragma}")
        yield _Sqlite(connection)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


COPIED = {
    "call.add": ("call", STATEMENTS["call.add"]),
    "effect.hold": ("effect", STATEMENTS["effect.hold"]),
    "event.add": ("event", PLACED),
    "opening.add": ("opening", STATEMENTS["opening.add"]),
    "term.add": ("term", STATEMENTS["term.add"]),
    "checkpoint.add": ("checkpoint", STATEMENTS["checkpoint.add"]),
}


class _Postgres:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def insert(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        table, inserting = COPIED[statement]
        columns = inserting[inserting.index("(") : inserting.index(")") + 1]
        with self._connection.cursor() as cursor, cursor.copy(f"COPY {table} {columns} FROM STDIN") as copying:
            for row in rows:
                copying.write_row(row)

    def ask(self, sql: str, *values: Any) -> Any:
        cursor = self._connection.execute(sql.replace("?", "%s"), values)
        return cursor.fetchone() if cursor.description else None

    def commit(self) -> None:
        self._connection.commit()


@contextmanager
def _postgres(url: str) -> Iterator[Sink]:
    import psycopg

    with psycopg.connect(url) as connection:
        yield _Postgres(connection)
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")  # what autovacuum would have done by now
