"""The runtime: what a developer holds. Give it actions and policies; hand it what a model sends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..actions import Action, Catalog, Problem, ToolCall
from ..actions.dialects import dialect
from ..audit import Report, RightEdge, State, export, verify
from ..errors import KeyReused, Overloaded, StoreError
from ..policies import Check, check
from .advance import FIRST, advance
from .call import Call
from .clock import Clock
from .control import PolicyFolder, activate, active, enforce, guard, shapes
from .database import open_database
from .effects import HeldByEqual, Taken, claim
from .journal import Conflict
from .logs import DatabaseLog, Reproduction
from .outcome import Outcome, problem
from .people import People
from .phases import deny, travel
from .receive import Submission, idempotency, parse, receive
from .rejection import Rejections
from .sequencer import Sequencer
from .session import Session
from .statements import Write
from .store import Store
from .vault import Vault
from .views import CallView, Health, dry_outcome, health, outcome_of, placed_events, view
from .votes import Answer, cancel, confirm, vote
from .wakeups import Wakeups
from .work import Parts, Work

TRIES = 8
LONGEST_LINE = 2_000
"""Calls on their way at once in one process; more are told to come back."""
POLL = 0.2


class Runtime:
    """Run actions for an agent: validated, decided, approved, done at most once, and recorded.

    `actions` are actions, modules, catalogs, or names of entry-point groups; `policies` a folder or file; `database` a file
    (`remit.db`; `remit.keys` is made beside it on the first run). `resources` are the connectors that actions ask for by
    type; `clock` makes the clock. Raises `DefinitionError` and `PolicyError` at once; the database is opened by `start`, or
    at the first call.
    """

    def __init__(
        self,
        actions: Iterable[Any],
        *,
        policies: str | Path,
        database: str | Path = "remit.db",
        resources: Iterable[object] = (),
        tenant: str = "default",
        activate: bool = False,
        lease_margin: timedelta = timedelta(seconds=10),
        attempts: int = 5,
        clock: Callable[..., Clock] = Clock,
    ) -> None:
        self.catalog = Catalog(actions)
        self.database, self.tenant = Path(database), tenant
        self._resources = self.catalog.bind(resources)
        self._shapes = shapes(self.catalog)
        self._guards = {action.name: guard(action, self._shapes[action.name]) for action in self.catalog.values()}
        self._folder = PolicyFolder.read(Path(policies), self._shapes)
        self._activate, self._lease_margin, self._attempts = activate, lease_margin, attempts
        self._clock = clock
        self._started: asyncio.Task[None] | None = None
        self._running: dict[str, asyncio.Task[Call]] = {}
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> Self:
        """Open the database, make its keys on the first run, migrate it, and activate the policies. Safe to repeat."""
        if self._started is None:
            self._started = asyncio.create_task(self._start())
        try:
            await asyncio.shield(self._started)
        except BaseException:
            self._started = None
            raise
        return self

    async def close(self) -> None:
        """Let running calls rest, place the last events under a signed checkpoint, and close the database."""
        if self._started is None:
            return
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await self._rejections.flush()
        await self._sequencer.catch_up()
        await self.parts.store.close()
        self._started = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self.close()

    def tools(self, name: str) -> list[dict[str, Any]]:
        """Give the actions as one provider's API takes them: `openai`, `openai-responses`, `anthropic`, `gemini`, `bedrock`, `mcp`."""
        return dialect(name).tools(self.catalog.values())

    def read(self, name: str, message: Mapping[str, Any]) -> list[ToolCall]:
        """Find the tool calls in a model's message, in that provider's wire form."""
        return dialect(name).calls(message, self.catalog.values())

    def answer(self, name: str, pairs: Iterable[tuple[ToolCall, Outcome]]) -> list[dict[str, Any]]:
        """Give outcomes as what is appended to the conversation, in that provider's wire form."""
        return dialect(name).results((call, outcome.to_json()) for call, outcome in pairs)

    async def submit(
        self,
        call: ToolCall | Mapping[str, Any],
        session: Session,
        *,
        idempotency_key: str | None = None,
        wait: float | None = None,
        dry_run: bool = False,
        repeat_of: str | None = None,
    ) -> Outcome:
        """Take a model's tool call as far as it goes, and say what became of it.

        Nothing that a model sends raises. `idempotency_key` defaults to the provider's own id of the tool call; the same key
        again gives that call as it stands, and raises `KeyReused` for another request where the host chose the key. `wait`
        bounds the wait in seconds: the call goes on. `dry_run` decides and records nothing. `repeat_of` names the earlier
        call that a person means to repeat.
        """
        await self.start()
        if session.tenant != self.tenant:
            raise StoreError(f"this runtime serves the tenant {self.tenant!r}, not {session.tenant!r}")
        sent = call if isinstance(call, ToolCall) else ToolCall(call.get("id"), call.get("name", ""), call.get("arguments", {}))
        submission = Submission(tool_call=sent, session=session, key=idempotency_key or sent.id, repeat_of=repeat_of, dry_run=dry_run)
        read = parse(self.parts, submission)
        if isinstance(read, Problem):
            return await self._rejected(submission, read)
        try:
            return await self._submit(submission, *read, wait=wait)
        except KeyReused:
            if idempotency_key is not None:
                raise
            return Outcome(call_id=None, action=sent.name, state=State.DENIED, error=problem("key_reused"))
        except Overloaded:
            return Outcome(call_id=None, action=sent.name, state=State.DENIED, error=problem("overloaded", retry="later"))

    async def wait(self, call_id: str, timeout: float | None = None) -> Outcome:  # noqa: ASYNC109 - it bounds the wait, not the call
        """Wait until a call is final, at most `timeout` seconds, and give it as it then stands."""
        await self.start()
        try:
            async with asyncio.timeout(timeout):
                while not (call := self.parts.store.get(call_id)).final:
                    await self._moved(call)
        except TimeoutError:
            pass
        return outcome_of(self.parts, self.parts.store.get(call_id))

    async def get(self, call_id: str) -> Outcome:
        """Give a call as it stands; raises `CallNotFound`."""
        await self.start()
        return outcome_of(self.parts, self.parts.store.get(call_id))

    async def view(self, call_id: str) -> CallView:
        """Give everything about a call, for people: what was asked, by whom, what it waits for, and its events."""
        await self.start()
        return view(self.parts, self.parts.store.get(call_id))

    async def calls(self, *, state: str | None = None, action: str | None = None, before: int | None = None, most: int = 50) -> list[Call]:
        """List calls, the latest first."""
        await self.start()
        return self.parts.store.calls(state=state, action=action, before=before, most=most)

    async def inbox(self) -> list[CallView]:
        """List the calls that somebody is asked about now, the most urgent first: what will run, and why it stopped."""
        await self.start()
        ids = dict.fromkeys(one.call for one in self.parts.store.open_requirements())
        return [view(self.parts, self.parts.store.get(call_id)) for call_id in ids]

    async def events(self, *, after: int = -1, most: int = 100) -> list[Mapping[str, Any]]:
        """List events in the log's order from behind place `after`: clear parts and commitments, no personal values."""
        await self.start()
        return placed_events(self.parts, after=after, most=most)

    async def health(self) -> Health:
        """Say how this process and its database stand; raises `StoreError` when the database can't be read."""
        await self.start()
        return health(self.parts, running=len(self._running))

    async def export(self, folder: Path, *, disclose: bool) -> None:
        """Write the log as a new folder that anyone can verify; `disclose` adds the openings of personal values."""
        await self.start()
        await self._sequencer.catch_up()
        await asyncio.to_thread(export, DatabaseLog(self.parts, sealed=not disclose), folder)

    async def vote(
        self, approval: str, *, person: str, answer: Answer, reason: str = "", digest: str | None = None, via: str = "api"
    ) -> Outcome:
        """Count a person's answer to an approval (its id, or its call's), and take the call on from there."""
        await self.start()
        voted = await vote(self.parts, self.people, approval, person=person, answer=answer, reason=reason, digest=digest, via=via)
        return await self._go_on(voted.id)

    async def confirm(self, call_id: str, *, subject: str, answer: Answer = "approve", digest: str | None = None) -> Outcome:
        """Count the customer's own answer; the host has authenticated them as `subject`, through a channel that no model reaches."""
        await self.start()
        return await self._go_on((await confirm(self.parts, call_id, subject=subject, answer=answer, digest=digest)).id)

    async def cancel(self, call_id: str, *, by: str, reason: str = "") -> Outcome:
        """End a call that has not started; raises `AlreadyStarted` or `AlreadySettled`."""
        await self.start()
        return outcome_of(self.parts, await cancel(self.parts, call_id, by=by, reason=reason))

    async def reload_policies(self, *, by: str) -> str:
        """Read the policy folder again and put it in force everywhere; gives the bundle's digest. A broken folder changes nothing."""
        folder = PolicyFolder.read(self._folder.path, self._shapes)
        self._activate = True
        await self.start()
        self._put_in_force(await activate(self.parts, folder.policies, by=by))
        return folder.policies.digest

    def check_policies(self) -> Check:
        """Read the policy folder as it is now: what is wrong, and what is probably not meant. Changes nothing, needs no database."""
        return check(self._folder.path, self._shapes)

    async def verify(self) -> Report:
        """Check the whole log of this database: integrity, meaning, and every decision reproduced."""
        await self.start()
        await self._sequencer.catch_up()
        log = DatabaseLog(self.parts)
        return await asyncio.to_thread(verify, log, decide=Reproduction(log.bundles(), self._shapes))

    async def _start(self) -> None:
        database = open_database(self.database)
        store = Store(database, self.tenant)
        try:
            await self._open(store)
        except BaseException:
            await store.close()
            raise

    async def _open(self, store: Store) -> None:
        known = enforce(store, self._folder, activate=self._activate)
        self.parts = Parts(
            store=store,
            vault=Vault(store),
            clock=self._clock(last_recorded=store.last_recorded()),
            log_id=store.row("SELECT value FROM store_meta WHERE key = 'log_id'")[0],
            catalog=self.catalog,
            guards=self._guards,
            resources=self._resources,
            control=known or active(store, self._shapes) or _nothing_yet(self._folder),
            lease_margin=self._lease_margin,
            attempts=self._attempts,
        )
        if store.row("SELECT 1 FROM log_head WHERE tenant = ?", (self.tenant,)) is None:
            await store.commit([Write("head.open", (self.tenant, 0, 0, RightEdge().to_bytes()))])
        if known is None:
            self._put_in_force(await activate(self.parts, self._folder.policies, by="the folder at start"))
        self.people = People(self.parts)
        self._rejections, self._sequencer = Rejections(self.parts), Sequencer(self.parts)
        wakeups = Wakeups(self.parts, self._advance, self._rejections)
        self._background = [asyncio.create_task(self._sequencer.run()), asyncio.create_task(wakeups.run())]

    def _put_in_force(self, control: Any) -> None:
        self.parts.control.epoch, self.parts.control.policies = control.epoch, control.policies

    async def _rejected(self, submission: Submission, found: Problem) -> Outcome:
        error = self._rejections.capped(submission, found)
        call_id = None if submission.dry_run else await self._rejections.record(submission, error)
        name = submission.tool_call.name if isinstance(submission.tool_call.name, str) else ""
        return Outcome(call_id=call_id, action=name, state=State.REJECTED, error=error, dry_run=submission.dry_run)

    async def _submit(self, submission: Submission, action: Action, arguments: Any, *, wait: float | None) -> Outcome:
        for _ in range(TRIES):
            work = await receive(self.parts, submission, action, arguments)
            if (earlier := self._earlier(submission, work)) is not None:
                return await self._await(earlier, wait, repeated=True)
            try:
                claimed = claim(self.parts, work, repeat_of=submission.repeat_of)
            except HeldByEqual as held:
                return await self._await(held.holder.id, wait, repeated=True)
            begun = deny(work, claimed.code, holder=claimed.holder) if isinstance(claimed, Taken) else claimed
            if submission.dry_run:
                return dry_outcome(self.parts, await travel(self.parts, begun, FIRST[:-1]))
            try:
                return await self._begin(begun, wait)
            except Conflict:
                self._refresh()
        raise Overloaded

    def _earlier(self, submission: Submission, work: Work) -> str | None:
        key = idempotency(self.parts, submission)
        earlier = self.parts.store.by_idempotency(key) if key else None
        if earlier is not None and earlier.fingerprint != work.call.fingerprint:
            raise KeyReused
        return earlier.id if earlier else None

    async def _begin(self, work: Work, wait: float | None) -> Outcome:
        """Start a new call in a task of the runtime's own: a caller who goes away never cancels it."""
        if len(self._running) >= LONGEST_LINE:
            raise Overloaded
        phases = () if work.at_rest else FIRST
        task = asyncio.create_task(self._travel(work, phases), name=work.call.id)
        self._running[work.call.id] = task
        task.add_done_callback(lambda _: self._running.pop(work.call.id, None))
        done, _ = await asyncio.wait({task}, timeout=wait)
        return outcome_of(self.parts, task.result() if done else self.parts.store.find(work.call.id) or work.call)

    async def _travel(self, work: Work, phases: Any) -> Call:
        try:
            return (await travel(self.parts, work, phases)).call
        except Conflict:
            if (stored := self.parts.store.find(work.call.id)) is None:
                raise  # nothing was written: begin again
            return stored  # recovery was quicker: what it found is what happened

    async def _advance(self, call_id: str) -> Call:
        """Take up a stored call, unless this process is at it already."""
        if (running := self._running.get(call_id)) is None:
            running = asyncio.create_task(self._advance_once(call_id), name=call_id)
            self._running[call_id] = running
            running.add_done_callback(lambda _: self._running.pop(call_id, None))
        return await asyncio.shield(running)

    async def _advance_once(self, call_id: str) -> Call:
        for _ in range(TRIES):
            try:
                return await advance(self.parts, call_id)
            except Conflict:
                self._refresh()
        return self.parts.store.get(call_id)

    async def _go_on(self, call_id: str) -> Outcome:
        return outcome_of(self.parts, await self._advance(call_id))

    def _refresh(self) -> None:
        """Take over the policies that another process has put in force meanwhile."""
        row = self.parts.store.control()
        if row is not None and row[0] != self.parts.control.epoch and (now := active(self.parts.store, self._shapes)):
            self._put_in_force(now)

    async def _await(self, call_id: str, wait: float | None, *, repeated: bool) -> Outcome:
        """Give an earlier call's outcome, waiting while it is on its way."""
        try:
            async with asyncio.timeout(wait):
                while (call := self.parts.store.get(call_id)).state in {State.NEW, State.EXECUTING}:
                    await self._moved(call)
        except TimeoutError:
            pass
        return outcome_of(self.parts, self.parts.store.get(call_id), repeated=repeated)

    async def _moved(self, call: Call) -> None:
        """Wait until the call has moved: told so in this process, looked up for another's."""
        waiter = self.parts.changed.setdefault(call.id, asyncio.Event())
        found = self.parts.store.find(call.id)
        if found is not None and found.version != call.version:
            return
        try:
            await asyncio.wait_for(waiter.wait(), POLL)
        except TimeoutError:
            return


def _nothing_yet(folder: PolicyFolder) -> Any:
    from .work import Control

    return Control(0, folder.policies)
