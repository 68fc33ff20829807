"""A help desk with three actions, for the tests of the service. Run as a program, it serves: `desk.py DATABASE PORT`."""

import asyncio
import sys
from pathlib import Path

from pydantic import BaseModel

from remit import Context, Injected, Money, Runtime, action, once, per_call, read

POLICIES = {
    "desk.yaml": """
policy: desk
actions: [look_up_order, issue_credit, write_note]
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
    approval: {by: finance, votes: 1, within: 4h}
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
        self.pause = pause
        self.gate = asyncio.Event()
        self.gate.set()


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


def open_desk(folder: Path, desk: Desk, name: str = "remit.db") -> Runtime:
    """Make a runtime of the desk in a folder."""
    (folder / "policies").mkdir(exist_ok=True)
    for file, text in POLICIES.items():
        (folder / "policies" / file).write_text(text)
    return Runtime([look_up_order, issue_credit, write_note], policies=folder / "policies", database=folder / name, resources=[desk])


if __name__ == "__main__":
    from remit.server import serve

    serve(open_desk(Path(sys.argv[1]), Desk(pause=1.5)), "127.0.0.1", int(sys.argv[2]))
