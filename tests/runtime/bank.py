"""A tiny bank with state, the actions over it, and a clock that moves when it is told to: what the tests of the runtime share."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import itertools
import re
import shutil
import sqlite3
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel

from remit import Context, Injected, Money, Public, Runtime, Secret, Session, action, keyed, lookup
from remit.actions import after, once, per_call, read
from remit.audit import KeyFile, State
from remit.runtime.clock import Clock
from remit.runtime.database import open_database
from remit.runtime.postgres_arrays import SQL
from remit.runtime.sqlite import keys_path
from remit.runtime.statements import POSTGRES, STATEMENTS, numbered
from tests import postgres
from tests.runtime.unguarded import unguarded

Behaviour = Callable[["Bank", Context, str, Any], Awaitable[Any]]


class Payment(BaseModel):
    customer: str
    disputed: bool = False
    memo: str = ""


class Receipt(BaseModel):
    id: str
    note: str
    place: Public[str] = "counter"


@dataclass
class Bank:
    """Pay what is asked. `plan` holds a behaviour for each coming attempt; when it is empty, all goes well."""

    payments: dict[str, Payment] = field(default_factory=dict)
    plan: deque[Behaviour] = field(default_factory=deque)
    effects: list[str] = field(default_factory=list)
    attempts: list[tuple[str, int]] = field(default_factory=list)
    by_key: dict[str, Receipt] = field(default_factory=dict)
    looks: int = 0
    look_fails: Exception | None = None
    facts_fail: Exception | None = None
    replied: str = "thank you"

    async def pay(self, ctx: Context, about: str, key: str | None) -> Any:
        self.attempts.append((key or ctx.call_id, ctx.attempt))
        behaviour = self.plan.popleft() if self.plan else good
        return await behaviour(self, ctx, about, key)

    def apply(self, ctx: Context, about: str, key: str | None) -> Receipt:
        """Let the money flow: once for each key, and once each time without one."""
        if key is not None and key in self.by_key:
            return self.by_key[key]
        self.effects.append(about)
        receipt = Receipt(id=f"re_{len(self.effects)}", note=self.replied)
        self.by_key[key or ctx.call_id] = receipt
        ctx.reference(receipt.id, status="pending")
        return receipt

    def find(self, ctx: Context, key: str | None = None) -> Receipt | None:
        self.looks += 1
        if self.look_fails:
            raise self.look_fails
        return next((receipt for name, receipt in self.by_key.items() if name.startswith(ctx.call_id)), None)


async def good(bank: Bank, ctx: Context, about: str, key: str | None) -> Any:
    return bank.apply(ctx, about, key)


async def lost(bank: Bank, ctx: Context, about: str, key: str | None) -> Any:
    bank.apply(ctx, about, key)
    raise ConnectionResetError("the answer was lost")


async def dropped(_bank: Bank, _ctx: Context, _about: str, _key: str | None) -> Any:
    raise ConnectionResetError("the request was lost")


async def hangs(_bank: Bank, _ctx: Context, _about: str, _key: str | None) -> Any:
    await asyncio.sleep(3600)


def raising(error: BaseException, *, applied: bool = False) -> Behaviour:
    async def behave(bank: Bank, ctx: Context, about: str, key: str | None) -> Any:
        if applied:
            bank.apply(ctx, about, key)
        raise error

    return behave


def answering(value: Any) -> Behaviour:
    async def behave(bank: Bank, ctx: Context, about: str, key: str | None) -> Any:
        bank.apply(ctx, about, key)
        return value() if callable(value) else value

    return behave


def gated(gate: asyncio.Event, entered: asyncio.Event | None = None, then: Behaviour = good) -> Behaviour:
    async def behave(bank: Bank, ctx: Context, about: str, key: str | None) -> Any:
        if entered:
            entered.set()
        await gate.wait()
        return await then(bank, ctx, about, key)

    return behave


async def load_payment(payment_id: str, bank: Injected[Bank]) -> Payment | None:
    if bank.facts_fail:
        raise bank.facts_fail
    return bank.payments.get(payment_id)


def find(ctx: Context, bank: Injected[Bank]) -> Receipt | None:
    return bank.find(ctx)


OWN: dict[str, Any] = {"facts": {"payment": load_payment}, "owns": "facts.payment.customer == subject.id"}


@action(effect=keyed("24h"), key="refund:{payment_id}", again="confirmed", deadline="5s", **OWN)
async def refund(ctx: Context, payment_id: str, amount: Money, bank: Injected[Bank], note: str | None = None) -> Receipt:
    """Refund a payment at a bank that honours keys."""
    return await bank.pay(ctx, payment_id, ctx.idempotency_key)


@action(effect=keyed("24h", lookup=find, settle="30s"), key="traced:{payment_id}", deadline="5s", **OWN)
async def traced_refund(ctx: Context, payment_id: str, amount: Money, bank: Injected[Bank]) -> Receipt:
    """Refund at a bank that honours keys and can be asked."""
    return await bank.pay(ctx, payment_id, ctx.idempotency_key)


@action(effect=lookup(find, settle="30s"), key="transfer:{payment_id}", deadline="5s", **OWN)
async def transfer(ctx: Context, payment_id: str, amount: Money, bank: Injected[Bank]) -> Receipt:
    """Refund at a bank that honours no keys and can be asked."""
    return await bank.pay(ctx, payment_id, None)


@action(effect=once, key="cheque:{payment_id}", again=after("15m"), deadline="5s", **OWN)
async def cheque(ctx: Context, payment_id: str, amount: Money, bank: Injected[Bank]) -> Receipt:
    """Send a cheque by post: nobody can be asked what became of it."""
    return await bank.pay(ctx, payment_id, None)


@action(effect=once, key=per_call, deadline="5s", owns=None, owns_reason="it is about nobody")
async def jot(ctx: Context, text: str, bank: Injected[Bank], pin: Secret[str] = "none", place: Public[str] = "desk") -> Receipt:
    """Write a note."""
    return await bank.pay(ctx, text, None)


@action(effect=read, deadline="5s", **OWN)
async def look_up(ctx: Context, payment_id: str, bank: Injected[Bank]) -> Receipt:
    """Look at a payment."""
    return await bank.pay(ctx, payment_id, None)


ACTIONS = (refund, traced_refund, transfer, cheque, jot, look_up)
PAYING = "[refund, traced_refund, transfer, cheque]"

ALLOW = f"""
policy: payments
actions: {PAYING}
rules:
  - id: small
    when: arguments.amount.currency == "EUR" && arguments.amount.minor <= 100000
    then: allow
  - id: large
    when: arguments.amount.currency == "EUR" && arguments.amount.minor > 5000
    then: require_approval
    approval: {{by: finance, votes: 1, within: 4h}}
    reason: More than fifty.
  - id: disputed
    when: facts.payment.disputed
    then: deny
    reason: The bank disputes it.
    say: I can't do this one here.
