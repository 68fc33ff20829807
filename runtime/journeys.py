"""The calls on their way in this process, each in a task of its own: a caller who goes away never cancels a call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from ..actions import Action, Arguments
from ..audit import State
from ..errors import KeyReused, Overloaded, RemitError
from . import telemetry
from .admission import Admission
from .advance import FIRST, advance
from .call import Call
from .control import refresh
from .effects import Taken, asked_by, claim
from .journal import Conflict, LimitReached
from .lingering import watch
from .outcome import Outcome
from .phases import deny, travel
from .receive import Submission, proposed, receive
from .undoing import undo_of
from .views import dry_outcome, outcome_of
from .work import Parts, Work

TRIES = 8
POLL = 0.2

log = telemetry.logger("remit.journeys")


class Journeys:
    """Take calls on, new ones and stored ones, until they rest; no call is under way twice in one process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._tasks: dict[str, asyncio.Task[Call]] = {}
        self._watchers: set[asyncio.Task[None]] = set()
        self._inside = 0
        self.admission = Admission()
        parts.store.journal.waited = self.admission.waited

    def __len__(self) -> int:
        return len(self._tasks)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Let one more call in, or raise `Overloaded` where it would be too many; whatever is let in may finish."""
        try:
            self.admission.admit(max(self._inside, len(self._tasks)), self._parts.store.journal.depth)
        except Overloaded:
            telemetry.refused()
            raise
        self._inside += 1  # it has no task yet, and may wait before it gets one
        try:
            yield
        finally:
            self._inside -= 1

    async def submit(self, submission: Submission, action: Action, arguments: Arguments, *, wait: float | None) -> Outcome:
        """Begin a new call, or give the earlier one that it repeats; raises `KeyReused` and `Overloaded`."""
        received = await receive(self._parts, submission, action, arguments)
        begun = await self._placed(submission, received)
        if isinstance(begun, Call):
            return await self.outcome(begun.id, wait, repeated=True)
        if submission.dry_run:
            return await dry_outcome(self._parts, await travel(self._parts, begun, () if begun.at_rest else FIRST[:-1]))
        if action.effect.writes and not begun.at_rest:
            self.admission.proved()
        task = self._start(received.call.id, self._travel(submission, received, begun))
        await asyncio.wait({task}, timeout=wait)
        if (written := await self._written(received.call, task)) is not None:
            return await outcome_of(self._parts, written)
        if (call := task.result()).id != received.call.id:
            return await self.outcome(call.id, wait, repeated=True)
        return await outcome_of(self._parts, call)

    async def advance(self, call_id: str) -> Call:
        """Take up a stored call where it stands."""
        while (running := self._tasks.get(call_id)) is not None:
            await asyncio.wait({running})  # what it has seen may be older than what was just committed
        return await asyncio.shield(self._start(call_id, self._advance(call_id)))

    async def _written(self, call: Call, task: asyncio.Task[Call]) -> Call | None:
        """Wait until a call that is on its way is in the database: an id that is given must not be lost. None once it rests."""
        while not task.done():
            if (stored := await self._parts.store.find(call.id)) is not None:
                return stored
            moving = asyncio.create_task(self._moved(call))
            await asyncio.wait({task, moving}, return_when=asyncio.FIRST_COMPLETED)
            moving.cancel()
        return None

    async def outcome(self, call_id: str, wait: float | None, *, repeated: bool) -> Outcome:
        """Give an earlier call's outcome, waiting while it is on its way."""
        call = await self._until(call_id, wait, lambda call: call.state not in {State.NEW, State.EXECUTING})
        return await outcome_of(self._parts, call, repeated=repeated)

    async def end(self, call_id: str, wait: float | None) -> Outcome:
        """Wait until a call is final, and give it as it then stands."""
        return await outcome_of(self._parts, await self._until(call_id, wait, lambda call: call.final))

    async def rest(self) -> None:
        """Wait until nothing is on its way."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)

    def _start(self, call_id: str, journey: Coroutine[Any, Any, Call]) -> asyncio.Task[Call]:
        task = self._tasks[call_id] = asyncio.create_task(telemetry.journey(call_id, journey), name=call_id)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Call]) -> None:
        call_id = task.get_name()
        del self._tasks[call_id]
        self.admission.rested()
        if (left := self._parts.lingering.pop(call_id, None)) is not None:
            watcher = asyncio.create_task(watch(self._parts, call_id, left))
            self._watchers.add(watcher)
            watcher.add_done_callback(self._watchers.discard)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Whoever waits is told; but perhaps nobody does any more.
            log.log(logging.DEBUG if isinstance(error, RemitError) else logging.ERROR, "call %s: %s", call_id, telemetry.places(error))

    async def _placed(self, submission: Submission, received: Work) -> Work | Call:
        """Say where a new call stands among those before it: in its own right, denied, or as the earlier call that it repeats."""
        before = await self._parts.store.earlier(received.call)
        if before.same is not None:
            same = await self._parts.store.get(before.same)
            if not same.erased and received.call.fingerprint not in {same.fingerprint, await proposed(self._parts, same)}:
                raise KeyReused
            if same.pruned and not await asked_by(self._parts, same, received.asker.pseudonym):
                raise KeyReused
            return same
        if submission.undoes is not None and (under_way := await undo_of(self._parts, submission.undoes)) is not None:
            return under_way
        if before.declined is not None and before.declined != submission.repeat_of:
            return deny(received, "declined", holder=before.declined)
        claimed = await claim(self._parts, received, before.holds, repeat_of=submission.repeat_of)
        if not isinstance(claimed, Taken):
            return claimed
        # That somebody else holds the key is told only to whom the object belongs: else it would say that there is one.
        return received.evolve(conflict=True) if claimed.holder is None else deny(received, claimed.code, holder=claimed.holder)

    async def _travel(self, submission: Submission, received: Work, begun: Work) -> Call:
        for _ in range(TRIES):
            try:
                return (await travel(self._parts, begun, () if begun.at_rest else FIRST)).call
            except Conflict as conflict:
                if (stored := await self._parts.store.find(received.call.id)) is not None:
                    return stored  # recovery was quicker: what it found is what happened
                found = conflict.found if isinstance(conflict, LimitReached) else {}
            # Nothing was written: somebody else took a key or what a limit had left meanwhile, or changed the policies.
            await refresh(self._parts)
            again = await self._placed(submission, received)
            if isinstance(again, Call):
                return again
            begun = again.evolve(found=found)  # so that a mere limit takes one further try, whatever others take and give back
        raise Overloaded(after=self.admission.pause(len(self._tasks)))

    async def _advance(self, call_id: str) -> Call:
        for _ in range(TRIES):
            try:
                return await advance(self._parts, call_id)
            except Conflict:
                await refresh(self._parts)
        return await self._parts.store.get(call_id)

    async def _until(self, call_id: str, wait: float | None, enough: Any) -> Call:
        store = self._parts.store
        try:
            async with asyncio.timeout(wait):
                while not enough(call := await store.get(call_id)):
                    await self._moved(call)
        except TimeoutError:
            pass
        return await store.get(call_id)

    async def _moved(self, call: Call) -> None:
        """Wait until the call has moved: told so in this process, looked up for another's."""
        waiter = self._parts.changed.setdefault(call.id, asyncio.Event())
        try:
            async with asyncio.timeout(POLL):  # `wait_for` loses a cancellation that comes when it is done, before Python 3.12
                await waiter.wait()
        except TimeoutError:
            pass  # another process may end it
        finally:
            if self._parts.changed.get(call.id) is waiter:  # nobody may ever tell it, whoever stopped waiting; who else waits looks up
                del self._parts.changed[call.id]
