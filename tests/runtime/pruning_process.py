"""A process that prunes and is killed at a point: `pruning_process.py FOLDER NANOS POINT`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from remit.runtime import pruning
from tests.runtime.bank import FakeTime, World
from tests.runtime.pruning_history import KEPT

POINTS = ("before", "recorded", "placed", "deleted 1", "deleted 20")


def dies(point: str) -> None:
    """Be killed with each of the methods of pruning at the point that is named."""
    reached = 0

    def after(name: str, at: str) -> None:
        made: Callable[..., Any] = getattr(pruning.Pruning, name)

        async def then(*given: Any) -> Any:
            result = await made(*given)
            if point == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(pruning.Pruning, name, then)

    after("plan", "before")
    after("_record", "recorded")
    after("_placed", "placed")
    deleting = pruning.Pruning._deleting

    def counted(self: Any, *rows: Any) -> Any:
        nonlocal reached
        if point == f"deleted {reached}":
            os.kill(os.getpid(), signal.SIGKILL)
        reached += 1
        return deleting(self, *rows)

    pruning.Pruning._deleting = counted  # type: ignore[method-assign]
    pruning.TOGETHER = 10


async def main(folder: Path, nanos: int) -> None:
    """Prune."""
    time = FakeTime()
    time.nanos = nanos
    async with World(folder, time=time).running(people=False, activate=False, retention=KEPT) as runtime:
        await runtime.retention.prune(by="fay")


if __name__ == "__main__":
    dies(sys.argv[3])
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
