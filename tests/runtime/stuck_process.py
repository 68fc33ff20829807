"""A process whose worker takes a job and never ends it: `stuck_process.py FOLDER`. Says `ready`, and `taken` with the job's call."""

import asyncio
import sys
from pathlib import Path

from remit.runtime.clock import Clock
from remit.runtime.queue import Queue
from tests.runtime.bank import World


async def stuck(_queue: Queue, call: str) -> None:
    print("taken", call, flush=True)
    await asyncio.Event().wait()


async def main(folder: Path) -> None:
    Queue._wake = stuck  # type: ignore[method-assign]
    async with World(folder).running(people=False, activate=False, clock=Clock):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
