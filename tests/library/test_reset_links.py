"""A reset link works once, for a while, and can't be read out of the store."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from remit.actions.library.reset_links import ResetLinks
from tests.library.appointing import NOW

ADDRESS = "https://shop.example.org/reset?token="


class Time:
    def __init__(self):
        self.now = NOW


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
def links(tmp_path, clock):
    return ResetLinks(tmp_path / "links.db", address=ADDRESS, valid=timedelta(minutes=30), now=lambda: clock.now)


async def issued(links, account="acc_1"):
    link = await links.issue(account)
    assert link.startswith(ADDRESS)
    return link.removeprefix(ADDRESS)


async def test_a_token_is_good_for_its_account_once(links):
    token = await issued(links)
    assert len(token) == 43  # 256 bits
    assert await links.redeem(token) == "acc_1"
    assert await links.redeem(token) is None


async def redeemed_at_once(links, times=8):
    token = await issued(links)
    return sorted(filter(None, await asyncio.gather(*(links.redeem(token) for _ in range(times)))))


async def test_of_many_redeemers_at_once_one_gets_in(links):
    for _ in range(5):
        assert await redeemed_at_once(links) == ["acc_1"]


async def test_control_a_store_that_looks_first_and_deletes_later_lets_several_in(links, monkeypatch):
    looked = asyncio.Barrier(8)

    async def careless(token):
        with closing(sqlite3.connect(links._database._path)) as db:
            found = db.execute("SELECT account FROM reset_link").fetchone()
            await looked.wait()
            db.execute("DELETE FROM reset_link")
        return found and found[0]

    monkeypatch.setattr(links, "redeem", careless)
    assert len(await redeemed_at_once(links)) > 1


async def test_a_token_expires(links, clock):
    early, late = await issued(links, "acc_1"), await issued(links, "acc_2")
    clock.now += timedelta(minutes=30, microseconds=-1)
    assert await links.redeem(early) == "acc_1"
    clock.now += timedelta(microseconds=1)
    assert await links.redeem(late) is None


async def test_a_token_expires_by_the_instant_whatever_zone_tells_the_time(links, clock):
    clock.now = datetime(2030, 10, 27, 2, 45, tzinfo=ZoneInfo("Europe/Berlin"))  # a quarter of an hour before clocks go back
    token = await issued(links)
    clock.now = (clock.now.astimezone(UTC) + timedelta(minutes=31)).astimezone(ZoneInfo("Europe/Berlin"))
    assert await links.redeem(token) is None


async def test_a_new_link_ends_the_earlier_one_of_that_account_alone(links):
    first, other, second = await issued(links, "acc_1"), await issued(links, "acc_2"), await issued(links, "acc_1")
    assert first != second
    assert [await links.redeem(token) for token in (first, other, second)] == [None, "acc_2", "acc_1"]


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "ä", "\ud800", "'; DROP TABLE reset_link; --"])
async def test_another_token_opens_nothing(links, token):
    good = await issued(links)
    assert await links.redeem(token) is None
    assert await links.redeem(good) == "acc_1"


async def test_the_store_does_not_hold_what_would_open_it(links, tmp_path):
    token = await issued(links)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"acc_1" in stored  # so it is the right place to look
    assert token.encode() not in stored


async def test_the_random_bits_are_those_of_the_source(tmp_path):
    links = ResetLinks(tmp_path / "links.db", address=ADDRESS, random=lambda count: b"\xff" * count)
    assert await issued(links) == "_" * 42 + "8"
