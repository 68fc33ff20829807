"""What a child of the worker does until it is killed: each function here is a life, by name."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from remit import Runtime
from remit.audit import State
from remit.errors import StoreError
from remit.runtime.journal import Journal
from remit.runtime.statements import STATEMENTS
from tests.torture import shortage
from tests.torture.paying import AMOUNT, PATIENT, Desk, actions, asks, session
from tests.torture.points import Points
from tests.torture.starts import STARTS, Case
from tests.torture.steered import Steered

AT_ONCE = 40
ASKED = 200
"""How often one asks again at most, half a second apart, in the last life."""


def begun() -> None:
    """Tell the parent that it may kill from now on."""
    print("begun", flush=True)


async def governed(
    desk: Desk, customer: str, payments: Mapping[str, Sequence[str]], *, last: bool = False, variant: str = "", at_once: int = AT_ONCE
) -> None:
    """Ask for an effect on each payment, by the kind of the effect; in the last life, wait for the end of each."""
    asked = [(kind, payment) for kind, some in payments.items() for payment in some]
    async with desk.open(actions=actions(variant), **(PATIENT if last else {})) as runtime:
        begun()
        for start in range(0, len(asked), at_once):
            some = (_ask(runtime, customer, *one, last=last) for one in asked[start : start + at_once])
            await asyncio.gather(*some)


async def _ask(runtime: Runtime, customer: str, kind: str, payment: str, *, last: bool) -> None:
    """Ask for an effect; in the last life, until nothing more becomes of it by itself, and again where it is said that it was not done.

    A call has so many attempts over all its lives, and one that was killed in each of them may end as not applied; and its provider
    may be taken for broken after so many lost answers. Whoever is told so asks again.
    """
    ends = {State.SUCCEEDED, State.FAILED, State.DENIED, *([State.UNKNOWN] if kind == "once" else [])}
    for _ in range(ASKED if last else 1):
        outcome = await runtime.submit(asks(kind, payment), session(customer))
        while last and (state := (await runtime.get(str(outcome.call_id))).state) not in ends:
            await asyncio.sleep(0.05)
        if not last or state not in {State.FAILED, State.DENIED}:
            return
        await asyncio.sleep(0.5)


async def naive(desk: Desk, customer: str, payments: Mapping[str, Sequence[str]], *, last: bool = False) -> None:
    """Call, then record, with no key and no intent: what many do."""
    record = sqlite3.connect(desk.folder / "naive.db")
    record.execute("CREATE TABLE IF NOT EXISTS done (payment TEXT PRIMARY KEY)")

    async def refund(payment: str) -> None:
        if record.execute("SELECT 1 FROM done WHERE payment = ?", (payment,)).fetchone():
            return
        try:
            form = {"payment_intent": payment, "amount": str(AMOUNT)}
            (await api.post("/v1/refunds", data=form)).raise_for_status()
        except httpx.HTTPError:
            return
        record.execute("INSERT OR IGNORE INTO done VALUES (?)", (payment,))
        record.commit()

    headers = {"authorization": "Bearer sk_test_kill"}
    async with httpx.AsyncClient(base_url=desk.url, headers=headers, timeout=0.5, trust_env=False, verify=False) as api:
        begun()
        await asyncio.gather(*(refund(payment) for kind, some in payments.items() if kind != "read" for payment in some))


async def to_a_point(
    desk: Desk, *, start: str, case: dict[str, str], at: int | list[str | int], what: int, names: str, variant: str = ""
) -> None:
    """Bring a call into a state, then go on from there, to the death at the point `at`, or to the end: then write what was passed."""
    points, time = Points(at, signal.Signals(what)), Steered()
    points.watch()
    async with desk.open(actions=actions(variant), clock=time.clock, **PATIENT) as runtime:
        one = Case(runtime, url=desk.url, time=time, **case)
        prepared = await STARTS[start].prepare(one)
        if variant == "unfenced":
            STATEMENTS["call.move"] = STATEMENTS["call.move"].replace("AND version = ?", "AND ? > 0")
        begun()  # first: as soon as they are armed, another thread may pass a point
        points.armed = True
        await STARTS[start].go_on(one, prepared)
    Path(names).write_text(json.dumps(points.passed))


async def short_of_space(
    desk: Desk, *, customer: str, asked: list[tuple[str, str]], limit: dict[str, Any], said: str, variant: str = ""
) -> None:
    """Ask for effects while the database can't grow as it would like, and write down how many were refused for that."""
    points, refused = Points(), 0
    points.watch()
    if variant == "deaf":
        Journal.commit = _deaf(Journal.commit)  # type: ignore[method-assign]
    async with desk.open() as runtime:
        begun()
        shortage.begin(limit, Path(desk.database), points.connections)
        for start in range(0, len(asked), 3):
            batch = (runtime.submit(asks(*one), session(customer)) for one in asked[start : start + 3])
            outcomes = await asyncio.gather(*batch, return_exceptions=True)
            unexpected = [one for one in outcomes if isinstance(one, BaseException) and not isinstance(one, StoreError)]
            assert not unexpected, unexpected
            refused += sum(isinstance(one, StoreError) for one in outcomes)
        shortage.end(limit)
        Path(said).write_text(json.dumps(refused))
        os._exit(0)  # as if it was killed: what could not be written is left as it is


def _deaf(commit: Any) -> Any:
    async def heard_nothing(journal: Journal, writes: Any) -> None:
        with contextlib.suppress(StoreError):
            await commit(journal, writes)

    return heard_nothing
