"""Run one-step workflows on DBOS: run by counterpart.py, in DBOS's environment, where Remit is not.

A workflow with the arguments of the call that workload.py makes calls one step, which does nothing. DBOS is set up as it comes, but for
its log level; on SQLite and on PostgreSQL alike the first argument is the address of its system database. Threads call it, and are kept
from round to round.
"""

from __future__ import annotations

import itertools
import json
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy
from dbos import DBOS

numbers = itertools.count(1)
pools: dict[int, ThreadPoolExecutor] = {}


@DBOS.step()
def refund(payment_id: str, minor: int, currency: str, reason: str) -> dict[str, str]:  # noqa: ARG001 - it does nothing
    return {"id": payment_id}


@DBOS.workflow()
def refund_payment(payment_id: str, minor: int, currency: str, reason: str) -> dict[str, str]:
    return refund(payment_id, minor, currency, reason)


def caller(calls: int) -> None:
    for _ in range(calls):
        number = next(numbers)
        done = refund_payment(f"pay_{number}", 1250, "EUR", "it came broken")
        assert done == {"id": f"pay_{number}"}


def count() -> dict[str, int]:
    """Count the workflows that it kept as done, and the steps."""
    engine = sqlalchemy.create_engine(sys.argv[1].replace("postgresql://", "postgresql+psycopg://"))
    place = "" if engine.dialect.name == "sqlite" else "dbos."
    with engine.connect() as reading:
        asked = {
            "workflows": f"SELECT count(*) FROM {place}workflow_status WHERE status = 'SUCCESS'",
            "steps": f"SELECT count(*) FROM {place}operation_outputs",
        }
        return {what: reading.execute(sqlalchemy.text(sql)).scalar_one() for what, sql in asked.items()}


def answer(question: dict[str, int]) -> dict[str, float]:
    if "count" in question:
        return count()
    callers = question["callers"]
    if callers not in pools:
        pools[callers] = ThreadPoolExecutor(callers)
        list(pools[callers].map(caller, [2] * callers))
    shares = [question["calls"] // callers + (place < question["calls"] % callers) for place in range(callers)]
    begun = time.perf_counter()
    list(pools[callers].map(caller, shares))
    return {"seconds": time.perf_counter() - begun}


DBOS(config={"name": "bench", "system_database_url": sys.argv[1], "log_level": "ERROR"})
DBOS.launch()
logging.disable(logging.WARNING)
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
DBOS.destroy()
