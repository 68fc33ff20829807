"""Simulated processes over one database and one provider, and what people and models do to them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remit import Runtime, Session
from remit.errors import RemitError, StoreError
from remit.runtime.clock import Clock
from remit.runtime.outcome import Outcome
from tests.simulation.determined import ACTIONS, KEYS, VARIANTS, Errors, determined, empty
from tests.simulation.loop import OWNER, Owner, SimulatedLoop
from tests.simulation.provider import Provider
from tests.simulation.storage import Disk, SimulatedDatabase

BEGIN = 1_780_000_000
SKEW = 4.0
"""Seconds by which the clock of the machine is ahead, at most, when a process begins: less than the margin of a lease."""
BEHIND = 150.0
"""Seconds by which it may be behind: whoever begins then is as far ahead as the others are."""
PEOPLE = {"fay": ["finance"], "finn": ["finance"], "olga": ["operator"], "boss": ["finance"]}


@dataclass(eq=False)
class Process(Owner):
    """One process: a runtime with a clock and database connections of its own."""

    skew: float = 0.0
    runtime: Runtime | None = None
    up: bool = False
    databases: list[SimulatedDatabase] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        return self.up and not self.dead


@dataclass
class Said:
    """What somebody was told: the outcome of what they asked for, or how it failed."""

    what: str
    outcome: Outcome | None
    error: str = ""
    submission: Any = None


@dataclass
class World:
    """Everything there is in one schedule; `trace` takes down what happens, in order."""

    seed: int
    path: Path
    loop: SimulatedLoop
    dice: random.Random
    errors: Errors
    processes: list[Process] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    ambushed: dict[Owner, Callable[[], None]] = field(default_factory=dict)
    variant: int = 0
    made: int = 0

    def __post_init__(self) -> None:
        self.disk = Disk(self.path, KEYS, self.dice, self.note, self.committed)
        self.provider = Provider(self.dice, self.note)

    @classmethod
    @contextlib.contextmanager
    def make(cls, seed: int, folder: Path) -> Iterator[World]:
        """Make a world with people in it and faults off; at its end nothing of it runs on."""
        dice = random.Random(seed)
        path = folder / f"{seed}.db"
        path.write_bytes(empty())
        loop = SimulatedLoop(random.Random(seed + 1), loose=seed % 4 == 3)
        opened: list[World] = []
        with determined(seed, lambda *_a, **_k: opened[0].open()) as errors:
            world = cls(seed, path, loop, dice, errors)
            opened.append(world)
            try:
                world.run(world.settle_in())
                yield world
            finally:
                for process in world.processes:
                    world.crash(process)
                loop.bury()
                for left in folder.glob(f"{seed}.*"):
                    left.unlink()

    def note(self, *words: Any) -> None:
        self.trace.append(f"{self.loop.moment:.6f} {' '.join(map(str, words))}")

    def committed(self, owner: Owner, names: list[str]) -> None:
        """Strike a process at the worst moment: its intent is durable, and nothing is sent."""
        if "control.hold" in names and (strike := self.ambushed.pop(owner, None)) is not None:
            strike()

    def run(self, what: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(what)

    # Processes

    def open(self) -> SimulatedDatabase:
        process = OWNER.get()
        assert isinstance(process, Process)
        database = SimulatedDatabase(self.disk, process)
        process.databases.append(database)
        return database

    def begin(self, *, skew: float = 0.0) -> Process:
        """Let a new process begin; it is up when its runtime has started."""
        self.made += 1
        process = Process(f"p{self.made}", skew=skew)
        self.processes.append(process)
        self.note("begins", process.name)
        self.loop.create_task(self._boot(process), context=process.context())
        return process

    async def _boot(self, process: Process) -> None:
        def steady() -> int:
            return int((BEGIN + self.loop.moment) * 1e9)

        def wall() -> int:
            return steady() + int(process.skew * 1e9)

        process.runtime = Runtime(
            ACTIONS,
            policies=Path(str(self.variant)),
            resources=[self.provider],
            activate=True,
            clock=lambda *, last_recorded: Clock(last_recorded=last_recorded, wall=wall, steady=steady),
        )
        while not process.up:
            with contextlib.suppress(StoreError):
                await process.runtime.start()
                process.up = True
        self.note("up", process.name)

    def crash(self, process: Process) -> None:
        if process.dead:
            return
        self.note("dies", process.name)
        process.dead = True
        for database in process.databases:
            database.cut()
        self.processes.remove(process)

    def stop(self, process: Process) -> None:
        """Let a process end what it has begun, and go."""
        self.note("stops", process.name)
        process.up = False

        async def stopped() -> None:
            with contextlib.suppress(StoreError):
                await process.runtime.close()  # type: ignore[union-attr]
            self.loop.call_soon(self.crash, process)

        self.loop.create_task(stopped(), context=process.context())

    def sleep(self, process: Process, seconds: float) -> None:
        """Let a process stand still, as a machine does that is out of memory."""
        self.note("sleeps", process.name, f"{seconds:.3f}")
        process.sleeps_until = max(process.sleeps_until, self.loop.moment + seconds)

    async def settle_in(self) -> None:
        process = self.begin()
        await self.until(lambda: process.usable)
        assert process.runtime
        people = process.runtime.people

        async def hire() -> None:
            for person, roles in PEOPLE.items():
                await people.add(person, roles=roles)
            await people.add_agent("bot", owner="boss")

        await self.loop.create_task(hire(), context=process.context())

    async def until(self, what: Callable[[], bool], *, within: float = 60.0) -> bool:
        give_up = self.loop.moment + within
        while not what() and self.loop.moment < give_up:
            await asyncio.sleep(0.1)
        return what()

    # What is asked for

    def ask(self, process: Process, what: str, do: Callable[[Runtime], Awaitable[Any]], submission: Any = None) -> None:
        """Ask something of a process; whoever asks learns the answer only while it lives."""
        self.note("asks", process.name, what)
        self.asked.append(submission)

        async def asked() -> None:
            try:
                outcome = await do(process.runtime)  # type: ignore[arg-type]
            except RemitError as error:
                said = Said(what, None, type(error).__name__, submission)
            else:
                said = Said(what, outcome if isinstance(outcome, Outcome) else None, "", submission)
            self.said.append(said)
            self.note("told", what, said.error or (said.outcome and (said.outcome.call_id, said.outcome.state)))

        self.loop.create_task(asked(), context=process.context())

    def submit(
        self,
        process: Process,
        name: str,
        thing: str,
        minor: int,
        *,
        key: str,
        conversation: str,
        subject: str = "kay",
        wait: float | None = None,
    ) -> None:
        arguments: dict[str, Any] = {"thing": thing}
        if name != "look":
            arguments["amount"] = {"value": f"{minor / 100:.2f}", "currency": "EUR"}
        session = Session(principal="bot", subject=subject, conversation=conversation)
        call = {"id": None, "name": name, "arguments": arguments}
        what = f"submit {name} {thing} {minor} {key} {conversation} {subject}"
        self.ask(process, what, lambda runtime: runtime.submit(call, session, idempotency_key=key, wait=wait), (key, session))

    def reload(self, process: Process, variant: int) -> None:
        self.variant = variant % len(VARIANTS)
        runtime = process.runtime
        assert runtime

        async def again(runtime: Runtime) -> None:
            folder = runtime._own_folder
            assert folder
            runtime._own_folder = type(folder)(Path(str(self.variant)), folder.policies)
            await runtime.reload_policies(by="boss")

        self.ask(process, f"reload {self.variant}", again)
