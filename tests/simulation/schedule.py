"""One schedule: everything that a seed throws at a world, until it has come to rest, and what is then wrong with it."""

from __future__ import annotations

import asyncio
import hashlib
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remit.errors import RemitError, StillRunning
from remit.runtime import Runtime, sequencer, wakeups
from tests.simulation.checking import Checked
from tests.simulation.provider import SETTLE
from tests.simulation.world import BEHIND, SKEW, Process, World

NAMES = ("charge", "pay", "send", "post", "lend", "look")
DAY = 24 * 3600.0
LONGEST = 400
"""Times that a world at rest is woken before it counts as one that never rests."""


NEXT = "SELECT min(wake_at) FROM call"


@dataclass(frozen=True)
class Result:
    """What became of a schedule."""

    seed: int
    findings: tuple[str, ...]
    trace: tuple[str, ...]
    kinds: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


class Driver:
    """Throw at a world what a seed says."""

    def __init__(self, world: World) -> None:
        self.world, self.dice = world, random.Random(world.seed + 2)
        self.keys = 0
        self.passes = 0.0
        self.requests: list[dict[str, Any]] = []

    async def play(self) -> None:
        world, dice = self.world, self.dice
        world.variant = dice.choice([0, 1, 2])
        world.disk.faults, world.disk.slow = dice.choice([0, 0.03, 0.1]), dice.choice([0.1, 0.5, 1.0])
        world.provider.faults = dice.choice([0.1, 0.5, 0.9])
        for _ in range(dice.choice([0, 1, 1, 2])):
            world.begin(skew=self.skew())
        steps = {
            self.submit: 10,
            self.again: 5,
            self.ambush: 3,
            self.person: 7,
            self.crash: 2,
            self.stop: 1,
            self.sleep: 1,
            self.begin: 1,
            self.wait: 2,
            self.control: 1,
            self.undo: 2,
        }
        for _ in range(dice.choice([4, 8, 14])):
            if not (usable := [one for one in world.processes if one.usable]):
                if not any(not one.dead for one in world.processes):
                    world.begin()
                await asyncio.sleep(1)
                continue
            (step,) = dice.choices(list(steps), list(steps.values()))
            step(dice.choice(usable))
            await asyncio.sleep(dice.random() * dice.choice([0.01, 0.3, 3.0, 10.0]) + self.passes)
            self.passes = 0.0

    def skew(self) -> float:
        """Say how far the clock was set before a process begins: a little, or back by much."""
        return self.dice.uniform(-SKEW / 2, SKEW / 2) if self.dice.random() < 0.8 else -BEHIND * self.dice.random()

    def submit(self, process: Process) -> None:
        dice = self.dice
        for _ in range(dice.choice([1, 1, 2, 3])):
            self.keys += 1
            request = {
                "name": dice.choice(NAMES),
                "thing": f"t{dice.randint(1, 3)}",
                "minor": dice.choice([500, 1000, 1800, 2500]),
                "key": f"k{self.keys}",
                "conversation": f"c{dice.randint(1, 2)}",
                "subject": dice.choice(["kay", "kay", "kay", "ada"]),
                "wait": dice.choice([None, None, 0.05, 2.0]),
            }
            self.requests.append(request)
            usable = [one for one in self.world.processes if one.usable]
            self.world.submit(dice.choice(usable), **request)

    def ambush(self, process: Process) -> None:
        """Ask for something, and let whoever does it die or fall asleep in the middle."""
        dice, asked = self.dice, len(self.requests)
        self.submit(process)
        for request in self.requests[asked:]:
            self.world.submit(process, **request)  # it may have gone to another: whoever is first does it
        if len(self.world.processes) < 2:
            self.begin(process)
        asleep = dice.choice([12, 60, 90, 200])
        strike = dice.choice([lambda: self.crash(process), lambda: self.world.sleep(process, asleep)])
        if dice.random() < 0.5:
            self.world.ambushed[process] = strike
        else:
            self.world.loop.call_later(dice.random() * dice.choice([0.1, 3.0]), strike)

    def again(self, process: Process) -> None:
        """Ask for the same again: under the same key, or under another."""
        if self.requests:
            request = dict(self.dice.choice(self.requests))
            if self.dice.random() < 0.5:
                self.keys += 1
                request["key"] = f"k{self.keys}"
            self.world.submit(process, **request)

    def person(self, process: Process) -> None:
        """Answer, stop or change a call."""
        dice = self.dice
        choice, no = dice.choice(["vote", "vote", "confirm", "confirm", "cancel", "amend", "resolve"]), dice.random() < 0.25
        drawn, minor = dice.random(), dice.choice([500, 1900, 2400])

        async def act(runtime: Runtime) -> Any:
            state = {"cancel": None, "resolve": "unknown"}.get(choice, "waiting")
            found = sorted((call for call in await runtime.calls(state=state, most=20) if not call.final), key=lambda call: call.id)
            if not found:
                return None
            call = found[int(drawn * len(found))]
            match choice:
                case "vote":
                    return await runtime.vote(call.id, person=dice.choice(["fay", "finn"]), answer="reject" if no else "approve")
                case "confirm":
                    return await runtime.confirm(call.id, subject=dice.choice(["kay", "kay", "ada"]), answer="reject" if no else "approve")
                case "cancel":
                    return await runtime.cancel(call.id, by="fay")
                case "amend":
                    arguments = {"amount": {"value": f"{minor / 100:.2f}", "currency": "EUR"}}
                    return await runtime.amend(call.id, by="finn", arguments=arguments)
                case _:
                    return await resolve(self.world, runtime, call.id)

        self.world.ask(process, choice, act)

    def crash(self, process: Process) -> None:
        if process.dead:
            return
        self.world.crash(process)
        if self.dice.random() < 0.7:
            self.world.begin(skew=self.skew())

    def stop(self, process: Process) -> None:
        self.world.stop(process)

    def sleep(self, process: Process) -> None:
        self.world.sleep(process, self.dice.choice([1, 10, 60, 200]) * self.dice.random())

    def begin(self, process: Process) -> None:
        if len(self.world.processes) < 3:
            self.world.begin(skew=self.skew())

    def wait(self, process: Process) -> None:
        """Let much time pass; in most of it nobody runs but the network."""
        self.passes = self.dice.choice([20, 60, 300, 700]) * self.dice.random()
        if self.passes > 20:
            for one in self.world.processes:
                self.world.sleep(one, self.passes)

    def control(self, process: Process) -> None:
        dice, name = self.dice, self.dice.choice(NAMES)
        choice = dice.choice(["throw", "lift", "reload"])
        if choice == "reload":
            self.world.reload(process, dice.randint(0, 2))
        elif choice == "throw":
            self.world.ask(process, f"throw {name}", lambda runtime: runtime.switches.throw("action", name, by="boss", reason="odd"))
        else:
            self.world.ask(process, f"lift {name}", lambda runtime: runtime.switches.lift("action", name, person="olga", reason="fine"))

    def undo(self, process: Process) -> None:
        """Undo what was sent, or learn that the provider has reversed it."""
        drawn, reverse = self.dice.random(), self.dice.random() < 0.3

        async def act(runtime: Runtime) -> Any:
            found = sorted(
                (call for call in await runtime.calls(state="succeeded", most=20) if call.kind != "read"), key=lambda call: call.id
            )
            if not found:
                return None
            call = found[int(drawn * len(found))]
            return await (runtime.reversed(call.id, by="bank") if reverse else runtime.undo(call.id, by="fay"))

        self.world.ask(process, "reverse" if reverse else "undo", act)


