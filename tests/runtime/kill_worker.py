"""A process that is killed again and again: it forks a child for each life, so that every life starts at once.

    kill_worker.py FOLDER URL VARIANT

Reads a line a life from standard input (`life` or `last`), answers with the child's pid, `begun` when it starts to ask, and,
asked by another line, its exit status when it has ended.
"""

import asyncio
import dataclasses
import os
import random
import sqlite3
import sys
from datetime import timedelta
from pathlib import Path

import stripe

from remit import Runtime, Session
from remit.actions.library.payments import refund_payment
from remit.actions.library.stripe import Stripe

PAYMENTS = 80
AT_ONCE = 10


def asks(payment: str) -> dict[str, object]:
    amount = {"value": "1.00", "currency": "EUR"}
    return {"name": "refund_payment", "arguments": {"payment_id": payment, "amount": amount, "reason": "duplicate"}}


def sample(payments: list[str]) -> list[str]:
    return random.sample(payments, AT_ONCE)


async def remit_life(folder: Path, url: str, customer: str, payments: list[str], *, last: bool) -> None:
    session = Session(principal="support-agent", subject=customer, conversation="kills")
    hasty = dataclasses.replace(refund_payment, deadline=timedelta(seconds=0.6))
    async with Stripe("sk_test_kill", api_base=url, timeout=0.5) as connector:
        runtime = Runtime(
            [hasty], policies=folder / "policies", database=folder / "remit.db", resources=[connector], lease_margin=timedelta(seconds=0.1)
        )
        async with runtime:
            print("begun", flush=True)
            for some in [payments[start : start + AT_ONCE] for start in range(0, PAYMENTS, AT_ONCE)] if last else [sample(payments)]:
                outcomes = await asyncio.gather(*(runtime.submit(asks(payment), session) for payment in some))
                if last:
                    await asyncio.gather(*(runtime.wait(one.call_id, 60) for one in outcomes))


async def naive_life(folder: Path, url: str, _customer: str, payments: list[str], *, last: bool) -> None:
    """The control: call, then record, with no key and no intent."""
    record = sqlite3.connect(folder / "naive.db")
    record.execute("CREATE TABLE IF NOT EXISTS done (payment TEXT PRIMARY KEY)")
    client = stripe.StripeClient("sk_test_kill", base_addresses={"api": url}, http_client=stripe.HTTPXClient(), max_network_retries=0).v1

    async def refund(payment: str) -> None:
        if record.execute("SELECT 1 FROM done WHERE payment = ?", (payment,)).fetchone():
            return
        try:
            await client.refunds.create_async({"payment_intent": payment, "amount": 100, "metadata": {"remit_call": payment}})
        except stripe.StripeError:
            return
        record.execute("INSERT OR IGNORE INTO done VALUES (?)", (payment,))
        record.commit()

    print("begun", flush=True)
    await asyncio.gather(*(refund(payment) for payment in (payments if last else sample(payments))))


def main() -> None:
    folder, url, variant = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    customer, *payments = (folder / "payments").read_text().split()
    life = {"remit": remit_life, "naive": naive_life}[variant]
    while line := sys.stdin.readline():
        if (child := os.fork()) == 0:
            random.seed()
            asyncio.run(life(folder, url, customer, payments, last=line.strip() == "last"))
            os._exit(0)
        print(child, flush=True)
        sys.stdin.readline()  # a child that has ended keeps its pid until then, so nobody else is killed in its place
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
