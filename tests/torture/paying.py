"""What is tortured: a runtime over actions of all four effect kinds, which read and refund payments at a provider with a ledger.

A payment of up to 50.00 EUR is refunded at once, a larger one waits for finance; each refund is of 1.00 EUR.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from remit import Action, Context, Injected, Runtime, Session, action, keyed, lookup, once
from remit.actions.library.payments import Payments, load_payment, look_up_payment, refund_payment
from remit.actions.library.stripe import Stripe
from remit.errors import Refused, Retryable, Unsure
from remit.runtime.clock import Clock
from tests.stories.localstripe import LocalStripe

SMALL, LARGE = 5_000, 10_000
"""What payments are made of, in cents: one that is refunded at once, and one that waits for approval."""
AMOUNT = 100
DEADLINE, MARGIN, TIMEOUT = 0.6, 0.1, 0.5
PATIENT = {"deadline": 3.0, "timeout": 2.5}
"""How a desk is opened, in seconds, where a busy machine must not take another way than a quiet one."""
SETTLE = timedelta(seconds=1)

POLICY = """
policy: refunds
actions: [refund_payment, pay_back, send_cheque, look_up_payment]
rules:
  - id: any
    then: allow
  - id: large
    when: facts.payment.amount.currency == "EUR" && facts.payment.amount.minor > 5000
    then: require_approval
    approval: {by: finance, votes: 1, within: 4h}
    reason: More than fifty.
"""


class Keyless:
    """Refund without an idempotency key, over a fresh connection each time; a refund is found by the call that it names."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        once_each = httpx.AsyncHTTPTransport(verify=False, limits=httpx.Limits(max_keepalive_connections=0))
        headers = {"authorization": "Bearer sk_test_kill"}
        self.api = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, transport=once_each, trust_env=False)

    async def refund(self, ctx: Context, payment_id: str) -> str:
        form = {"payment_intent": payment_id, "amount": str(AMOUNT), "metadata[remit_call]": ctx.call_id}
        try:
            answer = await self.api.post("/v1/refunds", data=form)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Retryable("it can't be reached") from error
        except httpx.HTTPError as error:
            raise Unsure("it did not say whether it was done") from error
        if answer.status_code == 429:
            raise Retryable("it asks to slow down", after=float(answer.headers["retry-after"]))
        if answer.status_code in {400, 402, 404}:
            raise Refused("it refused", definite=True)
        if answer.status_code != 200:
            raise Unsure("it did not say whether it was done")
        return str(answer.json()["id"])

    async def find(self, payment_id: str, call_id: str) -> str | None:
        page = (await self.api.get("/v1/refunds", params={"payment_intent": payment_id, "limit": "100"})).raise_for_status().json()
        return next((one["id"] for one in page["data"] if one["metadata"].get("remit_call") == call_id), None)


async def find_refund(ctx: Context, payment_id: str, provider: Injected[Keyless]) -> str | None:
    return await provider.find(payment_id, ctx.call_id)


OWN: dict[str, Any] = {"facts": {"payment": load_payment}, "owns": "facts.payment.customer == subject.id"}


@action(effect=lookup(find_refund, settle=SETTLE), key="pay_back:{payment_id}", **OWN)
async def pay_back(ctx: Context, payment_id: str, provider: Injected[Keyless]) -> str:
    """Refund at a provider that knows no keys and can be asked."""
    return await provider.refund(ctx, payment_id)


@action(effect=once, key="cheque:{payment_id}", **OWN)
async def send_cheque(ctx: Context, payment_id: str, provider: Injected[Keyless]) -> str:
    """Refund at a provider that knows no keys and that nobody asks."""
    return await provider.refund(ctx, payment_id)


CARELESS = dataclasses.replace(pay_back, effect=keyed("24h"))
"""The control: it says that its provider honours keys, and sends none."""
ACTIONS: dict[str, Action] = {"read": look_up_payment, "keyed": refund_payment, "lookup": pay_back, "once": send_cheque}
WRITING = ("keyed", "lookup", "once")


def actions(variant: str = "") -> list[Action]:
    """Give the actions; in the variant "careless" with the one that only says that its provider honours keys."""
    return [CARELESS if variant == "careless" and one.name == CARELESS.name else one for one in ACTIONS.values()]


def asks(kind: str, payment: str) -> dict[str, Any]:
    """Write the tool call that asks for an effect of a kind."""
    more = {"amount": {"value": "1.00", "currency": "EUR"}, "reason": "duplicate"} if kind == "keyed" else {}
    return {"name": ACTIONS[kind].name, "arguments": {"payment_id": payment, **more}}


def session(customer: str) -> Session:
    """Say in whose name it is asked."""
    return Session(principal="support-agent", subject=customer, conversation="kills")


class Desk:
    """Where a runtime is opened: a folder with the policies, a database, and the provider's address."""

    def __init__(self, folder: Path, database: str, url: str, *, provider: str = "sandbox") -> None:
        self.folder, self.database, self.url, self.provider = folder, database, url, provider
        # Copies of one database have one log: beside one key file the second would be taken for the first, put back from a backup.
        own = folder / f"{urlsplit(database).path.strip('/')}.keys"
        self.keys = own if "://" in database and own.exists() else folder / "remit.keys"
        (folder / "policies").mkdir(exist_ok=True)
        (folder / "policies" / "refunds.yaml").write_text(POLICY)

    @contextlib.asynccontextmanager
    async def open(
        self,
        *,
        actions: Iterable[Action] = ACTIONS.values(),
        clock: Callable[..., Clock] = Clock,
        deadline: float = DEADLINE,
        margin: float = MARGIN,
        timeout: float = TIMEOUT,
    ) -> AsyncIterator[Runtime]:
        """Run a runtime whose handlers have `deadline` seconds, and whose requests `timeout`."""
        hasty = [dataclasses.replace(one, deadline=timedelta(seconds=deadline)) for one in actions]
        async with contextlib.AsyncExitStack() as closing:
            keyless = Keyless(self.url, timeout=timeout)
            closing.push_async_callback(keyless.api.aclose)
            payments: Payments
            if self.provider == "sandbox":
                payments = await closing.enter_async_context(Stripe("sk_test_kill", api_base=self.url, timeout=timeout))
            else:
                payments = LocalStripe(self.url)
                payments.api.timeout = timeout
                closing.push_async_callback(payments.api.aclose)
            settings: dict[str, Any] = {"keys": self.keys, "clock": clock, "lease_margin": timedelta(seconds=margin)}
            runtime = Runtime(hasty, policies=self.folder / "policies", database=self.database, resources=[payments, keyless], **settings)
            yield await closing.enter_async_context(runtime)
