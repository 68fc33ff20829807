"""The embedded calendar: one slot, one appointment, and every change found by its call."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from remit.actions.library import calendar as embedded
from remit.actions.library.appointments import OpeningHours
from remit.actions.library.calendar import EmbeddedCalendar
from remit.errors import Refused, Retryable, Unsure
from tests.library.appointing import HALF_PAST, MONDAY, NINE, NOW, TEN, at, free, now, race


@pytest.fixture
def calendar(tmp_path):
    return EmbeddedCalendar(tmp_path / "calendar.db", now=now)


async def test_a_slot_is_found_booked_moved_and_cancelled(calendar):
    assert NINE in await free(calendar)
    booked = await calendar.book("call_1", NINE, "ada", "A new contract")
    assert (booked.id, booked.start, booked.end, booked.customer) == ("call_1", at(9), at(9, 30), "ada")
    assert NINE not in await free(calendar)

    moved = await calendar.move("call_2", "call_1", TEN)
    assert moved == await calendar.find("call_1") and moved.start == at(10)
    assert NINE in await free(calendar) and TEN not in await free(calendar)

    await calendar.cancel("call_3", "call_1")
    assert await calendar.find("call_1") is None
    assert TEN in await free(calendar)
    assert (await calendar.book("call_4", TEN, "bob", "")).customer == "bob"


async def bookings_of_one_slot(path, rounds=5, callers=6):
    """Book each of some slots many times at once, over several connections; give how many won each."""
    calendars = [EmbeddedCalendar(path, now=now) for _ in range(callers)]
    slots = [slot.id for slot in (await calendars[0].free(MONDAY, 1))[:rounds]]
    wins = []
    for slot in slots:
        won, refused = await race(*(c.book(f"{slot}_{n}", slot, f"customer_{n}", "") for n, c in enumerate(calendars)))
        assert {(r.definite, r.reason_code) for r in refused} <= {(True, "slot_taken")}
        wins.append(len(won))
    return wins


async def test_of_many_bookings_of_one_slot_exactly_one_wins(tmp_path):
    assert await bookings_of_one_slot(tmp_path / "calendar.db") == [1] * 5


async def test_control_without_the_constraint_the_race_is_won_more_than_once(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "SCHEMA", embedded.SCHEMA.replace("UNIQUE (calendar, slot)", "CHECK (true)"))
    assert await bookings_of_one_slot(tmp_path / "calendar.db") == [6] * 5


async def test_two_moves_to_one_slot_one_wins(calendar):
    await calendar.book("call_1", NINE, "ada", "")
    await calendar.book("call_2", HALF_PAST, "bob", "")
    won, refused = await race(calendar.move("call_3", "call_1", TEN), calendar.move("call_4", "call_2", TEN))
    assert (len(won), [r.reason_code for r in refused]) == (1, ["slot_taken"])


async def test_a_customer_who_asks_again_gets_the_appointment_that_stands(calendar):
    first = await calendar.book("call_1", NINE, "ada", "")
    assert await calendar.book("call_2", NINE, "ada", "") == first
    assert await calendar.move("call_3", "call_1", NINE) == first
    assert await calendar.changed("call_2", "call_1") is None


async def test_a_change_is_found_by_its_call_even_when_others_followed(calendar):
    assert await calendar.changed("call_1", "call_1") is None
    booked = await calendar.book("call_1", NINE, "ada", "")
    moved = await calendar.move("call_2", "call_1", TEN)
    await calendar.cancel("call_3", "call_1")
    assert await calendar.changed("call_1", "call_1") == booked
    assert await calendar.changed("call_2", "call_1") == moved
    assert await calendar.changed("call_3", "call_1") is None  # whether it was cancelled, `find` says


@pytest.mark.parametrize("slot", ["20300107T0910Z", "20300107T0830Z", "20300106T0900Z", "20300104T1000Z", "99999999T9999Z", "", "x"])
async def test_only_a_slot_of_the_opening_hours_that_has_not_begun_can_be_booked(calendar, slot):
    with pytest.raises(Refused) as refused:
        await calendar.book("call_1", slot, "ada", "")
    assert (refused.value.definite, refused.value.reason_code) == (True, "no_such_slot")


async def test_an_appointment_that_does_not_stand_can_be_neither_moved_nor_cancelled(calendar):
    for change in (calendar.move("call_1", "nobody", NINE), calendar.cancel("call_1", "nobody")):
        with pytest.raises(Refused, match="no such appointment"):
            await change


async def test_slots_that_have_begun_are_not_offered(calendar):
    offered = await calendar.free(NOW.date(), 1)
    assert offered[0].start == NOW + timedelta(minutes=30)


async def test_calendars_in_one_file_do_not_see_each_other(tmp_path):
    first, second = (EmbeddedCalendar(tmp_path / "calendar.db", name=name, now=now) for name in ("first", "second"))
    await first.book("call_1", NINE, "ada", "")
    assert await second.find("call_1") is None
    assert (await second.book("call_2", NINE, "bob", "")).id == "call_2"


async def test_a_database_held_by_somebody_else_is_retryable_and_unchanged(calendar, tmp_path, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **given: connect(path, **(given | {"timeout": 0})))
    with closing(sqlite3.connect(tmp_path / "calendar.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Retryable):
            await calendar.book("call_1", NINE, "ada", "")
    assert await calendar.find("call_1") is None


async def test_a_database_that_can_not_be_used_is_retryable_and_unchanged(calendar, tmp_path):
    def fill(db):
        db.execute("PRAGMA max_page_count = 1")
        db.execute("INSERT INTO appointment VALUES ('call_1', 'support', 'ada', ?, 's', 's', 's')", ("x" * 100_000,))

    with pytest.raises(Retryable):
        await calendar._database.run(fill)
    assert await calendar.find("call_1") is None
    for file in tmp_path.iterdir():
        file.unlink()
    tmp_path.rmdir()
    with pytest.raises(Retryable):
        await calendar.book("call_1", NINE, "ada", "")


class Acknowledges(sqlite3.Connection):
    """Keep what is committed, and lose the answer."""

    def execute(self, sql, *given):
        done = super().execute(sql, *given)
        if sql == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return done


async def test_a_commit_whose_answer_got_lost_is_unsure_and_found(calendar, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **given: connect(path, factory=Acknowledges, **given))
    with pytest.raises(Unsure):
        await calendar.book("call_1", NINE, "ada", "")
    monkeypatch.undo()
    assert (await calendar.changed("call_1", "call_1")).start == at(9)


def test_a_change_of_the_clocks_makes_no_slot_twice():
    hours = OpeningHours(weekdays=frozenset(range(7)), opens=time(0), closes=time(5), minutes=60, zone=ZoneInfo("Europe/Berlin"))
    assert len(hours.on(date(2030, 3, 31))) == 4  # the night that loses an hour
    assert len(hours.on(date(2030, 10, 27))) == 6  # and the one that has one more
    for day in (date(2030, 3, 31), date(2030, 10, 27)):
        slots = hours.on(day)
        assert len({slot.start for slot in slots}) == len(slots)
        assert [hours.slot(slot.id, datetime(2030, 1, 1, tzinfo=UTC)) for slot in slots] == slots


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Tokyo"])
@pytest.mark.parametrize("slot", ["00010101T0000Z", "99991231T2330Z", "20301399T9999Z"])
async def test_a_slot_beyond_all_dates_is_refused_before_anything_happens(tmp_path, zone, slot):
    hours = OpeningHours(frozenset(range(7)), time(0), time(23, 30), zone=ZoneInfo(zone))
    calendar = EmbeddedCalendar(tmp_path / "calendar.db", hours=hours, now=now)
    with pytest.raises(Refused) as refused:
        await calendar.book("call_1", slot, "ada", "")
    assert (refused.value.definite, refused.value.reason_code) == (True, "no_such_slot")
    for day in (date.min, date.max):
        assert all(slot.start > NOW for slot in await calendar.free(day, 31))
