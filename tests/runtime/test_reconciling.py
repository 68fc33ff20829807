"""The log against the provider's own ledger, both ways, at the payment sandbox through the real connector."""

import asyncio
from datetime import timedelta

import orjson
import pytest

from remit import Context, Retention, action, per_call
from remit.actions.library.payments import refund_payment
from remit.audit import State
from remit.errors import RemitError
from remit.runtime import reconciling
from remit.runtime.differences import judged
from remit.runtime.ledgers import NoLedger
from remit.runtime.searching_query import BadSearch, Query
from remit.runtime.work import new_id
from remit.sandbox.payments import Fault
from tests.runtime.paying import REFUNDS, codes, opened


@pytest.fixture
async def desk(world):
    async with opened(world) as desk:
        yield desk


async def recorded(desk):
    """What the event of the last comparison says."""
    [(leaf, *_)] = await desk.runtime.parts.store.rows(
        "SELECT leaf FROM event WHERE kind = 'ledger.reconciled' ORDER BY position DESC LIMIT 1"
    )
    return orjson.loads(leaf)["body"]


async def test_an_honest_ledger_agrees(desk):
    for _ in range(3):
        assert (await desk.refunds(desk.bought())).ok
    report = await desk.compare()
    assert (report.ok, report.complete, report.calls, report.agree, report.entries) == (True, True, 3, 3, 3)
    assert report.ledgers == ("Stripe",)
    assert codes(report) == []


async def test_it_is_not_compared_with_what_was_pruned(desk):
    assert (await desk.refunds(desk.bought())).ok
    await desk.runtime._sequencer.catch_up()
    (at,) = desk.world.sql("SELECT at FROM event WHERE leaf_index = 3")[0]
    desk.world.sql("INSERT INTO pruned (tenant, below, at) VALUES ('default', 3, ?)", (at,))
    with pytest.raises(BadSearch, match="pruned by retention before leaf 3"):
        await desk.compare()
    assert (await desk.runtime.reconcile(since=timedelta(seconds=30))).ok, "the control: since then it is"


async def test_a_refund_made_past_remit_is_found(desk):
    payment = desk.bought()
    assert (await desk.refunds(payment)).ok
    made = desk.by_hand(payment)  # of a payment that a call is about, and of one that none is
    other = desk.by_hand(desk.bought())
    report = await desk.compare()
    assert sorted(codes(report)) == sorted([("unknown_to_log", None, made), ("unknown_to_log", None, other)])
    assert (report.ok, report.complete, report.found, report.agree) == (False, True, 2, 1)
    assert "5.00 EUR" in report.differences[0].says


async def test_a_refund_in_the_name_of_a_call_that_never_was_is_found(desk):
    made = desk.by_hand(desk.bought(), call="call_of_somebody_else")
    assert codes(await desk.compare()) == [("unknown_to_log", "call_of_somebody_else", made)]


async def test_a_refund_that_the_provider_does_not_have_is_found(desk):
    outcome = await desk.refunds(desk.bought())
    await desk.refunds(desk.bought())
    desk.lose(outcome.reference)
    early = await desk.compare(later=1)
    assert (early.ok, early.settling, early.agree) == (True, 1, 1)  # it may not show yet
    report = await desk.compare()
    assert codes(report) == [("missing_at_provider", outcome.call_id, outcome.reference)]
    assert report.agree == 1


async def test_control_whoever_only_asks_what_the_ledger_has_misses_that_it_lacks_something(desk, monkeypatch):
    async def one_way(*_given):
        return

    outcome = await desk.refunds(desk.bought())
    desk.lose(outcome.reference)
    monkeypatch.setattr(reconciling, "_look_for_calls", one_way)
    assert codes(await desk.compare()) == []


async def test_control_whoever_only_asks_what_the_log_has_misses_what_was_made_past_it(desk, monkeypatch):
    async def one_way(*_given):
        return

    desk.by_hand(desk.bought())
    monkeypatch.setattr(reconciling, "_look_for_entries", one_way)
    assert codes(await desk.compare()) == []


async def test_a_refund_by_hand_of_the_same_amount_does_not_stand_for_the_one_that_is_missing(desk):
    outcome = await desk.refunds(payment := desk.bought())
    desk.lose(outcome.reference)
    made = desk.by_hand(payment, cents=1000)
    report = await desk.compare()
    assert sorted(codes(report)) == sorted([("missing_at_provider", outcome.call_id, outcome.reference), ("unknown_to_log", None, made)])


