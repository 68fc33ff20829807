"""Wake-ups on PostgreSQL, through procrastinate: a job is deferred in the journal's own transaction, and a worker advances its call.

A job says only which call to take up; `advance` looks at what is due, so a job that runs twice, late, or for nothing does no harm. What
no job wakes (a worker that was killed with it, an attempt whose lease ended) is found by the sweep of `wakeups.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition
from procrastinate.worker import Worker
from psycopg import AsyncConnection

from . import telemetry
from .call import Call
from .clock import to_datetime
from .queue_names import queue_name

Advance = Callable[[str], Awaitable[Call]]

FETCH_EVERY = 0.5
HEARTBEAT = 5.0
DEAD_AFTER = 15.0
AT_ONCE = 16
ENDS_WITHIN = 5.0
PAUSE = 1.0

log = telemetry.logger("remit.queue")


class Queue:
    """The queues of one tenant: one for each action, so that a worker takes up only what it has."""

    def __init__(self, url: str, tenant: str) -> None:
        connector = PsycopgConnector(conninfo=url, min_size=1, max_size=2, timeout=ENDS_WITHIN, kwargs={"connect_timeout": 5})
        self._app, self._tenant = App(connector=connector), tenant
        self._advance: Advance | None = None
        self._task = self._app.task(name="remit.advance")(self._wake)

    async def defer(self, connection: AsyncConnection[Any], rows: Iterable[Sequence[Any]]) -> None:
        """Let calls be taken up, each `(action, call, due)` in microseconds, if the transaction on this connection commits."""
        jobs = [
            self._task.configure(queue=queue_name(self._tenant, action), schedule_at=to_datetime(due), task_kwargs={"call": call}).job
            for action, call, due in rows
        ]
        await self._app.job_manager.batch_defer_jobs_async(jobs, connection=connection)

    async def run(self, advance: Advance, actions: Iterable[str]) -> None:
        """Advance what is due among these actions, until cancelled; a worker that ends by itself is told of, and begun again."""
        self._advance, stop = advance, asyncio.Event()
        working = asyncio.create_task(self._work_on([queue_name(self._tenant, action) for action in actions], stop))
        try:
            await asyncio.shield(working)
        finally:
            stop.set()
            while not working.done():  # however often we are cancelled: its jobs may come to rest
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait({working})

    async def _work_on(self, names: list[str], stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with self._app.open_async():
                    await self._work(names, stop)
            except Exception as error:  # noqa: BLE001 - it goes on
                log.error("the worker of the queue ended; it is begun again: %s", telemetry.places(error))  # noqa: TRY400 - not its words
            await _passed(stop, PAUSE)

    async def _work(self, names: list[str], stop: asyncio.Event) -> None:
        """Run a worker until it is to stop; raises what ends it before."""
        worker = Worker(
            self._app,
            queues=names,
            concurrency=AT_ONCE,
            fetch_job_polling_interval=FETCH_EVERY,
            update_heartbeat_interval=HEARTBEAT,
            stalled_worker_timeout=DEAD_AFTER,
            delete_jobs=DeleteJobCondition.ALWAYS,
            install_signal_handlers=False,
            shutdown_graceful_timeout=ENDS_WITHIN,
        )
        over = asyncio.Event()
        running, recovering = asyncio.create_task(worker.run()), asyncio.create_task(self._recover(over))  # type: ignore[no-untyped-call]
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({running, recovering, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # They are told to end: on Python 3.11 a cancellation could be lost in their pool of connections.
            worker.stop()  # type: ignore[no-untyped-call]
            over.set()
            stopped.cancel()
            _, left = await asyncio.wait({running, recovering}, timeout=2 * ENDS_WITHIN)
            for task in left:
                task.cancel()
        for task in {running, recovering} - left:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _recover(self, over: asyncio.Event) -> None:
        """Give the jobs of dead workers to the living, again and again."""
        while not over.is_set():
            for job in await self._app.job_manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER):
                with contextlib.suppress(ConnectorException):  # another process was quicker
                    await self._app.job_manager.retry_job(job)
            await _passed(over, DEAD_AFTER)

    async def _wake(self, call: str) -> None:
        """Advance a call; where that fails, the sweep finds it again."""
        assert self._advance is not None
        try:
            await self._advance(call)
        except Exception as error:  # noqa: BLE001 - its words may be about the customer
            log.error("call %s could not be advanced: %s", call, telemetry.places(error))  # noqa: TRY400


async def _passed(event: asyncio.Event, seconds: float) -> None:
    """Wait for so long, or until something happens."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
