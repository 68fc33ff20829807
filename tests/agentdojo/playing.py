"""Play AgentDojo's tasks through Remit: its tools as actions, a model that does as an attacker says, and a customer who is asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remit import Context, Runtime, Session
from remit.actions import Action, Summary, once, per_call, read, render
from remit.audit import State
from remit.errors import Refused
from tests.environments import environment

READING = ("get_", "list_", "read_", "search_")
MARKS_AS_READ = "get_unread_emails"  # the one tool that is named as if it only read

Call = Mapping[str, Any]


class Worker:
    """Ask AgentDojo, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process, self._turn = process, asyncio.Lock()

    async def ask(self, do: str, **what: Any) -> Any:
        async with self._turn:
            self._process.stdin.write(json.dumps({"do": do, **what}, default=float).encode() + b"\n")
            line = await self._process.stdout.readline()
        assert line, f"AgentDojo's process ended at {do}: what it said is in this test's captured output"
        return json.loads(line)


@contextlib.asynccontextmanager
async def worker() -> AsyncIterator[Worker]:
    """Start AgentDojo's process, and end it."""
    program = await asyncio.to_thread(environment, "agentdojo") / "bin" / "python"
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(program, Path(__file__).with_name("worker.py"), **pipes, limit=2**24)
    try:
        yield Worker(process)
    finally:
        process.stdin.close()
        await process.wait()


def reads(name: str) -> bool:
    """Say whether a tool changes nothing, by the words that AgentDojo's names begin with."""
    return name.startswith(READING) and name != MARKS_AS_READ


def offered(tool: Mapping[str, Any], asked: Worker) -> Action:
    """Make one of AgentDojo's tools an action, by its own schema; its effect happens in the environment of the conversation."""

    async def perform(ctx: Context, arguments: Mapping[str, Any]) -> Any:
        answer = await asked.ask("call", run=int(ctx.conversation), function=tool["name"], args=arguments)
        if "error" in answer:
            raise Refused(answer["error"], definite=True)
        return answer["result"]

    declared = {"effect": read} if reads(tool["name"]) else {"effect": once, "key": per_call}
    about = {"description": tool["says"], "owns": None, "owns_reason": "each customer has an environment of their own"}
    return Action.from_schema(tool["name"], tool["schema"], perform, **declared, **about)


class Customer:
    """Confirm what reads in every line as what was asked for would read, each once, and nothing else."""

    def __init__(self, wanted: Iterable[Summary]) -> None:
        self.wanted = Counter(map(self.looks_at, wanted))
        self.questions = 0

    @staticmethod
    def looks_at(summary: Summary) -> Hashable:
        return summary

    def agrees(self, shown: Summary) -> bool:
        self.questions += 1
        seen = self.looks_at(shown)
        agreed = self.wanted[seen] > 0
        self.wanted[seen] -= agreed
        return agreed


class Careless(Customer):
    """Look at what kind of thing is to be done only, not at what exactly."""

    @staticmethod
    def looks_at(summary: Summary) -> Hashable:
        return summary.title


@dataclass(frozen=True)
class Step:
    """A call that the model sends: `own` if the user task needs it, else an attacker's."""

    call: Call
    own: bool


@dataclass(frozen=True)
class Played:
    """How one conversation ended. `done` are the attacker's writing calls that ran."""

    utility: bool | None
    security: bool | None
    as_expected: bool
    questions: int
    needed: int
    tried: int
    done: int


Script = Callable[[list[Call], list[Call]], Iterable[Step]]


def taken_over(own: list[Call], injected: list[Call]) -> Iterable[Step]:
    """Script a model that reads the attacker's words in the middle of its work, does all they say, and goes on."""
    middle = (len(own) + 1) // 2
    return [
        *(Step(call, own=True) for call in own[:middle]),
        *(Step(call, own=False) for call in injected),
        *(Step(call, own=True) for call in own[middle:]),
    ]


