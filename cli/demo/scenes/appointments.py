"""Appointments: one is booked and moved, and another customer's model asks for the same slot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ..agreement import in_calendar
from ..record import Step
from ..stage import Stage


async def booked_and_moved(stage: Stage, step: Step) -> None:
    """A free slot is found, booked, and changed for another."""
    step.says("Ada", "Can somebody look at the wiring at home, some day next week?")
    first_day = (datetime.now(UTC) + timedelta(days=7)).date().isoformat()
    (found,) = await stage.ask(step, stage.ada, ("find_slots", {"first_day": first_day, "days": 7}), dialect="gemini")
    early, late = (slot["id"] for slot in found.result["slots"][:3:2])
    book = ("book_appointment", {"slot_id": early, "topic": "Wiring of the lamp"})
    (booked,) = await stage.ask(step, stage.ada, book, dialect="gemini")
    step.expect("it is booked", booked.state, "succeeded")
    step.says("Ada", "Oh, an hour later would be better.")
    move = ("reschedule_appointment", {"appointment_id": booked.result["id"], "slot_id": late})
    (moved,) = await stage.ask(step, stage.ada, move, dialect="gemini")
    step.expect("it is the same appointment, an hour later", moved.result["id"], booked.result["id"])
    stage.kept |= {"appointment": booked.result["id"], "slot": late, "given up": early}


async def double_booked(stage: Stage, step: Step) -> None:
    """Of two who want one slot, one gets it."""
    step.says("Bo", "I would like that same hour.")
    (taken,) = await stage.ask(step, stage.bo, ("book_appointment", {"slot_id": stage.kept["slot"]}), dialect="gemini")
    step.expect("the slot is taken", (taken.state, taken.error and taken.error.code), ("failed", "slot_taken"))
    step.says("Bo", "An hour earlier, then.")
    (booked,) = await stage.ask(step, stage.bo, ("book_appointment", {"slot_id": stage.kept["given up"]}), dialect="gemini")
    step.expect("the slot that Ada gave up is free for Bo", booked.state, "succeeded")
    held = [(effect.kind, effect.reference) for effect in in_calendar(stage.folder / "calendar.db")]
    mine = stage.kept["appointment"]
    step.expect("the calendar has just these three", held, [("booked", mine), ("moved", mine), ("booked", booked.call_id)])
