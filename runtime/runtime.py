"""The runtime: what a developer holds. Give it actions and policies; hand it what a model sends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..actions import Catalog, Ledger, Problem, ToolCall
from ..actions.dialects import dialect
from ..audit import State
from ..errors import KeyReused, Overloaded, PolicyError, StoreError
from ..policies import Check, Results, check, is_test, load, read_tests, run_cases
from . import telemetry
from .activation import activate_policies, asked
from .afterwards import Afterwards
from .background import begun, ended
from .breaker import Breakers, Breaking
from .bundles import Bundles
from .clock import Clock
from .control import PolicyFolder, guard, nothing, put_in_force, put_nothing_in_force, shapes
from .database import open_database
from .hindsight import Hindsight
from .holds import Holds
from .identity import StepUp
from .journeys import Journeys
from .migrating import is_postgres
from .outcome import Outcome, problem
from .people import People
from .proof import Proving
from .pruning import Pruning
from .publishing import Publishing
from .reading import Reading
from .receive import Submission, parse
from .rejection import Rejections
from .retention import Retention
from .revealing import Revealing
from .sequencer import Sequencer
from .session import Session
from .store import Store
from .stored import roles_held
from .subjects import Subjects
from .switches import Switches
from .vault import Vault
from .views import Health, health, outcome_of
from .waiting import Waiting
from .wakeups import Wakeups
from .work import Control, Parts

MANAGED = "managed"


class Runtime(Afterwards, Hindsight, Proving, Reading, Waiting):
    """Run actions for an agent: validated, decided, approved, done at most once, and recorded.

    `actions` are actions, modules, catalogs, or names of entry-point groups; `policies` a folder or file, or "managed": then they are
    proposed, and put in force by a call of the action `activate_policies`, which is there for people only; `database` a file
    (`remit.db`; its keys are made beside it on the first run) or `postgresql://…`, whose keys are the file `keys`. `resources` are the
    connectors that actions ask for by type, and ledgers to compare with; `clock` makes the clock, `step_up` are the ways in which a
    customer can prove who they are, and `breaking` says when a connector counts as out of reach. `tiles` is a folder to which the log is published while it grows, as
    C2SP tlog-tiles. `wakeups=False` leaves calls that rest to other processes, such as `remit worker`. `retention` says how long what
    was recorded is kept; without it nothing is ever pruned. Raises `DefinitionError` and `PolicyError` at once; the database is opened
    by `start`, or at the first call.
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
        tiles: str | Path | None = None,
        retention: Retention | None = None,
    ) -> None:
        self._offered, given = Catalog(actions), list(resources)
        self._resources = self._offered.bind(given)
        self._ledgers = tuple(one for one in given if isinstance(one, Ledger))
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
        self.tiles = Path(tiles) if tiles else None
        self._publishing: Publishing | None = None
        self.keeps = retention
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
            if self._publishing is not None:
                await self._publishing.finish()
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

    async def health(self) -> Health:
        """Say how this process and its database stand; raises `StoreError` when the database can't be read."""
        await self.start()
        return await health(self.parts, running=len(self._journeys))

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
            ledgers=self._ledgers,
            step_up=self._step_up,
        )
        self.people, self._journeys = People(self.parts), Journeys(self.parts)
        self.revealing = Revealing(self.parts, self.people)
        self.switches, self.bundles = Switches(self.parts, self.people), Bundles(self.parts, self.people)
        self.holds = Holds(self.parts)
        self.subjects = Subjects(self.parts, self.people, self.holds)
        resources[Bundles] = self.bundles
        self._rejections, self._sequencer = Rejections(self.parts), Sequencer(self.parts, self._journeys.admission)
        self.retention = Pruning(self.parts, self._sequencer, self.keeps)
        await self._sequencer.open()
        if self.managed:
            await put_nothing_in_force(self.parts)
        else:
            await put_in_force(self.parts, self.folder, by=self._activate or "the folder at start", activate=bool(self._activate))
        await self.subjects.go_on()
        wakeups = Wakeups(self.parts, self._journeys.advance, self._rejections, wake=self.wakeups)
        self._background = begun(self.parts, self._journeys, self._sequencer, wakeups)
        self._publishing = Publishing(self.parts, self.tiles) if self.tiles else None
        if self._publishing is not None:
            self._background.append(asyncio.create_task(self._publishing.run()))
        self.breakers.listeners.append(telemetry.breaker)

    async def _rejected(self, submission: Submission, found: Problem) -> Outcome:
        error = self._rejections.capped(submission, found)
        call_id = None if submission.dry_run else await self._rejections.record(submission, error)
        name = submission.tool_call.name if isinstance(submission.tool_call.name, str) else ""
        telemetry.rejected(name if name in self.catalog else None, error.code)
        return Outcome(call_id=call_id, action=name, state=State.REJECTED, error=error, dry_run=submission.dry_run)


def _failed(start: asyncio.Task[None]) -> bool:
    return start.done() and (start.cancelled() or start.exception() is not None)
