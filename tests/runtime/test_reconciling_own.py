"""Ledgers of one's own: without a mark of the call, beside the connectors, and what they may do wrong."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import orjson
import pytest

from remit import Context, Injected, Money, Refused, Retryable, action, keyed
from remit.actions import Keeping, Ledger, LedgerEntry, entered
from remit.runtime.ledgers import Place
from tests.runtime.paying import codes, opened

POLICIES = {"gifts": 'policy: gifts\nactions: [send_gift]\nrules:\n  - {id: all, when: "true", then: allow}\n'}


@dataclass
class Shop:
    """Sends gifts, and knows no marks."""

    books: list[LedgerEntry] = field(default_factory=list)

    def sent(self, to: str, amount: Money) -> str:
        self.books.append(LedgerEntry("gift", f"g_{len(self.books)}", to, amount=amount, at=datetime.now(UTC)))
        return self.books[-1].reference


@dataclass
class Statement(Ledger):
    """The shop's own export: no connector of any action."""

    kept: ClassVar = {"gift": Keeping.ALL}
    shop: Shop
    fails: Exception | None = None

    async def entries_about(self, effect, about):
        for entry in self.shop.books:
            if self.fails:
                raise self.fails
            if entry.about == about:
                yield entry

    async def entries_since(self, effect, since):
        for entry in self.shop.books:
            yield entry
        if self.fails:
            raise self.fails


@action(
    effect=keyed("24h"),
    key="gift:{to}",
    owns=None,
    owns_reason="a test",
    ledger=entered("gift", about="arguments.to", amount="arguments.amount"),
)
async def send_gift(ctx: Context, to: str, amount: Money, shop: Injected[Shop]) -> None:
    """Send a gift."""
    ctx.reference(shop.sent(to, amount))


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def statement(shop):
    return Statement(shop)


@pytest.fixture
async def desk(world, shop, statement):
    async with opened(world, send_gift, policies=POLICIES, resources=[shop, statement]) as desk:
        yield desk


async def sends(desk, to, euros="5.00"):
    return await desk.asks("send_gift", to=to, amount={"value": euros, "currency": "EUR"})


async def test_entries_without_a_mark_are_matched_by_their_reference(desk, shop):
    outcomes = [await sends(desk, to) for to in ("ada", "bob", "cem")]
    report = await desk.compare()
    assert (report.ok, report.ledgers, report.agree, report.entries) == (True, ("Statement",), 3, 3)
    past = shop.sent("eve", Money(900, "EUR"))
    shop.books[0] = LedgerEntry("gift", "g_0", "ada", amount=Money(501, "EUR"))
    lost = shop.books.pop(1).reference
    assert sorted(codes(await desk.compare())) == sorted(
        [
            ("unknown_to_log", None, past),
            ("amount_differs", outcomes[0].call_id, "g_0"),
            ("missing_at_provider", outcomes[1].call_id, lost),
        ]
    )


async def test_what_was_made_before_is_not_missed_in_a_log_that_may_have_been_pruned(desk, shop):
    await sends(desk, "ada")
    shop.sent("eve", Money(900, "EUR"))
    assert codes(await desk.compare()) == [("unknown_to_log", None, "g_1")], "the control"
    shop.books[1] = replace(shop.books[1], at=datetime.now(UTC) - timedelta(days=9_000))
    assert codes(await desk.compare()) == [("unknown_to_log", None, "g_1")], "whatever it says of its time"
    await desk.runtime._sequencer.catch_up()
    desk.world.sql("INSERT INTO pruned (tenant, below, at) VALUES ('default', 1, 1)")
    assert (await desk.compare(later=600, minutes=5)).ok


@pytest.mark.parametrize("name", ["\x00", "\ud800", "x" * 5_000, "'; --", "", "g_0\n"])
async def test_whatever_an_entry_is_called_it_is_found_and_recorded(desk, shop, name):
    await sends(desk, "ada")
    shop.books.append(LedgerEntry("gift", name, "bob"))
    shop.books.append(LedgerEntry("gift", name, "bob", call=name))
    report = await desk.compare()
    assert ([one.code for one in report.differences], report.agree) == (["unknown_to_log"] * 2, 1)


@pytest.mark.parametrize("fails", [Retryable("It is shut."), ValueError("ada@example.org")])
async def test_whatever_a_ledger_raises_makes_it_incomplete_and_is_not_repeated_where_it_may_be_personal(desk, statement, fails):
    await sends(desk, "ada")
    statement.fails = fails
    report = await desk.compare()
    assert (report.ok, report.complete, report.found, report.entries) == (False, False, 0, 1)
    assert {one.why for one in report.unread} == {"It is shut" if isinstance(fails, Retryable) else "ValueError"}
    [(leaf, *_)] = await desk.runtime.parts.store.rows("SELECT leaf FROM event WHERE kind = 'ledger.reconciled'")
    assert b"shut" not in bytes(leaf)


async def test_a_ledger_that_gives_one_page_for_ever_is_left_alone(desk, shop, statement, monkeypatch):
    async def for_ever(_self, _effect, _given):
        while True:
            for entry in shop.books:
                yield entry

    await sends(desk, "ada")
    monkeypatch.setattr(Statement, "entries_since", for_ever)
    async with asyncio.timeout(30):
        report = await desk.compare()
    assert (report.complete, report.found) == (False, 0)
    assert [(one.what, one.why) for one in report.unread] == [("each gift since then", "The ledger gives the same again and again")]
    monkeypatch.setattr(Statement, "entries_about", for_ever)
    async with asyncio.timeout(30):
        assert [one.times for one in (await desk.compare()).unread] == [1, 1]


