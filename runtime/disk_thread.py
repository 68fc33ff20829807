"""A thread beside the event loop, for what waits for the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread


class DiskThread:
    """Run one job after the other, away from the loop.

    It does for a job what `run_in_executor` does, with one future instead of two and no locks of its own: two jobs lie on the
    way of every call.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], object], asyncio.Future[None]] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def run(self, job: Callable[[], object]) -> None:
        """Wait for a job to end; raises what it raises."""
        done = asyncio.get_running_loop().create_future()
        self._jobs.put((job, done))
        await done

    def close(self) -> None:
        """Let what was given end, then end the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, done = given
            error = None
            try:
                job()
            except Exception as raised:  # noqa: BLE001 - whoever waits is told
                error = raised
            with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                done.get_loop().call_soon_threadsafe(_tell, done, error)


def _tell(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():
        return  # whoever waited has gone away
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