"""
NOTES = """
policy: notes
actions: [jot, look_up]
rules:
  - id: anybody
    then: allow
"""


class Own(Clock):
    """A clock that no other process of this machine has."""

    shared = False


class FakeTime:
    """Wall and steady clock in nanoseconds that move only when told to."""

    def __init__(self) -> None:
        self.nanos = 1_780_000_000 * 10**9

    def pass_(self, **how_long: float) -> None:
        self.nanos += int(timedelta(**how_long).total_seconds() * 10**9)

    def clock(self, *, last_recorded: int) -> Clock:
        return Own(last_recorded=last_recorded, wall=lambda: self.nanos, steady=lambda: self.nanos)


def at_once(waiting: Coroutine[Any, Any, Any]) -> Any:
    """Run what on SQLite waits for nothing, outside a loop."""
    try:
        waiting.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waits for something")


def shut(database: Any) -> None:
    """Close a database outside a loop."""
    at_once(database.writer.close())
    at_once(database.close())


@functools.cache
def _template() -> Path:
    """Migrate one database for all tests: each takes a copy."""
    folder = Path(tempfile.mkdtemp(prefix="remit-template-"))
    database = open_database(folder / "remit.db")
    shut(database)
    return folder / "remit.db"


class Store:
    """Where the worlds of a test keep their calls: in files, or in databases of a server, which are dropped after it."""

    server = False
    made = contextlib.ExitStack()

    @classmethod
    def make(cls, folder: Path) -> None:
        """Make a world's database, or note in its folder where it is, and put its keys there."""
        if cls.server:
            template, keys = _server_template()
            (folder / "server").write_text(cls.made.enter_context(postgres.database(template)))
        else:
            keys = keys_path(_template())
            shutil.copy(_template(), folder / "remit.db")
        shutil.copy(keys, folder / "remit.keys")


@functools.cache
def _server_template() -> tuple[str, Path]:
    keys = Path(tempfile.mkdtemp(prefix="remit-template-")) / "remit.keys"
    KeyFile.create(keys)
    postgres.hasten()
    made = contextlib.ExitStack()
    url = made.enter_context(postgres.database())
    atexit.register(made.close)
    open_database(url, keys=keys)  # it connects to nothing yet that would have to be closed
    return conninfo_to_dict(url)["dbname"], keys


