"""Make allowed calls with an effect key through CTRLRun: run by counterpart.py, in CTRLRun's environment, where Remit is not.

The call is the one that workload.py makes: the same arguments, ten rules, a handler that does nothing. Its rules stand in an
order and the first that matches decides, so the allowing one stands first, which suits it best. Threads are kept from round to
round, so that each opens its connection once.
"""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ctrlrun
from ctrlrun.approval import LocalApprovalProvider
from ctrlrun.receipt import verify_chain

FOLDER = Path(sys.argv[1])
POLICY = """\
schema: ctrlrun.policy/v2
actions:
  refund_payment:
    effect: "refund:{payment_id}"
    rules:
      - when: {currency_eq: EUR, minor_gte: 0, minor_lte: 5000}
        decision: allow
""" + "".join(f"      - when: {{currency_eq: EUR, minor_gte: {100_000 + number}}}\n        decision: deny\n" for number in range(1, 10))
numbers = itertools.count(1)
pools: dict[int, ThreadPoolExecutor] = {}


def control() -> ctrlrun.Control:
    """Give its kernel over its SQLite store, as it comes: alone, or as `Control.from_file` sets it up."""
    (FOLDER / "ctrlrun.yaml").write_text(POLICY)
    if sys.argv[2] == "files":
        os.environ["CTRLRUN_STATE"] = str(FOLDER / "state.db")
        return ctrlrun.Control.from_file(FOLDER / "ctrlrun.yaml")
    store = ctrlrun.SQLiteStateStore(FOLDER / "state.db")
    return ctrlrun.Control(ctrlrun.Policy.from_file(FOLDER / "ctrlrun.yaml"), store, LocalApprovalProvider(store))


@ctrlrun.protect("refund_payment", effect="refund:{payment_id}", control=control())
def refund_payment(payment_id: str, minor: int, currency: str, reason: str) -> dict[str, str]:  # noqa: ARG001 - it does nothing
    return {"id": payment_id}


def caller(calls: int) -> None:
    for _ in range(calls):
        with ctrlrun.context(agent="agent", user="customer_1"):
            refund_payment(payment_id=f"pay_{next(numbers)}", minor=1250, currency="EUR", reason="it came broken")


def answer(question: dict[str, int]) -> dict[str, float]:
    if "count" in question:
        with sqlite3.connect(FOLDER / "state.db") as store:
            return {table: store.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("effects", "receipts", "events")}
    if "verify" in question:
        begun = time.perf_counter()
        found = verify_chain(ctrlrun.SQLiteStateStore(FOLDER / "state.db"))
        return {"seconds": time.perf_counter() - begun, "verified": found.verified, "ok": found.ok}
    callers = question["callers"]
    if callers not in pools:
        pools[callers] = ThreadPoolExecutor(callers)
        list(pools[callers].map(caller, [2] * callers))
    shares = [question["calls"] // callers + (place < question["calls"] % callers) for place in range(callers)]
    begun = time.perf_counter()
    list(pools[callers].map(caller, shares))
    return {"seconds": time.perf_counter() - begun}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
