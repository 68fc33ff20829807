"""Appointments, from the model's message to the calendar's own database."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from remit.cli.demo.agreement import in_calendar


@pytest.fixture
async def slots(shop):
    first_day = (datetime.now(UTC) + timedelta(days=7)).date().isoformat()
    found = await shop.ask(shop.ada, "find_slots", "gemini", first_day=first_day, days=7)
    return [slot["id"] for slot in found.result["slots"]]


def held(shop):
    return [(effect.kind, effect.reference) for effect in in_calendar(shop.folder / "calendar.db")]


async def test_an_appointment_is_booked_and_moved_and_its_first_slot_is_free_again(shop, slots):
    booked = await shop.ask(shop.ada, "book_appointment", "gemini", slot_id=slots[0], topic="Wiring")
    moved = await shop.ask(shop.ada, "reschedule_appointment", "openai", appointment_id=booked.result["id"], slot_id=slots[4])

    assert (booked.ok, moved.ok, moved.result["id"]) == (True, True, booked.result["id"])
    assert (await shop.ask(shop.bo, "book_appointment", slot_id=slots[0])).ok
    assert [kind for kind, _ in held(shop)] == ["booked", "moved", "booked"]


async def test_of_twenty_who_want_one_slot_one_gets_it(shop, slots):
    outcomes = await asyncio.gather(*(shop.ask(shop.ada if n % 2 else shop.bo, "book_appointment", slot_id=slots[0]) for n in range(20)))

    winner = {one.result["id"] for one in outcomes if one.ok}
    assert len(winner) == 1, "who holds the slot is told of the appointment that stands"
    assert {one.error.code for one in outcomes if not one.ok} == {"slot_taken"}
    assert held(shop) == [("booked", *winner)]


async def test_another_customer_can_neither_move_nor_cancel_an_appointment(shop, slots):
    booked = await shop.ask(shop.ada, "book_appointment", slot_id=slots[0])
    mine = booked.result["id"]

    moved = await shop.ask(shop.bo, "reschedule_appointment", appointment_id=mine, slot_id=slots[1])
    cancelled = await shop.ask(shop.bo, "cancel_appointment", appointment_id=mine)

    assert [one.error.code for one in (moved, cancelled)] == ["not_found", "not_found"]
    assert held(shop) == [("booked", mine)]
    assert (await shop.ask(shop.ada, "cancel_appointment", appointment_id=mine)).ok, "the control: whose it is can"
