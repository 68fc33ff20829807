"""A shop to tell stories with: the example's desk over real providers on this machine, and a model that asks in its provider's words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from remit import Runtime, Session
from remit.actions.library import accounts, appointments, payments, plans
from remit.actions.library.calendar import EmbeddedCalendar
from remit.actions.library.directory import ScimDirectory
from remit.actions.library.mail import SmtpMail
from remit.actions.library.reset_links import ResetLinks
from remit.actions.library.stripe import Stripe
from remit.cli.demo.wire import message
from remit.sandbox.directory import DirectoryServer, Person
from remit.sandbox.mail import MailServer
from remit.sandbox.payments import PaymentSandbox

POLICIES = Path(__file__).parents[2] / "examples" / "support" / "policies"
LINK = "https://shop.example.org/reset?token="


@dataclass
class Shop:
    """What a story acts on. `ada` and `bo` are sessions of two customers, `nobody` one of somebody who has not logged in."""

    folder: Path
    provider: PaymentSandbox
    mail: MailServer
    connectors: list
    ada: Session
    bo: Session
    nobody: Session
    policies: Path = POLICIES
    runtime: Runtime = None
    numbers: count = field(default_factory=lambda: count(1))

    @property
    def links(self) -> ResetLinks:
        return next(one for one in self.connectors if isinstance(one, ResetLinks))

    def bought(self, by: Session, cents: int) -> str:
        return self.provider.charging.create_payment(amount=cents, currency="eur", customer=by.subject)["id"]

    def subscribed(self, who: Session) -> str:
        prices = [
            self.provider.billing.create_price(
                currency="eur", unit_amount=cents, recurring={"interval": "month"}, product_data={"name": plan}, lookup_key=plan
            )["id"]
            for plan, cents in (("basic_monthly", 900), ("pro_monthly", 1900))
        ]
        return self.provider.billing.create_subscription(customer=who.subject, items=[{"price": prices[0]}])["id"]

    def refunds(self, payment: str) -> list[int]:
        """What the provider really paid back of a payment, in cents."""
        return [entry.amount for entry in self.provider.ledger() if entry.about == payment]

    async def ask(self, who: Session, name: str, dialect: str = "anthropic", **arguments):
        """Let a model ask, in its provider's wire format and under a new id of a tool call."""
        outcome, _ = await self.ask_and_answer(who, name, dialect, **arguments)
        return outcome

    async def ask_and_answer(self, who: Session, name: str, dialect: str = "anthropic", **arguments):
        [call] = self.runtime.read(dialect, message(dialect, [(f"toolu_{next(self.numbers)}", name, arguments)]))
        outcome = await self.runtime.submit(call, who)
        [answer] = self.runtime.answer(dialect, [(call, outcome)])
        return outcome, answer

    async def refund(self, who: Session, payment: str, amount: str):
        return await self.ask(
            who, "refund_payment", payment_id=payment, amount={"value": amount, "currency": "EUR"}, reason="requested_by_customer"
        )

    async def open(self) -> None:
        self.runtime = Runtime(
            [payments, plans, appointments, accounts],
            policies=self.policies,
            database=self.folder / "remit.db",
            resources=self.connectors,
        )
        await self.runtime.start()

    async def restart(self) -> None:
        """Close the runtime, and open another on the same database."""
        await self.runtime.close()
        await self.open()


@asynccontextmanager
async def opened(folder: Path, policies: Path = POLICIES) -> AsyncIterator[Shop]:
    """Open a shop; when it closes, its log must verify."""
    people = [Person("acc_ada", "ada", "ada@example.org")]
    with PaymentSandbox() as provider, DirectoryServer(people) as directory, MailServer() as mail:
        async with Stripe("sk_test_shop", api_base=provider.url) as stripe:
            connectors = [
                stripe,
                EmbeddedCalendar(folder / "calendar.db"),
                ScimDirectory(f"{directory.url}/v2"),
                SmtpMail(mail.host, mail.port, "support@shop.example.org"),
                ResetLinks(folder / "links.db", address=LINK),
            ]
            customers = [provider.charging.create_customer(name=name)["id"] for name in ("Ada", "Bo")]
            ada, bo = (
                Session(principal="support-agent", subject=one, conversation=f"chat-{one}", channel="chat", assurance=2)
                for one in customers
            )
            nobody = Session(principal="support-agent", conversation="chat-nobody", channel="chat")
            shop = Shop(folder, provider, mail, connectors, ada, bo, nobody, policies)
            await shop.open()
            try:
                await shop.runtime.people.add("fay", name="Fay", roles=["finance"])
                await shop.runtime.people.add("gus", name="Gus", roles=["support"])
                yield shop
                report = await shop.runtime.verify()
                assert report.ok, report.first
            finally:
                await shop.runtime.close()
