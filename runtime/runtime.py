"""The runtime: what a developer holds. Give it actions and policies; hand it what a model sends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..actions import Catalog, Problem, ToolCall
from ..actions.dialects import dialect
from ..audit import Report, State, export, export_tiles, verify
from ..errors import KeyReused, Overloaded, PolicyError, StoreError
from ..policies import Check, Results, check, is_test, load, read_tests, run_cases
from . import telemetry
from .access import LOCAL_OPERATOR, noted
from .activation import activate_policies, asked
from .afterwards import Afterwards
from .amend import amend
from .answering import Answer
from .background import begun, ended
from .breaker import Breakers, Breaking
from .bundles import Bundles
from .call import Call
from .clock import Clock
from .confirmation import Confirmation, confirm, confirmation
from .control import PolicyFolder, guard, nothing, put_in_force, put_nothing_in_force, shapes
from .database import open_database
from .hindsight import Hindsight
from .holds import Holds
from .identity import StepUp
from .inbox import most_urgent
from .journeys import Journeys
from .logs import DatabaseLog, Reproduction
from .migrating import is_postgres
from .outcome import Outcome, problem
from .people import People
from .proof import Proving
from .reading import Reading
from .receive import Submission, parse
from .rejection import Rejections
from .review import Review, review
from .sequencer import Sequencer
from .session import Session
from .step_up import CodeSent, send_code, step_up
from .store import Store
from .stored import roles_held
from .subjects import Subjects
from .switches import Switches
from .vault import Vault
from .views import CallView, Health, health, outcome_of, placed_events, view
from .votes import vote
from .wakeups import Wakeups
from .work import Control, Parts

MANAGED = "managed"


class Runtime(Afterwards, Hindsight, Proving, Reading):
    """Run actions for an agent: validated, decided, approved, done at most once, and recorded.

    `actions` are actions, modules, catalogs, or names of entry-point groups; `policies` a folder or file, or "managed": then they are
    proposed, and put in force by a call of the action `activate_policies`, which is there for people only; `database` a file
    (`remit.db`; its keys are made beside it on the first run) or `postgresql://…`, whose keys are the file `keys`. `resources` are the
    connectors that actions ask for by type; `clock` makes the clock, `step_up` are the ways in which a customer can prove who they are,
    and `breaking` says when a connector counts as out of reach. `wakeups=False` leaves calls that rest to other processes, such as
    `remit worker`. Raises `DefinitionError` and `PolicyError` at once; the database is opened by `start`, or at the first call.
    """

    def __init__(
        self,
        actions: Iterable[Any],
        *,
        policies: str | Path,
        database: str | Path = "remit.db",
        keys: str | Path = "remit.keys",
        resources: Iterable[object] = (),
        tenant: str = "default",
        activate: bool = False,
        lease_margin: timedelta = timedelta(seconds=10),
        attempts: int = 5,
        clock: Callable[..., Clock] = Clock,
        step_up: StepUp | None = None,
        breaking: Breaking | None = None,
        wakeups: bool = True,
    ) -> None:
        self._offered = Catalog(actions)
        self._resources = self._offered.bind(resources)
        self.managed = policies == MANAGED
        self.catalog = Catalog([*self._offered.values(), activate_policies]) if self.managed else self._offered
        self.database, self.tenant = database if is_postgres(database) else Path(database), tenant
        self.keys = Path(keys)
        self._shapes = shapes(self.catalog)
        self._guards = {action.name: guard(action, self._shapes[action.name]) for action in self.catalog.values()}
        self._own_folder = None if self.managed else PolicyFolder.read(Path(policies), self._shapes)
        self._activate = "the folder at start" if activate else ""
        self._lease_margin, self._attempts = lease_margin, attempts
        self._clock, self._step_up, self._breaking, self.wakeups = clock, step_up, breaking or Breaking(), wakeups
        self._started: asyncio.Task[None] | None = None
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> Self:
        """Open the database, make its keys on the first run, migrate it, and activate the policies. Safe to repeat.

        Raises `DatabaseTooNew`, later as well: when a newer Remit has brought the database forward meanwhile.
        """
        if self._started is None or _failed(self._started):
            self._started = asyncio.create_task(self._start())
        await asyncio.shield(self._started)
        if self.parts.control.outdated is not None:
            raise self.parts.control.outdated
        return self

    async def close(self) -> None:
        """Let running calls rest, place the last events under a signed checkpoint, and close the database."""
        if self._started is None or _failed(self._started):
            return
        await self._started
        await ended(self._background)
        try:
            await self._journeys.rest()
            await self._rejections.flush()
            await self._sequencer.finish()
        finally:
            self._started = None
            await self.parts.store.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self.close()

    def tools(self, name: str) -> list[dict[str, Any]]:
        """Give the actions as one provider's API takes them: `openai`, `openai-responses`, `anthropic`, `gemini`, `bedrock`, `mcp`."""
        return dialect(name).tools(self._offered.values())

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
        bounds the wait in seconds, from when the call is written; it goes on. `dry_run` decides and records nothing. `repeat_of`
        names the earlier call that a person means to repeat.
        """
        await self.start()
        if session.tenant != self.tenant:
            raise StoreError(f"this runtime serves the tenant {self.tenant!r}, not {session.tenant!r}")
        sent = call if isinstance(call, ToolCall) else ToolCall(call.get("id"), call.get("name", ""), call.get("arguments", {}))
        key = idempotency_key or sent.id or None  # some models send empty ids
        submission = Submission(tool_call=sent, session=session, key=key, repeat_of=repeat_of, dry_run=dry_run)
        read = parse(self.parts, submission)
        try:
            with self._journeys.admitted():
                if isinstance(read, Problem):
                    return await self._rejected(submission, read)
                return await self._journeys.submit(submission, *read, wait=wait)
        except KeyReused:
            if idempotency_key is not None:
                raise
            return Outcome(call_id=None, action=sent.name, state=State.DENIED, error=problem("key_reused"))
        except Overloaded as overloaded:
            refused = problem(overloaded.code, overloaded.message, retry="later")
            return Outcome(call_id=None, action=sent.name, state=State.DENIED, error=refused, retry_after=overloaded.after)

    async def wait(self, call_id: str, timeout: float | None = None) -> Outcome:  # noqa: ASYNC109 - it bounds the wait, not the call
        """Wait until a call is final, at most `timeout` seconds, and give it as it then stands."""
        await self.start()
        return await self._journeys.end(call_id, timeout)

    async def get(self, call_id: str) -> Outcome:
        """Give a call as it stands; raises `CallNotFound`."""
        await self.start()
        return await outcome_of(self.parts, await self.parts.store.get(call_id))

    async def view(self, call_id: str) -> CallView:
        """Give everything about a call, for people: what was asked, by whom, what it waits for, and its events."""
        await self.start()
        return await view(self.parts, await self.parts.store.get(call_id))

    async def calls(self, *, state: str | None = None, action: str | None = None, before: int | None = None, most: int = 50) -> list[Call]:
        """List calls, the latest first."""
        await self.start()
        return await self.parts.store.calls(state=state, action=action, before=before, most=most)

    async def inbox(self, *, person: str | None = None) -> list[CallView]:
        """List the calls that somebody is asked about now, or that `person` could approve: the 200 most urgent ones."""
        await self.start()
        return [await view(self.parts, call) for call in await most_urgent(self.parts, self.people, person)]

    async def events(self, *, after: int = -1, most: int = 100) -> list[Mapping[str, Any]]:
        """List events in the log's order from behind place `after`: clear parts and commitments, no personal values."""
        await self.start()
        return await placed_events(self.parts, after=after, most=most)

    async def health(self) -> Health:
        """Say how this process and its database stand; raises `StoreError` when the database can't be read."""
        await self.start()
        return await health(self.parts, running=len(self._journeys))

    async def export(self, folder: Path, *, disclose: bool = False, tiles: bool = False, by: str = LOCAL_OPERATOR) -> None:
        """Write the log as a new folder that anyone can verify; `disclose` adds the openings of personal values. `by` is recorded.

        With `tiles` in the form of C2SP tlog-tiles, which has no openings and goes on where an earlier export ended.
        """
        await self.start()
        await self._sequencer.catch_up()

        def exported() -> None:
            with DatabaseLog(self.parts, sealed=not disclose) as log:
                (export_tiles if tiles else export)(log, folder)

        await noted(self.parts, "audit.exported", by, sought={"disclose": disclose, "tiles": tiles})
        await asyncio.to_thread(exported)

    async def vote(
        self,
        approval: str,
        *,
        person: str,
        answer: Answer,
        reason: str = "",
        digest: str | None = None,
        shown: str | None = None,
        via: str = "api",
    ) -> Outcome:
        """Count a person's answer to an approval (its id, or its call's), and take the call on from there."""
        await self.start()
        seen = {"digest": digest, "shown": shown}
        voted = await vote(self.parts, self.people, approval, person=person, answer=answer, reason=reason, via=via, **seen)
        return await outcome_of(self.parts, await self._journeys.advance(voted.id))

    async def confirm(
        self, call_id: str, *, subject: str, answer: Answer = "approve", digest: str | None = None, shown: str | None = None
    ) -> Outcome:
        """Count the customer's own answer; the host has authenticated them as `subject`, through a channel that no model reaches."""
        await self.start()
        confirmed = await confirm(self.parts, call_id, subject=subject, answer=answer, digest=digest, shown=shown)
        return await outcome_of(self.parts, await self._journeys.advance(confirmed.id))

    async def confirmation(self, call_id: str, *, subject: str) -> Confirmation:
        """Give what the customer is asked to confirm, in their own language; the host has authenticated them as `subject`."""
        await self.start()
        return await confirmation(self.parts, call_id, subject=subject)

    async def send_code(self, call_id: str, *, subject: str) -> CodeSent:
        """Send the customer a one-time code; raises `CodeNotSent` where none could be sent, or too many were."""
        await self.start()
        return await send_code(self.parts, call_id, subject=subject)

    async def step_up(self, call_id: str, *, subject: str, code: str | None = None, token: str | None = None) -> Outcome:
        """Take the customer's one-time code, or a token of the host, as proof, and take the call on; raises `CodeNotAccepted`."""
        await self.start()
        proved = await step_up(self.parts, call_id, subject=subject, code=code, token=token)
        return await outcome_of(self.parts, await self._journeys.advance(proved.id))

    async def amend(self, call_id: str, *, by: str, arguments: Mapping[str, Any], reason: str = "", digest: str | None = None) -> Outcome:
        """Put arguments, as a model sends them, in place of those of a waiting call, and decide it anew; raises `NotAmended`."""
        await self.start()
        amended = await amend(self.parts, self.people, call_id, by=by, arguments=arguments, reason=reason, digest=digest)
        return await outcome_of(self.parts, await self._journeys.advance(amended.id))

    async def review(self, call_id: str) -> Review:
        """Give what an approver needs to know: the call, why it stopped, what it does to the limits, and what was done before."""
        await self.start()
        return await review(self.parts, await self.parts.store.get(call_id))

    @property
    def link_key(self) -> bytes:
        """Give the key (32 bytes) that seals links to a confirmation; it can be had once the runtime has started."""
        return self.parts.vault.hash("key", "link")

    async def reload_policies(self, *, by: str) -> str:
        """Read the policy folder again and put it in force everywhere; gives the bundle's digest. A broken folder changes nothing."""
        self._own_folder, self._activate = PolicyFolder.read(self.folder.path, self._shapes), by
        await self.start()
        await put_in_force(self.parts, self.folder, by=by, activate=True)
        return self.folder.policies.digest

    def check_policies(self) -> Check:
        """Read the policy folder as it is now: what is wrong, and what is probably not meant. Changes nothing.

        Needs no database; where there is one, it also warns of roles that nobody has.
        """
        return check(self.folder.path, self._shapes, roles_held(self.database, self.tenant))

    def test_policies(self, path: Path | None = None) -> Results:
        """Decide the cases of the test files beside the policies, or of `path`: another folder, or one test file. Needs no database.

        Raises `PolicyError` for a policy or a test file that can't be used.
        """
        place = path or self.folder.path
        policies = load(self.folder.path if is_test(place) else place, self._shapes)
        return run_cases(policies, read_tests(place), self._shapes)

    async def activate_policies(self, bundle: str, *, person: str, channel: str = "api") -> Outcome:
        """Ask, in a person's name, for a proposed bundle to be put in force; the one in force decides whether, and who must agree.

        Raises `UnknownBundle` and, where the policies are a folder, `PolicyError`.
        """
        await self.start()
        if not self.managed:
            raise PolicyError("the policies are those of a folder; `remit policy reload` puts it in force")
        return await self.submit(*asked((await self.bundles.find(bundle)).digest, person, self.tenant, channel))

    @property
    def folder(self) -> PolicyFolder:
        """Give the policy folder as it was read last; raises `PolicyError` where the policies are managed."""
        if self._own_folder is None:
            raise PolicyError("the policies are managed, not a folder's: `remit policy propose` and `remit policy activate` change them")
        return self._own_folder

    async def verify(self, *, by: str = LOCAL_OPERATOR) -> Report:
        """Check the whole log of this database: integrity, meaning, and every decision reproduced. `by` is recorded."""
        await self.start()
        await self._sequencer.catch_up()

        def verified() -> Report:
            with DatabaseLog(self.parts) as log:
                return verify(log, decide=Reproduction(log.bundles(), self._shapes))

        report = await asyncio.to_thread(verified)
        await noted(self.parts, "audit.verified", by, sought={"ok": report.ok}, found=report.entries)
        return report

    async def _start(self) -> None:
        database = open_database(self.database, tenant=self.tenant, keys=self.keys)
        store = Store(database, self.tenant)
        try:
            await self._open(store)
        except BaseException:
            await store.close()
            raise

    async def _open(self, store: Store) -> None:
        clock = self._clock(last_recorded=await store.last_recorded())
        follows = self._clock is Clock or await store.time() is None  # a clock of one's own is not overruled by a server's
        if follows:
            await store.share_time(clock)
        self.parts = Parts(
            store=store,
            vault=Vault(store),
            clock=clock,
            follows=follows,
            log_id=(await store.row("SELECT value FROM store_meta WHERE key = 'log_id'"))[0],
            catalog=self.catalog,
            guards=self._guards,
            resources=(resources := dict(self._resources)),
            control=Control(0, nothing() if self.managed else self.folder.policies),
            breakers=Breakers(self._breaking, clock),
            lease_margin=self._lease_margin,
            attempts=self._attempts,
            step_up=self._step_up,
        )
        self.people, self._journeys = People(self.parts), Journeys(self.parts)
        self.switches, self.bundles = Switches(self.parts, self.people), Bundles(self.parts, self.people)
        self.holds = Holds(self.parts)
        self.subjects = Subjects(self.parts, self.people, self.holds)
        resources[Bundles] = self.bundles
        self._rejections, self._sequencer = Rejections(self.parts), Sequencer(self.parts, self._journeys.admission)
        await self._sequencer.open()
        if self.managed:
            await put_nothing_in_force(self.parts)
        else:
            await put_in_force(self.parts, self.folder, by=self._activate or "the folder at start", activate=bool(self._activate))
        await self.subjects.go_on()
        wakeups = Wakeups(self.parts, self._journeys.advance, self._rejections, wake=self.wakeups)
        self._background = begun(self.parts, self._journeys, self._sequencer, wakeups)
        self.breakers.listeners.append(telemetry.breaker)

    async def _rejected(self, submission: Submission, found: Problem) -> Outcome:
        error = self._rejections.capped(submission, found)
        call_id = None if submission.dry_run else await self._rejections.record(submission, error)
        name = submission.tool_call.name if isinstance(submission.tool_call.name, str) else ""
        telemetry.rejected(name if name in self.catalog else None, error.code)
        return Outcome(call_id=call_id, action=name, state=State.REJECTED, error=error, dry_run=submission.dry_run)


def _failed(start: asyncio.Task[None]) -> bool:
    return start.done() and (start.cancelled() or start.exception() is not None)
