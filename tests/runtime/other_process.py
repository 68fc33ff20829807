"""A second process on the same database: `other_process.py FOLDER WHAT`, with a bank whose effects go to a file.

Says `ready` when it runs, and does what each line from standard input asks for.
"""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from remit import Context
from remit.errors import CallError
from tests.runtime.bank import Bank, Payment, Receipt, World, asks, hangs, session

PAYMENTS = [f"pay_{number}" for number in range(1, 31)]


@dataclass
class SharedBank(Bank):
    """A bank that both processes see: it honours no keys, so that it would notice a double effect."""

    folder: Path = Path()

    def apply(self, ctx: Context, about: str, key: str | None) -> Receipt:
        with (self.folder / "effects").open("a") as ledger:
            ledger.write(f"{about} {os.getpid()}\n")
        return Receipt(id=f"re_{about}", note="done")


def shared(folder: Path) -> World:
    bank = SharedBank(folder=folder)
    bank.payments = {name: Payment(customer="kay") for name in PAYMENTS}
    return World(folder, bank=bank)


async def main(folder: Path) -> None:
    from remit.runtime.clock import Clock

    world = shared(folder)
    async with world.running(people=False, activate=False, clock=Clock) as runtime:
        print("ready", flush=True)
        for line in sys.stdin:
            match line.split():
                case ["pay", name]:
                    outcomes = await asyncio.gather(*(runtime.submit(asks(name, payment), session()) for payment in PAYMENTS))
                    print(*(outcome.state for outcome in outcomes), flush=True)
                case ["ask", payment]:
                    print((await runtime.submit(asks("transfer", payment, "99.00"), session())).call_id, flush=True)
                case ["spend", first, last]:
                    numbers = range(int(first), int(last) + 1)
                    outcomes = await asyncio.gather(
                        *(runtime.submit(asks("transfer", f"pay_{number}", "9.00"), session()) for number in numbers)
                    )
                    print(*(outcome.state for outcome in outcomes), flush=True)
                case ["hang", payment]:
                    world.bank.plan.append(hangs)
                    print((await runtime.submit(asks("transfer", payment, "99.00"), session(), wait=0.2)).call_id, flush=True)
                case ["vote", call_id]:
                    try:
                        print((await runtime.vote(call_id, person="fay", answer="approve")).state, flush=True)
                    except CallError as error:
                        print(type(error).__name__, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
