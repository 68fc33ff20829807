"""A process of any revision, by its own code: `older_process.py` in a folder, with `remit` of then or now on the path.

Asks for one payment after another, says on a line what became of each, and ends when its input does. Needs nothing of the tests, which
the code of then does not have.
"""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from remit import Context, Money, Runtime, Session, action
from remit.actions import keyed
from remit.errors import RemitError

ALLOW = """
policy: payments
actions: [pay]
rules:
  - {id: any, when: arguments.amount.currency == "EUR", then: allow}
  - id: large
    when: arguments.amount.currency == "EUR" && arguments.amount.minor > 5000
    then: require_approval
    approval: {by: finance, votes: 1, within: 4h}
"""


@action(effect=keyed("24h"), key="pay:{payment_id}", deadline="5s", owns=None, owns_reason="it is about nobody")
async def pay(ctx: Context, payment_id: str, amount: Money) -> str:
    """Pay, and write it down where every process does."""
    with Path("effects").open("a") as ledger:
        ledger.write(f"{payment_id} {ctx.call_id}\n")
    return payment_id


def asks(payment: str, euros: str) -> dict:
    return {"id": None, "name": "pay", "arguments": {"payment_id": payment, "amount": {"value": euros, "currency": "EUR"}}}


def runtime(database="remit.db", **settings) -> Runtime:
    return Runtime([pay], policies="policies", database=database, **settings)


async def main(first: bool) -> None:
    if first:
        Path("policies").mkdir()
        Path("policies/payments.yaml").write_text(ALLOW)
    async with runtime() as running:
        if first:
            for person in ("fay", "finn"):
                await running.people.add(person, roles=["finance"])
            await running.people.add_agent("bot", owner="fay")
        reading = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        for number in itertools.count():
            if reading.done():
                break
            payment, euros = f"{os.getpid()}-{number}", "99.00" if number % 5 == 4 else "9.00"
            try:
                outcome = await running.submit(asks(payment, euros), Session(principal="bot", subject="kay"))
                print(outcome.state, outcome.call_id, payment, flush=True)
            except RemitError as error:
                print("refused", type(error).__name__, error, flush=True)
                await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(first="first" in sys.argv))