async def test_control_whoever_matches_by_amount_takes_the_one_for_the_other(desk, monkeypatch):
    def by_amount(told, entries, **_given):
        return "agrees" if any(one.amount == told.amount for one in entries) else judged(told, entries, **_given)

    outcome = await desk.refunds(payment := desk.bought())
    desk.lose(outcome.reference)
    made = desk.by_hand(payment, cents=1000)
    monkeypatch.setattr(reconciling, "judged", by_amount)
    assert codes(await desk.compare()) == [("unknown_to_log", None, made)]


async def test_another_amount_is_found(desk):
    outcome = await desk.refunds(desk.bought())
    desk.change("refund", outcome.reference, amount=1001)
    report = await desk.compare()
    assert codes(report) == [("amount_differs", outcome.call_id, outcome.reference)]
    assert report.differences[0].says == "the log says 10.00 EUR, the ledger 10.01 EUR"


async def test_an_unknown_call_whose_effect_happened_says_how_it_is_resolved_and_nothing_resolves_it(world):
    async with opened(world, wakeups=False) as desk:  # nobody finds out by himself meanwhile
        desk.sandbox.order(Fault.ANSWER_LOST)
        happened = await desk.refunds(desk.bought())
        desk.sandbox.order(Fault.DROPPED)
        did_not = await desk.refunds(desk.bought())
        assert (happened.state, did_not.state) == (State.UNKNOWN, State.UNKNOWN)
        soon = await desk.compare(later=1)
        assert (soon.ok, soon.settling) == (True, 2)
        report = await desk.compare()
        assert [found[:2] for found in codes(report)] == [("done_though_failed", happened.call_id)]
        assert f"remit calls resolve {happened.call_id} --applied" in report.differences[0].do
        assert (await desk.runtime.get(happened.call_id)).state is State.UNKNOWN
        assert (report.settling, len(desk.sandbox.ledger())) == (1, 1)


async def test_a_refund_under_a_call_that_was_denied_is_found(desk):
    denied = await desk.refunds(payment := desk.bought(900_000), "6000.00")
    assert denied.state is State.DENIED
    assert (await desk.compare()).ok
    made = desk.by_hand(payment, cents=600_000, call=denied.call_id)
    report = await desk.compare()
    assert codes(report) == [("done_though_failed", denied.call_id, made)]
    assert report.differences[0].says == "the call is denied, and the ledger has its refund"


async def test_two_refunds_for_one_call_are_found_wherever_the_second_is(desk):
    first, second = await desk.refunds(one := desk.bought()), await desk.refunds(desk.bought())
    same, other = desk.by_hand(one, call=first.call_id), desk.by_hand(desk.bought(), call=second.call_id)
    report = await desk.compare()
    assert sorted(codes(report)) == sorted([("done_twice", first.call_id, same), ("done_twice", second.call_id, other)])


async def test_a_refund_that_failed_later_is_found_until_it_is_taken_down(desk):
    outcome = await desk.refunds(desk.bought())
    desk.sandbox.settle_refund(outcome.reference, "failed")
    report = await desk.compare()
    assert codes(report) == [("taken_back_differs", outcome.call_id, outcome.reference)]
    assert f"remit calls reversed {outcome.call_id}" in report.differences[0].do
    await desk.runtime.reversed(outcome.call_id, by="fay", reference=outcome.reference)
    assert (await desk.compare()).ok


async def test_what_was_taken_down_as_reversed_and_stands_is_found(desk):
    outcome = await desk.refunds(desk.bought())
    await desk.runtime.reversed(outcome.call_id, by="fay")
    assert codes(await desk.compare()) == [("taken_back_differs", outcome.call_id, outcome.reference)]


async def test_a_call_of_before_that_time_is_not_looked_for_and_its_effect_is_no_strangers(desk):
    old = await desk.refunds(desk.bought())
    desk.world.time.pass_(days=10)
    new = await desk.refunds(desk.bought())
    desk.lose(old.reference)
    report = await desk.compare(days=7)
    assert (report.ok, report.calls, report.entries) == (True, 1, 1)
    assert new.ok
    assert codes(await desk.compare(days=20)) == [("missing_at_provider", old.call_id, old.reference)]


