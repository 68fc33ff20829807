"""A help desk with five actions, for the tests of the service. Run as a program, it serves: `desk.py DATABASE PORT`."""

import asyncio
import sys
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from remit import Context, Injected, Money, Runtime, Secret, action, once, per_call, read
from remit.runtime.identity import StepUp

POLICIES = {
    "desk.yaml": """
policy: desk
actions: [look_up_order, issue_credit, write_note, order_part, close_account]
rules:
  - id: any
    when: subject.id != "cus_barred"
    then: allow
""",
    "credit.yaml": """
policy: credit
actions: [issue_credit]
rules:
  - id: large
    when: arguments.amount.currency != "EUR" || arguments.amount.minor > 5000
    then: require_approval
    approval: {by: finance, votes: 1, within: 4h, escalate: {after: 1h, to: leads}}
""",
    "asking.yaml": """
policy: asking
actions: [order_part, close_account]
rules:
  - id: customer_confirms
    when: subject.id != "cus_known"
    then: require_confirmation
    confirmation: {within: 2h}
  - id: who_is_it
    when: subject.id == "cus_2" && subject.assurance < 2
    then: require_step_up
    step_up: {to: 2, within: 1h}
""",
}


class Order(BaseModel):
    id: str
    status: str


class Desk:
    """What happened at the desk, and a gate that a test can shut to hold a handler up."""

    def __init__(self, pause: float = 0) -> None:
        self.credits: list[str] = []
        self.notes: list[str] = []
        self.parts: list[str] = []
        self.closed: list[str] = []
        self.price = 900
        self.codes: list[str] = []
        self.pause = pause
        self.gate = asyncio.Event()
        self.gate.set()

    async def reached(self, subject: str) -> str | None:
        return "c•••@example.org"

    async def send(self, subject: str, code: str, locale: str | None, until: datetime) -> None:
        self.codes.append(code)


@action(effect=read, owns=None, owns_reason="orders of this desk are public")
async def look_up_order(order_id: str) -> Order:
    """Look up an order."""
    if order_id == "ord_broken":
        raise RuntimeError("a broken shelf")
    return Order(id=order_id, status="sent")


@action(effect=once, key="credit:{order_id}", owns=None, owns_reason="a test")
async def issue_credit(ctx: Context, order_id: str, amount: Money, desk: Injected[Desk]) -> Order:
    """Give credit for an order."""
    await desk.gate.wait()
    desk.credits.append(f"{order_id} {amount}")
    return Order(id=order_id, status="credited")


@action(effect=once, key=per_call, owns=None, owns_reason="a test")
async def write_note(note: str, desk: Injected[Desk]) -> str:
    """Keep a note."""
    await asyncio.sleep(desk.pause)
    desk.notes.append(note)
    return f"kept: {note}"


class Price(BaseModel):
    now: Money


async def load_price(desk: Injected[Desk]) -> Price:
    return Price(now=Money(desk.price, "EUR"))


@action(
    effect=once,
    key="part:{part}",
    owns=None,
    owns_reason="a test",
    facts={"price": load_price},
    summary={"en": "Order {part} for {facts.price.now}", "de": "{part} für {facts.price.now} bestellen"},
)
async def order_part(part: str, desk: Injected[Desk], note: str = "") -> str:
    """Order a part."""
    desk.parts.append(part)
    return part


@action(effect=once, key="close:{subject.id}", owns=None, owns_reason="a test")
async def close_account(pin: Secret[str], desk: Injected[Desk]) -> str:
    """Close the account."""
    desk.closed.append("closed")
    return "closed"


ACTIONS = [look_up_order, issue_credit, write_note, order_part, close_account]


def open_desk(folder: Path, desk: Desk, name: str = "remit.db") -> Runtime:
    """Make a runtime of the desk in a folder."""
    (folder / "policies").mkdir(exist_ok=True)
    for file, text in POLICIES.items():
        (folder / "policies" / file).write_text(text)
    step_up = StepUp(codes=desk)
    return Runtime(ACTIONS, policies=folder / "policies", database=folder / name, resources=[desk], step_up=step_up)


if __name__ == "__main__":
    from remit.cli.log_lines import write_lines
    from remit.server import serve

    write_lines("console")
    serve(open_desk(Path(sys.argv[1]), Desk(pause=1.5)), "127.0.0.1", int(sys.argv[2]))
