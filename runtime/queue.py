"""Wake-ups on PostgreSQL, through procrastinate: a job is deferred in the journal's own transaction, and a worker advances its call.

A job says only which call to take up; `advance` looks at what is due, so a job that runs twice, late, or for nothing does no harm. What
no job wakes (a worker that was killed with it, an attempt whose lease ended) is found by the sweep of `wakeups.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

from procrastinate import App, PsycopgConnector
from procrastinate.jobs import DeleteJobCondition
from procrastinate.worker import Worker
from psycopg import AsyncConnection

from . import telemetry
from .call import Call
from .clock import to_datetime

Advance = Callable[[str], Awaitable[Call]]

FETCH_EVERY = 0.5
HEARTBEAT = 5.0
DEAD_AFTER = 15.0
AT_ONCE = 16
ENDS_WITHIN = 5.0
PAUSE = 1.0
TASK = "remit.advance"

log = telemetry.logger("remit.queue")


class Queue:
    """The queues of one tenant: one for each action, so that a worker takes up only what it has."""

    def __init__(self, url: str, tenant: str) -> None:
        connector = PsycopgConnector(conninfo=url, min_size=1, max_size=4)
        self._app, self._tenant = App(connector=connector), tenant
        self._advance: Advance | None = None
        self._task = self._app.task(name=TASK)(self._wake)

    async def defer(self, connection: AsyncConnection[Any], rows: Iterable[Sequence[Any]]) -> None:
        """Let calls be taken up, each `(action, call, due)` in microseconds, if the transaction on this connection commits."""
        jobs = [
            self._task.configure(queue=self._name(action), schedule_at=to_datetime(due), task_kwargs={"call": call}).job
            for action, call, due in rows
        ]
        await self._app.job_manager.batch_defer_jobs_async(jobs, connection=connection)

    async def run(self, advance: Advance, actions: Iterable[str]) -> None:
        """Advance what is due among these actions, until cancelled; a worker that ends by itself is begun again."""
        self._advance, names = advance, [self._name(action) for action in actions]
        async with self._opened():
            while True:
                try:
                    await self._work(names)
                except Exception as error:  # noqa: BLE001 - it goes on
                    log.error("the worker of the queue ended; it is begun again: %s", telemetry.places(error))  # noqa: TRY400 - not its words
                await asyncio.sleep(PAUSE)

    async def depth(self, now: int) -> int:
        """Count the jobs that are due and that nobody has taken yet."""
        async with self._opened():
            waiting = await self._app.job_manager.list_jobs_async(status="todo", task=TASK)
        due = to_datetime(now)
        return sum(job.queue.startswith(self._name("")) and (job.scheduled_at is None or job.scheduled_at <= due) for job in waiting)

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        """Open the connections; to be cancelled in the middle of that would leave some of them behind."""
        opening = asyncio.ensure_future(self._app.open_async())
        try:
            await asyncio.shield(opening)
            yield
        finally:
            await opening
            await self._app.close_async()

    async def _work(self, names: list[str]) -> None:
        """Run a worker until it ends, or until we are cancelled: then it is told to stop, and its jobs may come to rest."""
        for job in await self._app.job_manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER):
            await self._app.job_manager.retry_job(job)  # of a worker that died
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
        running = asyncio.ensure_future(worker.run())  # type: ignore[no-untyped-call]
        try:
            await asyncio.wait({running})
        finally:
            worker.stop()  # type: ignore[no-untyped-call]
            await asyncio.wait({running}, timeout=2 * ENDS_WITHIN)
            running.cancel()
        running.result()

    async def _wake(self, call: str) -> None:
        assert self._advance is not None
        try:
            await self._advance(call)
        except Exception as error:  # noqa: BLE001 - procrastinate would log its words; the sweep finds the call again
            log.error("call %s could not be advanced: %s", call, telemetry.places(error))  # noqa: TRY400 - not its words

    def _name(self, action: str) -> str:
        return f"remit.{self._tenant}.{action}"