async def test_a_subscription_is_read_and_compared(desk):
    subscription = desk.subscribed()
    outcome = await desk.asks("change_plan", subscription_id=subscription, plan="pro")
    assert outcome.ok
    assert (await desk.compare()).ok
    desk.world.time.pass_(minutes=20)
    later = await desk.asks("change_plan", subscription_id=subscription, plan="max")
    assert later.ok
    report = await desk.compare()
    assert (report.ok, report.calls, report.superseded, report.agree) == (True, 2, 1, 1)
    held = desk.sandbox._account.ledger.get("subscription", subscription)
    held["items"]["data"][0]["price"] = held["items"]["data"][0]["price"] | {"lookup_key": "basic"}
    report = await desk.compare()
    assert codes(report) == [("detail_differs", later.call_id, subscription)]
    assert "basic" not in orjson.dumps(report.to_json()).decode()  # what is not marked as public is nobody's to read here
    held["metadata"]["remit_call"] = "call_elsewhere"
    assert codes(await desk.compare()) == [("unknown_to_log", "call_elsewhere", subscription)]
    held["metadata"].clear()
    assert sorted(code for code, *_ in codes(await desk.compare())) == ["missing_at_provider", "missing_at_provider"]


async def test_a_subscription_that_still_names_a_call_that_was_pruned_is_no_difference(world):
    # Nobody finds out by himself meanwhile: a call that moves after a comparison began is left to the next one.
    async with opened(world, wakeups=False, retention=Retention("200d")) as desk:
        subscription = desk.subscribed()
        assert (await desk.asks("change_plan", subscription_id=subscription, plan="pro")).ok
        for _ in range(62):  # a block of leaves
            assert (await desk.refunds(desk.bought())).ok
        desk.world.time.pass_(days=201)
        assert (await desk.refunds(desk.bought())).ok
        await desk.runtime.retention.prune(by="fay")
        held = desk.sandbox._account.ledger.get("subscription", subscription)
        for edge in ("current_period_start", "current_period_end"):  # it was renewed since
            held["items"]["data"][0][edge] += 201 * 86_400
        desk.sandbox.order(Fault.DROPPED, on="POST /v1/subscriptions", times=1_000)
        assert (await desk.asks("change_plan", subscription_id=subscription, plan="max")).state is State.UNKNOWN
        report = await desk.compare(later=3_600, hours=2)
        assert (codes(report), report.not_readable) == ([], 1)
        young = new_id("call", desk.runtime.parts.clock.now())
        for name in ("call_elsewhere", young):  # the control: none that can't have been pruned is passed over
            held["metadata"]["remit_call"] = name
            found = await desk.compare(hours=3)
            assert codes(found) == [("unknown_to_log", name, subscription)], found


# What can't be read, or compared


async def test_every_page_is_read(desk):
    payment = desk.bought(900_000)
    outcome = await desk.refunds(payment)
    for _ in range(250):
        desk.by_hand(payment, cents=100)
    report = await desk.compare()
    assert (report.found, report.entries, report.agree) == (250, 251, 1)
    assert outcome.reference not in {reference for _, _, reference in codes(report)}
    told = await recorded(desk)
    assert (told["found"], len(told["differences"])) == (250, reconciling.MOST_RECORDED)


async def test_what_is_no_name_of_a_call_is_told_and_not_kept_for_good(desk):
    names = ("ada@example.org", new_id("call", 0))
    made = [desk.by_hand(desk.bought(), call=name) for name in names]
    report = await desk.compare()
    assert sorted(codes(report)) == sorted(("unknown_to_log", *both) for both in zip(names, made, strict=True))
    told = {one["reference"]: one["call"] for one in (await recorded(desk))["differences"]}
    assert told == {made[0]: None, made[1]: names[1]}, "the control: what is one is kept"


async def test_control_whoever_reads_one_page_misses_what_is_on_the_next(desk, monkeypatch):
    async def one_page(self, which):
        for refund in (await self._v1.refunds.list_async({**which, "limit": 100})).data:
            yield refund

    monkeypatch.setattr("remit.actions.library.stripe.Stripe._refunds", one_page)
    payment = desk.bought(900_000)
    for _ in range(150):
        desk.by_hand(payment, cents=100)
    assert (await desk.compare()).found == 100