async def resolve(world: World, runtime: Runtime, call_id: str) -> Any:
    """Say what became of an effect as an operator does: look at the provider, then say so."""
    assert runtime.parts
    applied = world.provider.applied(call_id) > 0
    return await runtime.resolve(call_id, applied=applied, by="olga", reason="looked")


async def quiesce(world: World) -> Runtime:
    """Take the faults away, let one process be left, and time pass until nothing is due any more."""
    world.note("quiesce")
    world.disk.faults = world.provider.faults = 0.0
    world.disk.slow = 0.1
    awake = max([one.sleeps_until for one in world.processes], default=0.0)
    wakeups.POLL = sequencer.PAUSE = 4.0
    await asyncio.sleep(max(60.0, awake + 20 - world.loop.moment))
    wakeups.POLL = sequencer.PAUSE = 1.0
    for process in list(world.processes):
        world.crash(process)
    process = world.begin()
    if not await world.until(lambda: process.usable):
        raise AssertionError("it does not start")
    runtime = process.runtime
    assert runtime
    inside = world.loop.create_task(_to_rest(world, runtime), context=process.context())
    await inside
    return runtime


async def _to_rest(world: World, runtime: Runtime) -> None:
    for place in await runtime.switches.list():
        await runtime.switches.lift(place.kind, place.target, person="olga", reason="over")
    store = runtime.parts.store
    for _ in range(LONGEST):
        await asyncio.sleep(2)
        while len(runtime._journeys) or world.provider.under_way:
            await asyncio.sleep(0.2)
        rows = await store.rows(NEXT)
        dead = await runtime.dead()
        if rows[0][0] is None:
            if not dead:
                break
            for call in dead:
                try:
                    await resolve(world, runtime, call.id)
                except StillRunning:  # a handler that was still there when its process woke up has put it off
                    world.loop.skip(SETTLE)
            continue
        wait = (rows[0][0] - runtime.parts.clock.now()) / 1e6
        if wait > 0:
            world.loop.skip(wait)
    else:
        world.errors.found.append("it never comes to rest")
    await runtime._sequencer.catch_up()


def played(seed: int, folder: Path | None = None) -> Result:
    """Play a schedule to its end and check it."""
    with tempfile.TemporaryDirectory() as made, World.make(seed, folder or Path(made)) as world:
        try:
            world.run(Driver(world).play())
            checked = Checked(world, world.run(quiesce(world)))
        except (AssertionError, RemitError) as error:
            return Result(seed, (f"{type(error).__name__}: {error}",), tuple(world.trace))
        return Result(seed, tuple(checked.findings()), tuple(world.trace), checked.kinds)
