"""A provider in a simulated network: requests are lost, late and repeated, answers go missing, and it keeps the promises of its kind.

What was sent takes effect at the latest `LATEST` seconds later, whoever has died meanwhile. Under a key it gives the first answer again
for `TTL`, an error too, and then forgets it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from remit import Context, Injected, Money, Public, action, keyed, lookup
from remit.actions import after, once, read, undo
from remit.errors import Refused, Retryable, Unsure
from tests.simulation.loop import OWNER

TTL, SETTLE, LATEST = 600.0, 30.0, 28.0
FATES = ("good", "lost_answer", "lost_request", "late", "refused", "vague", "busy", "unsent", "unsure", "broken", "broken_applied", "hangs")


class Receipt(BaseModel):
    id: Public[str]


class ServerError(Exception):
    """What a provider answers with a 500."""


@dataclass(frozen=True)
class Effect:
    """What has happened at the provider; `who` is the process that asked for it."""

    at: float
    action: str
    call: str
    ordinal: int
    effect_key: str | None
    minor: int
    who: str


@dataclass
class Provider:
    """Do what is asked; `faults` is the share of requests with another fate than a good one."""

    dice: random.Random
    note: Callable[..., None]
    faults: float = 0.0
    effects: list[Effect] = field(default_factory=list)
    saved: dict[str, tuple[float, Any]] = field(default_factory=dict)
    under_way: int = 0

    async def request(self, ctx: Context, minor: int, key: str | None, *, writes: bool = True) -> Receipt:
        """Send a request and wait for its answer, which may never come."""
        dice, loop = self.dice, asyncio.get_running_loop()
        fate = dice.choice(FATES) if dice.random() < self.faults else "good"
        self.note("request", ctx.action, ctx.call_id, ctx.attempt, fate)
        if fate == "unsent":
            raise Retryable("no connection")
        answer: asyncio.Future[Any] = loop.create_future()
        if fate != "lost_request":
            self.under_way += 1
            network = copy_context()
            network.run(OWNER.set, None)
            late = dice.random() * LATEST if fate == "late" else dice.random() * dice.choice([0.1, 2.0])
            owner = OWNER.get()
            loop.call_later(late, self._arrive, ctx, minor, key, fate, answer, writes, owner.name if owner else "", context=network)
        if fate == "unsure":
            raise Unsure("something odd")
        if fate in {"lost_request", "lost_answer", "late"}:
            await asyncio.sleep(dice.random() * 3)
            raise ConnectionResetError("the connection was lost")
        status, value = await answer
        await asyncio.sleep(dice.random() * (0.1 if fate != "hangs" else 20))
        if status == "error":
            raise value
        ctx.reference(value.id)
        return value

    def _arrive(self, ctx: Context, minor: int, key: str | None, fate: str, answer: Any, writes: bool, who: str) -> None:
        self.under_way -= 1
        now = asyncio.get_running_loop().time()
        name = None if key is None else f"{ctx.action}:{key}"
        if name is not None and name in self.saved and now < self.saved[name][0] + TTL:
            said = self.saved[name][1]
        elif fate == "busy":
            self._say(answer, ("error", Retryable("busy", after=self.dice.choice([0.5, 20, 400]))))
            return
        else:
            said = self._answer(ctx, minor, fate, writes, who)
            if name is not None:
                self.saved[name] = now, said
        self._say(answer, said)

    def _answer(self, ctx: Context, minor: int, fate: str, writes: bool, who: str) -> tuple[str, Any]:
        if fate == "refused":
            return "error", Refused("no", definite=True)
        # Without a key a handler says by a refusal that nothing was done; after it used its key it may say that only of what it knows.
        vague = ServerError("500") if ctx.provider_key is None or not ctx.key_used else Refused("something is wrong with this")
        if fate == "vague" and self.dice.random() < 0.5:
            return "error", vague
        if fate == "broken":
            return "error", ServerError("500")
        receipt = Receipt(id=f"re_{len(self.effects)}")
        if writes:
            _, _, ordinal = (ctx.provider_key or "").rpartition("-")
            now = asyncio.get_running_loop().time()
            self.effects.append(Effect(now, ctx.action, ctx.call_id, int(ordinal), ctx.effect_key, minor, who))
            self.note("effect", ctx.action, ctx.call_id, ordinal)
        if fate == "vague":
            return "error", vague
        return ("error", ServerError("500")) if fate == "broken_applied" else ("ok", receipt)

    @staticmethod
    def _say(answer: Any, said: Any) -> None:
        if not answer.done():
            answer.set_result(said)

    async def find(self, ctx: Context) -> Receipt | None:
        """Look an effect up, as it stands when the question arrives."""
        await asyncio.sleep(self.dice.random() * 0.2)
        if self.dice.random() < self.faults * 0.3:
            raise ConnectionResetError("no answer")
        found = next((place for place, one in enumerate(self.effects) if one.call == ctx.call_id), None)
        self.note("look-up", ctx.call_id, found is not None)
        await asyncio.sleep(self.dice.random() * 0.2)
        return None if found is None else Receipt(id=f"re_{found}")

    def applied(self, call: str) -> int:
        return sum(one.call == call for one in self.effects)


async def find(ctx: Context, provider: Injected[Provider]) -> Receipt | None:
    return await provider.find(ctx)


ANYBODY: dict[str, Any] = {"deadline": "5s", "owns": None, "owns_reason": "it is about nobody"}


class Thing(BaseModel):
    owner: str


async def load_thing(thing: str, provider: Injected[Provider]) -> Thing | None:
    await asyncio.sleep(provider.dice.random() * 0.1)
    if provider.dice.random() < provider.faults * 0.1:
        raise ConnectionResetError("no answer")
    return Thing(owner="ada" if thing == "t3" else "kay")


OWNED: dict[str, Any] = {"deadline": "5s", "facts": {"thing": load_thing}, "owns": "facts.thing.owner == subject.id"}


@action(effect=keyed(f"{TTL:g}s"), key="charge:{thing}", again="confirmed", **OWNED)
async def charge(ctx: Context, thing: str, amount: Money, provider: Injected[Provider]) -> Receipt:
    """Charge at a provider that honours keys."""
    return await provider.request(ctx, amount.minor, ctx.idempotency_key)


@action(effect=keyed(f"{TTL:g}s", lookup=find, settle=f"{SETTLE:g}s"), key="pay:{thing}", **ANYBODY)
async def pay(ctx: Context, thing: str, amount: Money, provider: Injected[Provider]) -> Receipt:
    """Pay at a provider that honours keys and can be asked."""
    return await provider.request(ctx, amount.minor, ctx.idempotency_key)


@action(
    effect=lookup(find, settle=f"{SETTLE:g}s"),
    key="send:{thing}",
    undo=undo("fetch", thing="arguments.thing", receipt="result.id"),
    **ANYBODY,
)
async def send(ctx: Context, thing: str, amount: Money, provider: Injected[Provider]) -> Receipt:
    """Send at a provider that honours no keys and can be asked."""
    return await provider.request(ctx, amount.minor, None)


@action(effect=lookup(find, settle=f"{SETTLE:g}s"), key="fetch:{receipt}", **ANYBODY)
async def fetch(ctx: Context, thing: str, receipt: str, provider: Injected[Provider]) -> Receipt:
    """Fetch what was sent."""
    return await provider.request(ctx, 0, None)


@action(effect=once, key="post:{thing}", again=after("15m"), **ANYBODY)
async def post(ctx: Context, thing: str, amount: Money, provider: Injected[Provider]) -> Receipt:
    """Post what nobody can be asked about."""
    return await provider.request(ctx, amount.minor, None)


@action(effect=lookup(find, settle=f"{SETTLE:g}s"), key="lend:{thing}", delay="2m", **ANYBODY)
async def lend(ctx: Context, thing: str, amount: Money, provider: Injected[Provider]) -> Receipt:
    """Lend, after a while in which it can be stopped."""
    return await provider.request(ctx, amount.minor, None)


@action(effect=read, **ANYBODY)
async def look(ctx: Context, thing: str, provider: Injected[Provider]) -> Receipt:
    """Look at a thing."""
    return await provider.request(ctx, 0, None, writes=False)


ACTIONS = (charge, pay, send, fetch, post, lend, look)