@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.TOO_MANY])
async def test_a_provider_that_does_not_answer_makes_it_incomplete_and_nothing_is_claimed(desk, fault):
    for _ in range(5):
        await desk.refunds(desk.bought())
    desk.sandbox.order(fault, on="GET /v1/refunds", times=1_000, seconds=90)
    report = await desk.compare()
    assert (report.ok, report.complete, report.found, report.calls) == (False, False, 0, 0)
    assert [(one.what, one.times) for one in report.unread] == [
        ("each refund on one object", 3),
        ("each refund on one object", 2),
        ("each refund since then", 1),
    ]
    told = await recorded(desk)
    assert (told["ok"], told["complete"], [one["times"] for one in told["unread"]]) == (False, False, [5, 1])


async def test_a_page_that_fails_half_way_makes_it_incomplete(desk):
    payment = desk.bought(900_000)
    for _ in range(150):
        desk.by_hand(payment, cents=100)
    desk.sandbox.order(Fault.SLOW, on="GET /v1/refunds", seconds=0)
    desk.sandbox.order(Fault.DROPPED, on="GET /v1/refunds", times=1_000)
    report = await desk.compare()
    assert (report.ok, report.complete, report.entries, report.found) == (False, False, 100, 100)


async def test_who_asks_to_wait_a_little_is_asked_again(desk):
    await desk.refunds(desk.bought())
    desk.sandbox.order(Fault.TOO_MANY, on="GET /v1/refunds", seconds=0)
    report = await desk.compare()
    assert (report.ok, report.calls) == (True, 1)


@action(key=per_call, owns=None, owns_reason="a test")
async def write_letter(ctx: Context) -> None:
    """Write a letter, of which nobody keeps a ledger."""
    ctx.reference("letter")


LETTERS = 'policy: letters\nactions: [write_letter]\nrules:\n  - {id: all, when: "true", then: allow}\n'


async def test_an_action_without_a_ledger_is_counted(world):
    async with opened(world, refund_payment, write_letter, policies={"refunds": REFUNDS, "letters": LETTERS}) as desk:
        assert (await desk.asks("write_letter")).ok
        assert (await desk.refunds(desk.bought())).ok
        report = await desk.compare()
        assert (report.ok, report.not_compared, report.calls) == (True, {"write_letter": 1}, 1)


async def test_without_any_ledger_it_says_so_and_claims_nothing(world):
    async with opened(world, write_letter, policies={"letters": LETTERS}) as desk:
        with pytest.raises(NoLedger):
            await desk.compare()


async def test_of_who_was_erased_what_is_clear_is_still_compared(desk):
    first, second = await desk.refunds(desk.bought()), await desk.refunds(desk.bought())
    desk.change("refund", second.reference, amount=1)
    await desk.runtime.subjects.erase(desk.customer, reason="asked", legal_basis="art. 17", by="fay")
    report = await desk.compare()
    assert codes(report) == [("amount_differs", second.call_id, second.reference)]
    assert (report.not_readable, report.calls, first.ok) == (2, 0, True)


# What is left of it


async def test_the_result_is_in_the_log_without_anything_personal(desk):
    payment = desk.bought()
    outcome = await desk.refunds(payment)
    desk.lose(outcome.reference)
    report = await desk.compare()
    told = await recorded(desk)
    assert told["differences"] == [{"code": "missing_at_provider", "call": outcome.call_id, "reference": outcome.reference}]
    assert (told["by"], told["since"], told["until"]) == ("local operator", report.since, report.until)
    everything = orjson.dumps(told).decode() + orjson.dumps(report.to_json()).decode()
    assert payment not in everything
    assert desk.customer not in everything
    page = await desk.runtime.search(Query(kind="ledger.reconciled"))
    assert [one.kind for one in page.found] == ["ledger.reconciled"]
    assert (await desk.runtime.story(outcome.call_id)).events


async def test_who_compares_is_an_active_person(desk):
    assert (await desk.runtime.reconcile(since=timedelta(days=1), by="fay")).ok
    assert (await recorded(desk))["by"] == "fay"
    with pytest.raises(RemitError, match="nobody"):
        await desk.runtime.reconcile(since=timedelta(days=1), by="nobody")


async def test_calls_that_are_under_way_meanwhile_are_no_difference(desk):
    payments = [desk.bought() for _ in range(30)]
    working = asyncio.gather(*(desk.refunds(payment) for payment in payments))
    reports = [await desk.runtime.reconcile(since=timedelta(days=1)) for _ in range(5)]
    assert all(outcome.ok for outcome in await working)
    assert [codes(report) for report in reports] == [[]] * 5
    assert (await desk.compare()).agree == 30
