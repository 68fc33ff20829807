"""One of several processes that rush at one limit of one database: `rushing_process.py FOLDER NUMBER [VARIANT]`.

Says `ready` when it runs; at the next line it asks, votes, amends and cancels, all at once, and says what it was told, as JSON.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from pathlib import Path

from remit.errors import CallError
from remit.runtime import postgres_writer
from remit.runtime.clock import Clock
from tests.runtime.bank import Payment, World, asks, session
from tests.runtime.other_process import SharedBank

CALLS, MINE, AT_ONCE = 60, 40, 16
"""Payments that all processes ask for, those of one process, and callers of it."""


def world_of(folder: Path, processes: int = 8) -> World:
    bank = SharedBank(folder=folder)
    names = [*(f"all_{number}" for number in range(CALLS)), *(f"of_{p}_{number}" for p in range(processes) for number in range(MINE))]
    bank.payments = {name: Payment(customer="kay") for name in [*names, *(f"large_{number}" for number in range(40))]}
    return World(folder, bank=bank)


async def rush(runtime, number: int) -> Counter[str]:
    """Do everything at once, in an order of this process."""
    dice, told = random.Random(number), Counter[str]()
    turns = asyncio.Semaphore(AT_ONCE)
    waiting = [call.id for call in await runtime.calls(state="waiting", most=1_000)]

    async def one(what: str, doing) -> None:
        async with turns:
            try:
                outcome = await doing
            except CallError as error:
                told[type(error).__name__] += 1
            else:
                told[f"{what} {outcome.state}"] += 1

    names = [f"all_{n}" for n in range(CALLS)] + [f"of_{number}_{n}" for n in range(MINE)]
    less = {"payment_id": "", "amount": {"value": "51.00", "currency": "EUR"}}
    todo = [("ask", runtime.submit(asks("transfer", name, "1.00"), session())) for name in names]
    for call_id in waiting:
        arguments = {**less, "payment_id": (await runtime.view(call_id)).arguments["payment_id"]}
        todo.append(
            ("vote", runtime.vote(call_id, person=dice.choice(["fay", "finn"]), answer=dice.choice(["approve", "approve", "reject"])))
        )
        todo.append(("amend", runtime.amend(call_id, by=dice.choice(["fay", "finn"]), arguments=arguments, reason="less")))
        todo.append(("cancel", runtime.cancel(call_id, by="sam", reason="x")))
    dice.shuffle(todo)
    await asyncio.gather(*(one(*each) for each in todo))
    return told


async def main(folder: Path, number: int, variant: str) -> None:
    if variant == "unlocked":  # the control: locks that nobody else can name
        mine = random.Random().getrandbits(62)
        postgres_writer._series = lambda _place: mine
    async with world_of(folder).running(people=False, activate=False, clock=Clock) as runtime:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print(json.dumps(await rush(runtime, number)), flush=True)
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), (*sys.argv, "")[3]))