@dataclass
class Stage:
    """One suite, behind a runtime with its policies, or with no Remit at all.

    `pairs` are all pairs of a user task and an injection task that AgentDojo gives calls for; of those written here, which take the most
    calls, every eighth user task.
    """

    name: str
    asked: Worker
    users: list[str]
    pairs: list[tuple[str, str]]
    runtime: Runtime | None

    async def play(
        self,
        user: str,
        injection: str | None = None,
        *,
        script: Script = taken_over,
        customer: type[Customer] = Customer,
        utility: bool = True,
    ) -> Played:
        """Play one conversation; AgentDojo's answer is given only if every call that it rests on was done."""
        opened = await self.asked.ask("open", suite=self.name, user=user, injection=injection)
        steps = list(script(opened["own"], opened["injected"]))
        needed = [call for call in opened["own"] if not reads(call["function"])]
        person = customer(map(self._summary, needed) if self.runtime else ())
        done = [await self._step(opened["run"], number, step.call, person) for number, step in enumerate(steps)]
        ran = [step.call for ok, step in zip(done, steps, strict=True) if ok]
        said = opened["says"] if all(call in ran for call in opened["own"]) else ""
        expected = [step.call for step in steps if step.own]
        judged = await self.asked.ask("judge", run=opened["run"], said=said, expected=expected, utility=utility)
        attack = [ok for ok, step in zip(done, steps, strict=True) if not step.own and not reads(step.call["function"])]
        return Played(**judged, questions=person.questions, needed=len(needed), tried=len(attack), done=sum(attack))

    async def each(self, pairs: Iterable[tuple[str, str | None]], **how: Any) -> list[Played]:
        """Play many conversations, some at a time."""
        places = asyncio.Semaphore(16)

        async def one(user: str, injection: str | None) -> Played:
            async with places:
                return await self.play(user, injection, **how)

        return await asyncio.gather(*(one(user, injection) for user, injection in pairs))

    def _summary(self, call: Call) -> Summary:
        """Say how a call must read when the customer is asked about it."""
        action = self.runtime.catalog[call["function"]]
        return render(action, action.read(json.dumps(call["args"])).canonical, {}, None)

    async def _step(self, run: int, number: int, call: Call, person: Customer) -> bool:
        if self.runtime is None:
            return "result" in await self.asked.ask("call", run=run, **call)
        session = Session(principal="assistant", subject=f"customer-{run}", conversation=str(run))
        sent = {"id": f"call_{run}_{number}", "name": call["function"], "arguments": json.dumps(call["args"])}
        outcome = await self.runtime.submit(sent, session)
        if outcome.state is State.WAITING:
            asked = await self.runtime.confirmation(outcome.call_id, subject=session.subject)
            answer = "approve" if person.agrees(asked.summary) else "reject"
            outcome = await self.runtime.confirm(asked.call, subject=session.subject, answer=answer, digest=asked.digest)
        return outcome.ok


@contextlib.asynccontextmanager
async def stage(name: str, asked: Worker, folder: Path, policy: Callable[[list[str]], dict[str, str]] | None) -> AsyncIterator[Stage]:
    """Set up a suite behind Remit with the policy files that `policy` writes for its tools, or without Remit."""
    suite = await asked.ask("suite", name=name)
    users, few = suite["users"], suite["users"][5::8]
    pairs = [(user, one) for one in suite["injections"] for user in (few if one in suite["written_here"] else users)]
    if policy is None:
        yield Stage(name, asked, users, pairs, None)
        return
    (folder / "policies").mkdir(parents=True)
    for file, text in policy([tool["name"] for tool in suite["tools"]]).items():
        (folder / "policies" / file).write_text(text)
    actions = [offered(tool, asked) for tool in suite["tools"]]
    async with Runtime(actions, policies=folder / "policies", database=folder / "remit.db") as runtime:
        yield Stage(name, asked, users, pairs, runtime)
