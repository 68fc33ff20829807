"""A place to die in: a database that is copied for each death, and a provider that all of them share."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from remit import Runtime
from remit.sandbox.payments import PaymentSandbox
from tests import postgres
from tests.torture.books import Books, Refunded, compare
from tests.torture.killing import Worker
from tests.torture.paying import PATIENT, Desk, actions
from tests.torture.starts import APPROVER, OPERATOR, STARTS, Case
from tests.torture.steered import Steered

HOUR = 3_600.0
TEMPLATE = "template.db"


async def make_template(folder: Path, database: str) -> None:
    """Make the database that is copied: with its policies in force, and with its people."""
    async with Desk(folder, database, "http://127.0.0.1:1").open() as runtime:
        await runtime.people.add(APPROVER, roles=["finance"])
        await runtime.people.add(OPERATOR, roles=["operator"])
        await runtime.people.add("boss", roles=["support"])
        await runtime.people.add_agent("support-agent", owner="boss")


class Place:
    """Copy the database, let children come to a point, and take up what they left."""

    def __init__(self, folder: Path, sandbox: PaymentSandbox, template: Path) -> None:
        self.folder, self.sandbox = folder, sandbox
        self._template = template / TEMPLATE
        self.customer = sandbox.charging.create_customer(name="Kay")["id"]
        self._numbers = itertools.count(1)

    def desk(self, *, url: str | None = None, folder: Path | None = None) -> Desk:
        """Copy the database, into `folder` where that is given, and give the desk over it; `url` is another way to the provider."""
        at = (folder or self.folder) / f"copy_{next(self._numbers)}.db"
        for suffix in (".db", ".keys"):
            shutil.copy(self._template.with_suffix(suffix), at.with_suffix(suffix))
        return Desk(self.folder, str(at), url or self.sandbox.url)

    def payment(self, start: str = "fresh") -> str:
        """Make a payment from which a call can start so."""
        return str(self.sandbox.charging.create_payment(amount=STARTS[start].amount, currency="eur", customer=self.customer)["id"])

    def refunds(self, *payments: str) -> list[Refunded]:
        """Say what the provider has really done."""
        return [Refunded(one.about, one.call) for one in self.sandbox.ledger() if one.about in payments]

    def written(self, payment: str) -> int:
        """Count the requests to refund a payment that came in, whatever became of them."""
        return sum(payment in one.text for one in self.sandbox.written())

    def come_to(
        self, lives: Worker, at: int | list[str | int], kind: str, start: str, *, what: int = signal.SIGKILL, variant: str = ""
    ) -> tuple[int, Desk, str]:
        """Let a child come to the point `at` and die or stop there, or to the end; gives its pid, desk and payment."""
        desk, payment = self.desk(), self.payment(start)
        case = {"kind": kind, "customer": self.customer, "payment": payment}
        more = {"names": str(self.folder / "names"), "what": int(what), "variant": variant}
        return lives.begin(desk, "to_a_point", at=at, start=start, case=case, **more), desk, payment

    def passed(self) -> list[str]:
        """Name the points that the last child passed that came to its end."""
        found: list[str] = json.loads((self.folder / "names").read_text())
        return found

    async def take_up(self, desk: Desk, *asked: tuple[str, str], variant: str = "") -> Books:
        """Start again, an hour later, let the customer ask for these effects again, and compare the books when nothing more happens."""
        time = Steered(later=HOUR)
        async with desk.open(clock=time.clock, actions=actions(variant), **PATIENT) as runtime:
            await self._settle(runtime, time, asked, hurry=True)
            time.pass_(60)
            return await compare(runtime, self.refunds(*(payment for _, payment in asked)), settled=True)

    async def _settle(self, runtime: Runtime, time: Steered, asked: Sequence[tuple[str, str]], *, hurry: bool) -> None:
        cases = [Case(runtime, kind, self.customer, payment, self.sandbox.url, time) for kind, payment in asked]
        for case in cases:
            await case.ask()
        kinds = {case.action: case for case in cases}
        for call in await runtime.calls(most=1_000):  # a read that is asked for again is another call
            await kinds[call.action].approve(call.id)
            await kinds[call.action].end(call.id, hurry=hurry)

    async def look(self, desk: Desk, payment: str) -> Books:
        """Compare the books as they are, two hours later: nothing but a call that is still under way would move now."""
        async with desk.open(clock=Steered(later=2 * HOUR).clock) as runtime:
            return await compare(runtime, self.refunds(payment))


class PostgresPlace(Place):
    """The same over PostgreSQL, whose time can't be steered: what is left is taken up when its lease is really over."""

    def __init__(self, folder: Path, sandbox: PaymentSandbox, template: str, keys: Path, made: contextlib.ExitStack) -> None:
        super().__init__(folder, sandbox, folder)
        self._copied, self._made = template, made
        shutil.copy(keys, folder / "remit.keys")

    def desk(self, *, url: str | None = None, folder: Path | None = None) -> Desk:
        """Copy the database; it is dropped in the end."""
        at = folder or self.folder
        made = self._made.enter_context(postgres.database(self._copied))
        shutil.copy(self.folder / "remit.keys", at / f"{urlsplit(made).path.strip('/')}.keys")
        return Desk(at, made, url or self.sandbox.url)

    async def take_up(self, desk: Desk, *asked: tuple[str, str], variant: str = "") -> Books:
        """Start again, let the customer ask for these effects again, and compare the books when nothing more happens."""
        async with desk.open(actions=actions(variant)) as runtime:
            await self._settle(runtime, Steered(), asked, hurry=False)
            return await compare(runtime, self.refunds(*(payment for _, payment in asked)))


def wrong(books: Iterable[Books], passed: Iterable[str]) -> dict[str, Books]:
    """Name the points after which the books do not agree."""
    named = zip(books, itertools.chain(passed, itertools.repeat("the end")), strict=False)
    return {f"{number} {name}": one for number, (one, name) in enumerate(named, 1) if not one.agree}
