"""A dry run says what would become of a call, and leaves nothing behind."""

import pytest

from remit import Injected, action
from remit.actions import once
from remit.audit import State
from remit.runtime.tables import METADATA
from tests.runtime.bank import LARGE, NOTES, Bank, Payment, asks, load_payment, says, session


async def rows(runtime, world) -> list[str]:
    await runtime._sequencer.catch_up()
    tables = [table.name for table in METADATA.sorted_tables]
    return [str((table, *row)) for table in tables for row in world.sql(f"SELECT * FROM {table} ORDER BY 1, 2")]


@pytest.mark.parametrize(
    ("sent", "state", "code"),
    [
        (asks(), State.READY, None),
        (asks(euros=LARGE), State.WAITING, None),
        (asks(euros="2000.00"), State.DENIED, "denied"),
        (asks(payment="pay_none"), State.DENIED, "not_found"),
        (asks(payment=7), State.REJECTED, "arguments_invalid"),
        ({"name": "none"}, State.REJECTED, "unknown_action"),
        ({"name": "look_up", "arguments": {"payment_id": "pay_1"}}, State.READY, None),
        (says("a note", tag="t1"), State.READY, None),
    ],
)
async def test_a_dry_run_says_what_would_become_of_it_and_writes_nothing(runtime, world, sent, state, code):
    before = await rows(runtime, world)
    for subject in ("kay", "never-seen-before"):
        world.bank.payments["pay_1"] = Payment(customer=subject)
        outcome = await runtime.submit(sent, session(subject=subject), dry_run=True)
        assert (outcome.state, outcome.call_id, outcome.dry_run) == (state, None, True)
        assert (outcome.error.code if outcome.error else None) == code
    assert await rows(runtime, world) == before
    assert world.bank.attempts == []


async def test_control_the_same_call_in_earnest_writes(runtime, world):
    before = await rows(runtime, world)
    await runtime.submit(asks(), session())
    assert await rows(runtime, world) != before and world.bank.effects == ["pay_1"]


async def test_a_dry_run_about_somebody_makes_no_key_for_them(world):
    @action(
        effect=once, key="about:{payment_id}", facts={"payment": load_payment}, about="facts.payment.customer", owns=None, owns_reason="x"
    )
    async def jot(payment_id: str, bank: Injected[Bank]) -> None:
        """Tell the owner of a payment."""

    (world.folder / "policies" / "payments.yaml").unlink()
    world.policies(notes=NOTES.replace("jot, look_up", "jot"))
    world.bank.payments["pay_1"] = Payment(customer="never-seen-before")
    async with world.running([jot]) as runtime:
        before = await rows(runtime, world)
        outcome = await runtime.submit({"name": "jot", "arguments": {"payment_id": "pay_1"}}, session(), dry_run=True)
        assert outcome.state is State.READY and await rows(runtime, world) == before


async def test_a_dry_run_takes_no_key_away(runtime, world):
    await runtime.submit(asks(tag="t1"), session(), dry_run=True)
    first = await runtime.submit(asks(tag="t1"), session())
    assert (first.state, first.repeated) == (State.SUCCEEDED, False)


async def test_a_dry_run_of_what_was_done_shows_that_it_was(runtime, world):
    first = await runtime.submit(asks(), session())
    again = await runtime.submit(asks(), session(), dry_run=True)
    assert (again.call_id, again.repeated) == (first.call_id, True)
    taken = (
        await runtime.submit(asks("transfer"), session()),
        await runtime.submit(asks("transfer", euros="11.00"), session(), dry_run=True),
    )
    assert taken[1].error.code == "effect_taken" and taken[1].dry_run
