"""Set the stage: the example's desk in a folder of its own, providers to try it on, customers, and a person with a say."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import stripe

from ...actions import Money, ToolCall
from ...runtime import Outcome, Runtime, Session
from ...sandbox.directory import DirectoryServer, Person
from ...sandbox.mail import MailServer
from ...sandbox.payments import PaymentSandbox
from .provider import Account
from .record import Answered, Asked, Handled, Moved, Step
from .retracing import moves, reasons
from .wire import message

DESK = Path(__file__).parent / "desk"
"""The example in examples/support/: its app and its policies are what is played with."""
APPROVER, OPERATOR, AGENT = "fay", "olga", "support-agent"
SOLD = {
    "ada": {"lamp": "49.00", "shade": "30.00", "sofa": "120.00", "mirror": "30.00"},
    "bo": {"coat": "60.00", "vase": "25.00", "rug": "40.00"},
}
"""Customer -> what they bought, and what they paid in euro."""
PREFIXES = {"anthropic": "toolu", "openai": "call", "gemini": "fc"}
"""Dialect -> how its provider's ids of tool calls begin."""


class Goods(NamedTuple):
    """What there is to act on: the payments for what was sold, and Cara's subscription."""

    lamp: str
    shade: str
    sofa: str
    mirror: str
    coat: str
    vase: str
    rug: str
    subscription: str

    @property
    def payments(self) -> list[str]:
        """Give every payment of the story."""
        return list(self[:-1])


@dataclass(slots=True)
class Stage:
    """Hold what a scene acts on, and let a model of the story ask."""

    folder: Path
    app: ModuleType
    account: Account
    mail: MailServer
    goods: Goods
    ada: Session
    bo: Session
    cara: Session
    nobody: Session
    kept: dict[str, str] = field(default_factory=dict)
    """What a scene leaves for a later one, such as the id of an appointment."""
    _asked: int = 0

    @property
    def runtime(self) -> Runtime:
        """The runtime of the app."""
        runtime: Runtime = self.app.runtime
        return runtime

    def says(self, step: Step, *calls: tuple[str, Mapping[str, Any]], dialect: str = "anthropic") -> dict[str, Any]:
        """Let the model call tools, in a provider's wire format and each under a new id of that provider."""
        named = []
        for name, arguments in calls:
            self._asked += 1
            named.append((f"{PREFIXES[dialect]}_{self._asked:02}", name, arguments))
        sent = message(dialect, named)
        step.lines.append(Asked(dialect, sent, calls))
        return sent

    async def ask(
        self, step: Step, session: Session, *calls: tuple[str, Mapping[str, Any]], dialect: str = "anthropic"
    ) -> tuple[Outcome, ...]:
        """Hand one message of the model to Remit, and what Remit makes of its calls back to the model."""
        read = self.runtime.read(dialect, self.says(step, *calls, dialect=dialect))
        timed = await asyncio.gather(*(self._submit(call, session) for call in read))
        await self.answer(step, dialect, [(call, *one) for call, one in zip(read, timed, strict=True)])
        return tuple(outcome for outcome, _ in timed)

    async def answer(self, step: Step, dialect: str, outcomes: Sequence[tuple[ToolCall, Outcome, int | None]]) -> None:
        """Tell the model what became of its calls, and the reader why."""
        answer = self.runtime.answer(dialect, [(call, outcome) for call, outcome, _ in outcomes])
        step.lines.append(Answered(dialect, tuple(answer), tuple([await self._handled(*one) for one in outcomes])))

    async def moved(self, step: Step, outcome: Outcome, known: int) -> None:
        """Tell what became of a call after its first `known` events, by something outside of the conversation."""
        view = await self.runtime.view(outcome.call_id or "")
        step.lines.append(Moved(outcome.to_json(), moves(view.events[known:])))

    async def _submit(self, call: ToolCall, session: Session) -> tuple[Outcome, int]:
        began = time.monotonic()
        outcome = await self.runtime.submit(call, session)
        return outcome, round((time.monotonic() - began) * 1000)

    async def _handled(self, call: ToolCall, outcome: Outcome, milliseconds: int | None) -> Handled:
        assert outcome.call_id is not None, "a call of the story is recorded"
        view = await self.runtime.view(outcome.call_id)
        made = () if outcome.repeated else moves(view.events)
        return Handled(outcome.to_json(), reasons(view, outcome, self.runtime.catalog.get(call.name)), made, milliseconds)


@asynccontextmanager
async def stage(folder: Path, key: str | None) -> AsyncIterator[Stage]:
    """Set the stage in `folder`, and clear all but the folder away afterwards.

    Payments are made at the sandbox; with a `key` at Stripe's test mode, or wherever PAYMENTS_URL says.
    """
    shutil.copytree(DESK, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.db*", "*.keys", "__pycache__"))
    with ExitStack() as stack:
        sandbox = None if key else stack.enter_context(PaymentSandbox())
        url = sandbox.url if sandbox else os.environ.get("PAYMENTS_URL") or stripe.DEFAULT_API_BASE
        people = stack.enter_context(DirectoryServer([Person("acc_ada", "ada", "ada@example.org")]))
        mail = stack.enter_context(MailServer())
        found = {"PAYMENTS_URL": url, "DIRECTORY_URL": f"{people.url}/v2", "MAIL_PORT": str(mail.port), "NO_PROXY": "127.0.0.1"}
        stack.enter_context(_environment(found))
        account = Account.at(url, key or "sk_test_sandbox", sandbox)
        stack.callback(account.api.close)
        app = load(folder)
        try:
            yield await _peopled(folder, app, account, mail)
        finally:
            await app.runtime.close()
            await app.stripe.aclose()


async def _peopled(folder: Path, app: ModuleType, account: Account, mail: MailServer) -> Stage:
    ids = {name: account.customer(name.title(), f"{name}@example.org") for name in ("ada", "bo", "cara")}
    bought = {what: account.payment(ids[who], Money.of(price, "EUR"), what) for who in SOLD for what, price in SOLD[who].items()}
    goods = Goods(**bought, subscription=account.subscription(ids["cara"], "basic_monthly"))
    await app.runtime.start()
    await app.runtime.people.add(APPROVER, name="Fay", email="fay@example.org", roles=["finance"])
    await app.runtime.people.add(OPERATOR, name="Olga", email="olga@example.org")
    await app.runtime.people.add_agent(AGENT, owner=OPERATOR)
    here = Session(principal=AGENT, conversation="chat-nobody", channel="chat", model="demo")
    ada, bo, cara = (replace(here, subject=ids[name], conversation=f"chat-{name}", assurance=2) for name in ids)
    return Stage(folder, app, account, mail, goods, ada, bo, replace(cara, locale="de"), nobody=here)


def load(folder: Path) -> ModuleType:
    """Import the app in `folder`, anew."""
    spec = importlib.util.spec_from_file_location("remit_demo_desk", folder / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Let the app find its providers, and so a process started meanwhile."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
