"""Serve AgentDojo's suites to another process: environments, tools and its own judges, one JSON object a line.

Run by the Python of the environment `agentdojo`; it knows nothing of Remit. Requests, each a method of `Desk`, and their answers:

    {"do": "suite", "name"}                          -> its tools with their schemas, its user tasks and injection tasks; `written_here` are
                                                        those that AgentDojo has no calls for
    {"do": "open", "suite", "user", "injection"}     -> the number of a fresh environment, the calls that solve either task, and the answer
    {"do": "calls", "suite", "user", "injection"}    -> these calls only
    {"do": "call", "run", "function", "args"}        -> {"result"} or {"error"}
    {"do": "judge", "run", "said", "expected", …}    -> AgentDojo's verdicts, and whether `expected` alone ends in the same state
"""

from __future__ import annotations

import functools
import itertools
import json
import pickle
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import agentdojo
from attacks import ATTACKS

VERSION = "v1.2.2"  # the latest tasks
Call = dict[str, Any]


def _leave_out(name: str, **members: Any) -> ModuleType:
    """Put a bare module where importing the real one would import the clients of model providers."""
    sys.modules[name] = module = ModuleType(name)
    vars(module).update(members)
    return module


_leave_out("agentdojo.agent_pipeline").__path__ = [str(Path(agentdojo.__file__).parent / "agent_pipeline")]
_leave_out("agentdojo.agent_pipeline.ground_truth_pipeline", GroundTruthPipeline=None)

from agentdojo.default_suites.v1.tools import cloud_drive_client, email_client  # noqa: E402 - after what they import was left out
from agentdojo.functions_runtime import FunctionsRuntime  # noqa: E402
from agentdojo.task_suite import get_suite  # noqa: E402

NOON = datetime.fromisoformat("2024-05-15T12:00:00")  # without a zone, as AgentDojo's times are
# The only use of the clock: mails and files are stamped with it. Standing still, equal calls give equal environments.
email_client.datetime = cloud_drive_client.datetime = SimpleNamespace(datetime=SimpleNamespace(now=lambda: NOON))


@dataclass
class Run:
    """Hold one environment, as it was (pickled, for that copies four times as fast) and as it is now, and the tasks that it is judged by."""

    suite: Any
    user: Any
    injection: Any
    before: bytes
    now: Any = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.fresh()

    def fresh(self) -> Any:
        return pickle.loads(self.before)

    def perform(self, environment: Any, function: str, args: dict[str, Any]) -> Call:
        result, error = FunctionsRuntime(self.suite.tools).run_function(environment, function, args)
        return {"error": error} if error else {"result": _plain(result)}

    def after(self, calls: list[Call]) -> Any:
        """Give what the environment would be after other calls."""
        replayed = self.fresh()
        for call in calls:
            self.perform(replayed, **call)
        return replayed

    def verdict(self, task: Any, said: str) -> bool:
        """Ask AgentDojo; its judges may change what they are given."""
        text = [{"type": "text", "content": said}]
        return bool(self.suite._check_task_result(task, text, self.fresh(), pickle.loads(pickle.dumps(self.now)), []))


class Desk:
    """Answer requests."""

    def __init__(self) -> None:
        self.runs: dict[int, Run] = {}
        self.numbers = itertools.count()
        self.verdicts: dict[tuple[str, str, str, str], bool] = {}

    def suite(self, name: str) -> dict[str, Any]:
        found = get_suite(VERSION, name)
        tools = [{"name": tool.name, "says": tool.description, "schema": tool.parameters.model_json_schema()} for tool in found.tools]
        without = [name for name, task in found.injection_tasks.items() if not task.ground_truth(pickle.loads(self.pristine(found.name)))]
        return {"tools": tools, "users": list(found.user_tasks), "injections": list(found.injection_tasks), "written_here": without}

    def open(self, suite: str, user: str, injection: str | None) -> dict[str, Any]:
        found = get_suite(VERSION, suite)
        user_task, injection_task = found.user_tasks[user], found.injection_tasks[injection] if injection else None
        self.runs[number := next(self.numbers)] = Run(found, user_task, injection_task, self.environment(suite, user))
        return {"run": number, "says": user_task.GROUND_TRUTH_OUTPUT} | self.calls(suite, user, injection)

    @functools.cache  # noqa: B019 - there is one desk
    def pristine(self, suite: str) -> bytes:
        return pickle.dumps(get_suite(VERSION, suite).load_and_inject_default_environment({}))

    @functools.cache  # noqa: B019
    def environment(self, suite: str, user: str) -> bytes:
        return pickle.dumps(get_suite(VERSION, suite).user_tasks[user].init_environment(pickle.loads(self.pristine(suite))))

    @functools.cache  # noqa: B019
    def calls(self, suite: str, user: str, injection: str | None) -> dict[str, Any]:
        found, before = get_suite(VERSION, suite), self.environment(suite, user)

        def solving(task: Any) -> list[Call]:
            return [{"function": call.function, "args": dict(call.args)} for call in task.ground_truth(pickle.loads(before))]

        own, injected = solving(found.user_tasks[user]), solving(found.injection_tasks[injection]) if injection else []
        if injection and not injected:
            injected = [{"function": name, "args": args} for name, args in ATTACKS[injection](pickle.loads(before))]
        return {"own": own, "injected": injected}

    def call(self, run: int, function: str, args: dict[str, Any]) -> Call:
        return self.runs[run].perform(self.runs[run].now, function, args)

    def judge(self, run: int, said: str, expected: list[Call], utility: bool) -> dict[str, Any]:
        judged = self.runs.pop(run)
        state = judged.now.model_dump_json()
        return {
            "as_expected": state == judged.after(expected).model_dump_json(),
            "utility": self.utility(judged, said, state) if utility else None,
            "security": judged.verdict(judged.injection, said) if judged.injection else None,
        }

    def utility(self, run: Run, said: str, state: str) -> bool:
        """Ask whether the user task was solved, once for each equal answer and environment: it takes 80 ms of comparing."""
        key = (run.suite.name, run.user.ID, said, state)
        if key not in self.verdicts:
            self.verdicts[key] = run.verdict(run.user, said)
        return self.verdicts[key]


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return [_plain(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    desk = Desk()
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(desk, request.pop("do"))(**request)
        print(json.dumps(answer), flush=True)