async def taken_back_meanwhile(desk, shop, monkeypatch):
    """Compare while the provider takes a gift back, and the log hears of it."""

    async def meanwhile(_self, _effect, _about):
        await desk.runtime.reversed(sent.call_id, by="fay")
        yield shop.books[0]

    sent = await sends(desk, "ada")
    shop.books[0] = replace(shop.books[0], stands=False)
    with monkeypatch.context() as patch:
        patch.setattr(Statement, "entries_about", meanwhile)
        return await desk.compare(), sent.call_id


async def test_what_is_taken_back_while_its_ledger_is_read_is_no_difference(desk, shop, monkeypatch):
    report, sent = await taken_back_meanwhile(desk, shop, monkeypatch)
    assert (codes(report), report.under_way) == ([], 1)
    assert (await desk.compare()).agree == 1
    shop.books[0] = replace(shop.books[0], stands=True)
    assert codes(await desk.compare()) == [("taken_back_differs", sent, "g_0")], "standing still it is found"


async def test_control_whoever_goes_by_what_the_log_said_before_finds_a_difference_that_there_is_not(desk, shop, monkeypatch):
    async def as_before(_parts, _reach, _one, judgement, _tally, **_):
        return judgement

    monkeypatch.setattr("remit.runtime.reconciling._standing_still", as_before)
    report, sent = await taken_back_meanwhile(desk, shop, monkeypatch)
    assert codes(report) == [("taken_back_differs", sent, "g_0")]


async def test_a_ledger_that_says_nothing_for_ever_is_left_alone(desk, monkeypatch):
    async def silent(_self, _effect, _since):
        await asyncio.Event().wait()
        yield

    await sends(desk, "ada")
    monkeypatch.setattr(Statement, "entries_since", silent)
    monkeypatch.setattr("remit.runtime.reconciling.PATIENCE", 0.05)
    async with asyncio.timeout(30):
        report = await desk.compare()
    assert (report.agree, report.found, [one.why for one in report.unread]) == (1, 0, ["TimeoutError"])


async def test_however_long_the_names_at_a_provider_are_the_event_has_room(desk, shop):
    shop.books += [LedgerEntry("gift", f"{number:03}" + "\U0001f98a\x00" * 250, "bob") for number in range(120)]
    report = await desk.compare()
    [(leaf, *_)] = await desk.runtime.parts.store.rows("SELECT leaf FROM event WHERE kind = 'ledger.reconciled'")
    told = orjson.loads(leaf)["body"]
    assert (report.found, told["found"], 0 < len(told["differences"]) < 100) == (120, 120, True)


async def test_however_many_reasons_a_ledger_has_for_not_being_read_they_are_recorded(desk, monkeypatch):
    async def moody(_self, _effect, about):
        raise Refused(f"You can't look at {about}.")
        yield

    monkeypatch.setattr("remit.runtime.reconciling.FAILURES", 10_000)
    monkeypatch.setattr(Place, "name", property(lambda _: "Statement" * 40))
    monkeypatch.setattr(Statement, "entries_about", moody)
    await asyncio.gather(*(sends(desk, f"c{number}") for number in range(200)))
    report = await desk.compare()
    assert (report.complete, len(report.unread)) == (False, 200)
    [(leaf, *_)] = await desk.runtime.parts.store.rows("SELECT leaf FROM event WHERE kind = 'ledger.reconciled'")
    assert [one["times"] for one in orjson.loads(leaf)["body"]["unread"]] == [200]


@action(effect=keyed("24h"), key="taken:{gift}", owns=None, owns_reason="a test", ledger=entered("taking", about="arguments.gift"))
async def take_gift(ctx: Context, gift: str, shop: Injected[Shop]) -> None:
    """Take a gift back; the shop's name for that is the gift's."""
    ctx.reference(gift)


async def test_what_takes_an_effect_back_under_the_same_reference_is_not_taken_for_who_made_it(world, shop, statement):
    policies = {"gifts": POLICIES["gifts"].replace("[send_gift]", "[send_gift, take_gift]")}
    async with opened(world, send_gift, take_gift, policies=policies, resources=[shop, statement]) as desk:
        sent = await sends(desk, "ada")
        assert (await desk.asks("take_gift", gift=sent.reference)).ok
        assert (await sends(desk, "bob")).ok
        assert codes(await desk.compare()) == []


async def test_more_calls_than_fit_a_page_are_compared(desk, shop, monkeypatch):
    monkeypatch.setattr("remit.runtime.reconciling.PAGE", 3)
    for number in range(10):
        await sends(desk, f"c{number}")
    seen = []
    report = await desk.runtime.reconcile(since=datetime.fromtimestamp(0, UTC), progress=lambda done, total: seen.append((done, total)))
    assert (report.ok, report.calls, report.entries) == (True, 10, 10)
    assert seen == [(3, 10), (6, 10), (9, 10), (10, 10)]


async def test_a_kind_that_no_ledger_here_keeps_is_counted(world, shop, statement, monkeypatch):
    monkeypatch.setattr(Statement, "kept", {"parcel": Keeping.ALL, "refund": Keeping.ALL})
    from remit.actions.library.payments import refund_payment

    policies = POLICIES | {"refunds": 'policy: refunds\nactions: [refund_payment]\nrules:\n  - {id: all, when: "true", then: allow}\n'}
    async with opened(world, send_gift, refund_payment, policies=policies, resources=[shop, statement]) as desk:
        await sends(desk, "ada")
        report = await desk.compare()
        assert (report.not_compared, report.ledgers) == ({"send_gift": 1}, ("Stripe",))  # the connector's own comes first