@dataclass
class World:
    """A folder with policies, a database and a bank; runtimes come and go."""

    folder: Path
    bank: Bank = field(default_factory=Bank)
    time: FakeTime = field(default_factory=FakeTime)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def make(cls, folder: Path, **policies: str) -> World:
        Store.make(folder)
        world = cls(folder)
        if Store.server:
            world.time.nanos = 2_500_000_000 * 10**9  # what the queue holds is never due by the server's clock: the sweep alone wakes calls
        return world.filled(**policies)

    @classmethod
    def on(cls, folder: Path, url: str) -> World:
        """Make a world in a database that is there already, and empty."""
        (folder / "server").write_text(url)
        KeyFile.create(folder / "remit.keys")
        return cls(folder).filled()

    def filled(self, **policies: str) -> World:
        """Write policies, and make payments."""
        (self.folder / "policies").mkdir()
        self.policies(**(policies or {"payments": ALLOW, "notes": NOTES}))
        self.bank.payments |= {f"pay_{number}": Payment(customer="kay") for number in range(1, 60)}
        return self

    @functools.cached_property
    def database(self) -> Path | str:
        """The file, or the address on a server."""
        server = self.folder / "server"
        return server.read_text() if server.exists() else self.folder / "remit.db"

    def sql(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Read or change rows by hand, beside every runtime."""
        if isinstance(self.database, str):
            with psycopg.connect(self.database, autocommit=True) as connection:
                cursor = psycopg.RawCursor(connection).execute(numbered(sql), values)
                return cursor.fetchall() if cursor.description else []
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            return connection.execute(sql, values).fetchall()

    async def change(self, sql: str, *values: Any) -> int:
        """Change rows by hand, as whoever may drop the guards, and say how many; `text(leaf)` and `blob(…)` are a leaf as text, and a text as a leaf.

        In a thread: what it waits for may be held by a transaction of the loop that called it.
        """
        return await asyncio.to_thread(self._change, sql, values)

    def _change(self, sql: str, values: Sequence[Any]) -> int:
        if isinstance(self.database, str):
            sql = re.sub(r"\bblob\((.*?\))\)", r"convert_to(\1, 'UTF8')", sql.replace("x'", "'\\x"))
            sql = sql.replace("text(leaf)", "convert_from(leaf, 'UTF8')")
            with psycopg.connect(self.database) as connection, unguarded(connection):
                return psycopg.RawCursor(connection).execute(numbered(sql), values).rowcount
        sql = sql.replace("text(leaf)", "CAST(leaf AS TEXT)")
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            connection.create_function("blob", 1, str.encode)
            with unguarded(connection):
                return connection.execute(sql, values).rowcount

    def policies(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / "policies" / f"{name}.yaml").write_text(text)

    def runtime(self, actions: Any = ACTIONS, **settings: Any) -> Runtime:
        return Runtime(
            actions,
            policies=self.folder / "policies",
            database=self.database,
            **{"resources": [self.bank], "keys": self.folder / "remit.keys", "activate": True, "clock": self.time.clock, **settings},
        )

    @contextlib.asynccontextmanager
    async def running(self, actions: Any = ACTIONS, *, people: bool = True, **settings: Any) -> AsyncIterator[Runtime]:
        async with self.runtime(actions, **settings) as runtime:
            if people and not await runtime.people.everybody():
                await hire(runtime)
            yield runtime

    def bytes(self) -> bytes:
        """Everything that lies on the disk beside the keys; of a server, whose pages may be compressed, every row of every table."""
        if not isinstance(self.database, str):
            return b"".join(path.read_bytes() for path in sorted(self.folder.glob("remit.db*")))
        tables = self.sql("SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        rows = (row for (table,) in tables for row in self.sql(f"SELECT * FROM {table}"))
        return b"\n".join(bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode() for row in rows for value in row)


REFUSED = (sqlite3.IntegrityError, psycopg.IntegrityError)
"""What a database raises itself."""


def altered(monkeypatch: Any, statement: str, text: str) -> None:
    """Break a statement on both databases, for a control."""
    monkeypatch.setitem(STATEMENTS, statement, text)
    monkeypatch.setitem(POSTGRES, statement, numbered(text))
    monkeypatch.delitem(SQL, statement, raising=False)


async def hire(runtime: Runtime) -> None:
    for person, roles in {"fay": ["finance"], "finn": ["finance"], "sam": ["support"], "boss": ["finance"]}.items():
        await runtime.people.add(person, roles=roles)
    await runtime.people.add_agent("bot", owner="boss")


def session(**changes: Any) -> Session:
    return Session(**{"principal": "bot", "subject": "kay", "conversation": "c1", **changes})


def asks(name: str = "refund", payment: str = "pay_1", euros: str = "10.00", *, tag: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": tag, "name": name, "arguments": {"payment_id": payment, "amount": {"value": euros, "currency": "EUR"}, **more}}


def says(text: str, *, tag: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": tag, "name": "jot", "arguments": {"text": text, **more}}


LARGE = "99.00"


async def comes_to(runtime: Runtime, call_id: str, *states: State, within: float = 60) -> Any:
    """Wait until a call is in one of these states, and give its outcome."""
    async with asyncio.timeout(within):
        while (outcome := await runtime.get(call_id)).state not in states:
            await asyncio.sleep(0.005)
    return outcome


def kinds(view: Any) -> list[str]:
    return [event["kind"] for event in view.events]
