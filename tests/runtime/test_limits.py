"""Limits: what counts, for whom, for how long, and what is given back."""

import asyncio
from datetime import timedelta

import pytest

from remit.audit import State
from remit.errors import Refused, Retryable
from tests.runtime.asking import approve
from tests.runtime.bank import LARGE, NOTES, World, asks, comes_to, dropped, hangs, kinds, raising, says, session
from tests.runtime.limited import CAP, held, limited, told

BUDGET = "payments/budget:EUR"


@pytest.fixture
def world(tmp_path):
    return World.make(tmp_path, payments=limited(CAP), notes=NOTES)


async def pays(runtime, payment=1, euros="60.00", name="refund", **more):
    return await runtime.submit(asks(name, f"pay_{payment}", euros), session(**more))


def of_notes(*limits: str, reads: str = "[jot, look_up]") -> str:
    return limited(*limits, actions=reads).replace("policy: payments", "policy: notes")


async def test_a_call_beyond_a_limit_is_denied_in_the_words_of_the_limit(runtime, world):
    assert (await pays(runtime, 1)).state is State.SUCCEEDED
    denied = await pays(runtime, 2)
    assert (denied.state, denied.error.message) == (State.DENIED, "That is enough for now.")
    view = await runtime.view(denied.call_id)
    assert kinds(view) == ["call.received", "call.decided", "limit.exceeded", "call.denied"]
    assert view.events[2]["body"] == {"limit": "payments/budget", "used": 6000, "takes": 6000, "at_most": 10000}
    assert world.bank.effects == ["pay_1"] and await held(runtime) == {BUDGET: 6000}
    assert (await runtime.verify()).ok


async def test_what_just_fits_passes(runtime):
    assert (await pays(runtime, 1)).ok and (await pays(runtime, 2, "40.00")).ok
    assert (await pays(runtime, 3, "0.01")).state is State.DENIED


async def test_control_without_a_limit_nothing_stops_it(tmp_path):
    world = World.make(tmp_path, payments=limited(CAP).partition("limits:")[0], notes=NOTES)
    async with world.running() as runtime:
        assert (await pays(runtime, 1)).ok and (await pays(runtime, 2)).ok
        assert await held(runtime) == {} and await told(runtime, "limit.reserved") == []


async def test_the_window_rolls_with_its_oldest_slice_in_full(runtime, world):
    # A slice of an hour's window is a minute; the world begins 40 seconds into one.
    await pays(runtime, 1)
    world.time.pass_(seconds=3600 + 19)
    assert (await pays(runtime, 2)).state is State.DENIED, "60 slices later the slice still counts, all of it"
    world.time.pass_(seconds=1)
    assert (await pays(runtime, 3)).ok
    assert await held(runtime) == {BUDGET: 6000}, "the old slice is gone"
    assert (await runtime.verify()).ok


async def test_a_window_is_never_shorter_than_it_says(tmp_path):
    # 100 seconds are no whole number of slices in microseconds.
    world = World.make(tmp_path, payments=limited(CAP.replace("1h", "100s")), notes=NOTES)
    async with world.running() as runtime:
        await pays(runtime, 1)
        world.time.pass_(seconds=99.99)
        assert (await pays(runtime, 2)).state is State.DENIED
        world.time.pass_(seconds=2)
        assert (await pays(runtime, 3)).ok


async def test_what_is_unknown_is_held(runtime, world):
    world.bank.plan.append(dropped)
    assert (await pays(runtime, 1, name="cheque")).state is State.UNKNOWN
    assert (await pays(runtime, 2)).state is State.DENIED


async def test_a_definite_failure_gives_back_to_the_slice_that_took_it(runtime, world):
    await pays(runtime, 1, "10.00")
    world.bank.plan.append(raising(Refused("no", definite=True)))
    world.time.pass_(minutes=5)
    failed = await pays(runtime, 2, "70.00")
    assert failed.state is State.FAILED
    taken, (given,) = (await told(runtime, "limit.reserved"))[1], await told(runtime, "limit.released")
    assert given == {**{name: taken[name] for name in taken if name != "at_most"}, "number": 3, "before": 8000}
    assert await held(runtime) == {BUDGET: 1000}
    assert (await pays(runtime, 3, "90.00")).ok
    assert (await runtime.verify()).ok


async def test_control_a_failure_that_gives_nothing_back_blocks_the_limit_and_is_found(runtime, world, monkeypatch):
    monkeypatch.setattr(
        "remit.runtime.series._HELD", "SELECT series, key, member, amount, at FROM reservation WHERE tenant = ? AND call = ? AND 1 = 0"
    )
    world.bank.plan.append(raising(Refused("no", definite=True)))
    await pays(runtime, 1)
    assert (await pays(runtime, 2)).state is State.DENIED
    assert {finding.code for finding in (await runtime.verify()).findings} == {"release_missing"}


async def test_it_is_held_between_attempts_and_taken_once(runtime, world):
    world.bank.plan += [raising(Retryable("busy", after=10))]
    begun = await pays(runtime, 1)
    assert begun.state is State.READY
    assert (await pays(runtime, 2)).state is State.DENIED
    world.time.pass_(seconds=11)
    assert (await comes_to(runtime, begun.call_id, State.SUCCEEDED)).ok
    assert (await runtime.view(begun.call_id)).attempt == 2
    assert len(await told(runtime, "limit.reserved")) == 1 and await held(runtime) == {BUDGET: 6000}
    assert (await runtime.verify()).ok


async def test_a_later_attempt_counts_when_it_is_made(runtime, world):
    world.bank.plan += [raising(Retryable("busy", after=600))]
    begun = await pays(runtime, 1)
    world.time.pass_(seconds=601)
    assert (await comes_to(runtime, begun.call_id, State.SUCCEEDED)).ok
    first, second = await told(runtime, "limit.reserved")
    assert (second["slice"] - first["slice"], second["before"]) == (10, 0) and await held(runtime) == {BUDGET: 6000}
    world.time.pass_(minutes=55)  # an hour from the first attempt, and less from the effect
    assert (await pays(runtime, 2)).state is State.DENIED
    assert (await runtime.verify()).ok


async def test_a_later_attempt_that_does_not_fit_any_more_is_denied(tmp_path):
    world = World.make(tmp_path, payments=limited(CAP.replace("1h", "1m")), notes=NOTES)
    async with world.running() as runtime:
        world.bank.plan += [raising(Retryable("busy", after=120))]
        begun = await pays(runtime, 1)
        world.time.pass_(seconds=90)
        assert (await pays(runtime, 2)).ok
        world.time.pass_(seconds=31)
        await comes_to(runtime, begun.call_id, State.DENIED)
        assert world.bank.effects == ["pay_2"] and await held(runtime) == {BUDGET: 6000}
        assert (await runtime.verify()).ok


async def test_an_effect_that_is_sent_again_counts_when_it_is_sent(tmp_path):
    world = World.make(tmp_path, payments=limited(CAP.replace("1h", "1m")), notes=NOTES)
    async with world.running() as runtime:
        world.bank.plan += [dropped]
        begun = await pays(runtime, 1)
        await runtime.switches.throw("agent", "bot", by="fay", reason="so that it is not sent again at once")
        world.time.pass_(seconds=70)
        assert (await pays(runtime, 2, principal="other")).ok, "what was sent before the window counts no more"
        await runtime.switches.lift("agent", "bot", person="fay", reason="")
        world.time.pass_(seconds=31)  # it would be sent again now, beside what was paid half a minute ago
        await asyncio.sleep(0.6)
        assert (await runtime.get(begun.call_id)).state is State.UNKNOWN and world.bank.effects == ["pay_2"]
        world.time.pass_(seconds=62)
        assert (await comes_to(runtime, begun.call_id, State.SUCCEEDED)).ok
        assert world.bank.effects == ["pay_2", "pay_1"] and (await pays(runtime, 3)).state is State.DENIED
        assert (await runtime.verify()).ok


async def test_what_a_later_attempt_takes_otherwise_is_released_and_taken_anew(tmp_path):
    world = World.make(tmp_path, payments=limited("{id: memos, distinct: facts.payment.memo, window: 1h, at_most: 1}"), notes=NOTES)
    world.bank.payments["pay_1"].memo = "red"
    async with world.running() as runtime:
        world.bank.plan += [raising(Retryable("busy", after=10))]
        begun = await pays(runtime, 1)
        world.bank.payments["pay_1"].memo = "blue"
        world.time.pass_(seconds=11)
        assert (await comes_to(runtime, begun.call_id, State.SUCCEEDED)).ok, "its own red does not stand in its way"
        assert [one["before"] for one in await told(runtime, "limit.reserved")] == [0, 0] and len(
            await told(runtime, "limit.released")
        ) == 1
        assert (await runtime.verify()).ok


async def test_nothing_is_taken_while_a_call_waits(tmp_path):
    when = "arguments.amount.currency == 'EUR' && arguments.amount.minor > 9000"
    large = f'  - {{id: large, when: "{when}", then: require_approval, approval: {{by: finance}}}}'
    world = World.make(tmp_path, payments=limited(CAP, rules=large), notes=NOTES)
    async with world.running() as runtime:
        waiting = await pays(runtime, 1, LARGE)
        assert waiting.state is State.WAITING and await held(runtime) == {}
        assert (await runtime.view(waiting.call_id)).limits == (
            {"limit": "payments/budget", "used": 0, "takes": 9900, "at_most": 10000, "currency": "EUR"},
        )
        assert (await pays(runtime, 2)).ok
        assert (await runtime.vote(waiting.call_id, person="fay", answer="approve")).state is State.DENIED
        assert await held(runtime) == {BUDGET: 6000} and (await runtime.verify()).ok


async def test_a_cancelled_retry_gives_back(runtime, world):
    world.bank.plan += [raising(Retryable("busy", after=3600))]
    begun = await pays(runtime, 1)
    await runtime.cancel(begun.call_id, by="sam")
    assert await held(runtime) == {} and (await pays(runtime, 2)).ok
    assert (await runtime.verify()).ok


async def test_a_release_is_done_once(runtime, world):
    from remit.runtime.work import give_back

    world.bank.plan.append(raising(Refused("no", definite=True)))
    failed = await pays(runtime, 1)
    await runtime.parts.store.commit([give_back(runtime.parts, failed.call_id)])
    assert len(await told(runtime, "limit.released")) == 1 and await held(runtime) == {}


async def test_one_budget_counts_two_actions(runtime):
    assert (await pays(runtime, 1, name="refund")).ok
    assert (await pays(runtime, 2, name="cheque")).state is State.DENIED
    assert (await pays(runtime, 3, "40.00", name="cheque")).ok


async def test_a_limit_per_subject_counts_each_by_themselves(tmp_path):
    world = World.make(tmp_path, payments=limited("{id: mine, per: subject.id, window: 30d, at_most: 1}"), notes=NOTES)
    world.bank.payments["pay_9"].customer = "ada"
    async with world.running() as runtime:
        assert (await pays(runtime, 1)).ok
        assert (await pays(runtime, 2)).state is State.DENIED
        assert (await pays(runtime, 9, subject="ada")).ok
        assert b"kay" not in b"".join(
            leaf for (leaf,) in await runtime.parts.store.rows("SELECT leaf FROM event WHERE kind LIKE 'limit.%'")
        )
        assert (await runtime.verify()).ok


async def test_distinct_values_count_once_each(tmp_path):
    world = World.make(tmp_path, payments=limited("{id: notes, distinct: facts.payment.memo, window: 1h, at_most: 2}"), notes=NOTES)
    for number, memo in enumerate(["red", "blue", "red", "green", "blue"], 1):
        world.bank.payments[f"pay_{number}"].memo = memo
    async with world.running() as runtime:
        states = [(await pays(runtime, number)).state for number in range(1, 6)]
        assert states == [State.SUCCEEDED, State.SUCCEEDED, State.SUCCEEDED, State.DENIED, State.SUCCEEDED]
        assert (await runtime.verify()).ok


async def test_another_currency_is_denied_and_takes_nothing(runtime):
    dollars = {"id": None, "name": "refund", "arguments": {"payment_id": "pay_1", "amount": {"value": "1.00", "currency": "USD"}}}
    denied = await runtime.submit(dollars, session())
    assert denied.state is State.DENIED and await held(runtime) == {}


async def test_a_dry_run_says_it_and_takes_nothing(runtime):
    before = await runtime.parts.store.row("SELECT count(*) FROM event")
    assert (await runtime.submit(asks("refund", "pay_1", "60.00"), session(), dry_run=True)).state is State.READY
    assert (await runtime.submit(asks("refund", "pay_1", "100.01"), session(), dry_run=True)).state is State.DENIED
    assert await runtime.parts.store.row("SELECT count(*) FROM event") == before and await held(runtime) == {}


async def test_a_read_that_a_limit_counts_is_reserved_before_it_runs(tmp_path):
    world = World.make(tmp_path, notes=of_notes("{id: looks, window: 1h, at_most: 1}"))
    async with world.running() as runtime:
        look = {"id": None, "name": "look_up", "arguments": {"payment_id": "pay_1"}}
        world.bank.plan.append(raising(ConnectionResetError("gone")))
        assert (await runtime.submit(look, session())).state is State.FAILED
        assert await held(runtime) == {}, "a look that came to nothing is given back"
        seen = await runtime.submit(look, session())
        assert seen.ok and "call.intended" in kinds(await runtime.view(seen.call_id))
        assert (await runtime.submit(look, session())).state is State.DENIED
        assert (await runtime.verify()).ok


async def test_a_counted_read_whose_process_died_ends_as_failed(tmp_path):
    world = World.make(tmp_path, notes=of_notes("{id: looks, window: 1h, at_most: 1}"))
    async with world.running(lease_margin=timedelta(0)) as runtime:
        world.bank.plan.append(hangs)
        look = {"id": None, "name": "look_up", "arguments": {"payment_id": "pay_1"}}
        begun = await runtime.submit(look, session(), wait=0.2)
        assert begun.state is State.EXECUTING and await held(runtime) == {"notes/looks:calls": 1}
        abandoned, runtime._journeys._tasks = runtime._journeys._tasks, {}
        world.time.pass_(seconds=6)
        assert (await comes_to(runtime, begun.call_id, State.FAILED)).error.retry == "later"
        assert await held(runtime) == {}
        for task in abandoned.values():
            task.remove_done_callback(runtime._journeys._ended)
            task.cancel()
        assert (await runtime.verify()).ok


async def test_an_action_without_limits_is_neither_measured_nor_told(runtime, monkeypatch):
    monkeypatch.setattr("remit.runtime.usage.evaluate", lambda *_: pytest.fail("measured"))
    assert (await runtime.submit(says("hello"), session())).ok
    assert await told(runtime, "limit.reserved") == []
    with pytest.raises(pytest.fail.Exception):  # control: with one it would be
        await runtime.submit(asks("refund", "pay_1", "1.00"), session())


@pytest.mark.parametrize(("window", "last"), [("30m", State.SUCCEEDED), ("2h", State.DENIED)])
async def test_another_window_counts_what_was_taken_under_the_old_one(runtime, world, window, last):
    await pays(runtime, 1)
    world.time.pass_(minutes=50)
    await pays(runtime, 2, "20.00")
    world.policies(payments=limited(CAP.replace("1h", window)))
    await runtime.reload_policies(by="lee")
    assert (await pays(runtime, 3, "30.00")).state is last
    assert (await pays(runtime, 4, "20.00")).ok
    assert await held(runtime) == {BUDGET: 7000 if window == "30m" else 10000}
    world.policies(payments=limited(CAP))
    await runtime.reload_policies(by="lee")
    assert (await pays(runtime, 5, "0.01")).state is State.DENIED, "back in the old width nothing is forgotten"
    assert (await runtime.verify()).ok


async def test_what_was_taken_before_a_reload_is_given_back_after_it(runtime, world):
    world.bank.plan += [raising(Retryable("busy", after=60))]
    begun = await pays(runtime, 1)
    world.policies(payments=limited(CAP.replace("1h", "2h")))
    await runtime.reload_policies(by="lee")
    assert (await pays(runtime, 2, "10.00")).ok
    await runtime.cancel(begun.call_id, by="sam")
    assert await held(runtime) == {BUDGET: 1000}
    assert (await runtime.verify()).ok


class TestPrerequisites:
    REFUND = limited(CAP, actions="[refund]", more="requires: [look_up]")

    @pytest.fixture
    def world(self, tmp_path):
        return World.make(tmp_path, payments=self.REFUND, notes=NOTES)

    async def test_one_that_is_missing_is_named_and_met_only_by_a_recorded_call(self, runtime):
        denied = await pays(runtime, 1)
        assert (denied.error.code, denied.error.retry) == ("prerequisite_missing", "later")
        assert "look_up" in denied.error.message
        await runtime.submit({"id": None, "name": "look_up", "arguments": {"payment_id": "pay_1"}}, session())
        assert (await pays(runtime, 1)).ok
        assert (await runtime.verify()).ok

    @pytest.mark.parametrize("other", [{"conversation": "c2"}, {"conversation": ""}])
    async def test_one_of_another_conversation_does_not_count(self, runtime, other):
        await runtime.submit({"id": None, "name": "look_up", "arguments": {"payment_id": "pay_1"}}, session(**other))
        assert (await pays(runtime, 1)).error.code == "prerequisite_missing"
        assert (await pays(runtime, 2, **other)).ok is (other["conversation"] == "c2")

    async def test_one_for_another_customer_does_not_count(self, runtime, world):
        world.bank.payments["pay_9"].customer = "ada"
        await runtime.submit({"id": None, "name": "look_up", "arguments": {"payment_id": "pay_9"}}, session(subject="ada"))
        assert (await pays(runtime, 1)).error.code == "prerequisite_missing"

    async def test_one_that_failed_does_not_count(self, runtime, world):
        world.bank.plan.append(raising(ConnectionResetError("gone")))
        await runtime.submit({"id": None, "name": "look_up", "arguments": {"payment_id": "pay_1"}}, session())
        assert (await pays(runtime, 1)).error.code == "prerequisite_missing"


class TestBeyond:
    """A limit that asks people beyond its sum: what they agree to is the sum that they were shown."""

    ASKS = CAP.replace("}", ", beyond: require_approval, approval: {by: finance, votes: 1}}")

    @pytest.fixture
    def world(self, tmp_path):
        return World.make(tmp_path, payments=limited(self.ASKS), notes=NOTES)

    async def test_an_agreement_covers_the_sum_shown(self, runtime):
        assert (await pays(runtime, 1)).ok
        waiting = await pays(runtime, 2)
        assert waiting.state is State.WAITING and await held(runtime) == {BUDGET: 6000}
        assert (await runtime.vote(waiting.call_id, person="fay", answer="approve")).ok
        assert (await told(runtime, "limit.reserved"))[1]["covers"] == 12_000 and await held(runtime) == {BUDGET: 12_000}
        assert (await pays(runtime, 3, "1.00")).state is State.WAITING, "it covers that call alone"
        report = await runtime.verify()
        assert report.ok, report.findings

    async def test_above_the_sum_shown_it_is_asked_again(self, runtime):
        await pays(runtime, 1)
        waiting, small = await pays(runtime, 2), await pays(runtime, 3, "30.00")
        assert (small.state, await held(runtime)) == (State.SUCCEEDED, {BUDGET: 9000})
        again = await runtime.vote(waiting.call_id, person="fay", answer="approve")
        assert again.state is State.WAITING, "120.00 were shown, and now it would be 150.00"
        assert (await runtime.vote(waiting.call_id, person="finn", answer="approve")).ok
        assert (await told(runtime, "limit.reserved"))[-1]["covers"] == 15_000
        report = await runtime.verify()
        assert report.ok, report.findings

    async def test_a_vote_for_another_reason_does_not_cover_what_nobody_was_shown(self, runtime, world):
        world.policies(payments=limited(self.ASKS, rules=approve("red", "finance", when='facts.payment.memo == "red"')))
        await runtime.reload_policies(by="lee")
        world.bank.payments["pay_1"].memo = "red"
        waiting = await pays(runtime, 1)
        assert (await pays(runtime, 2)).ok
        world.bank.payments["pay_1"].memo = ""
        again = await runtime.vote(waiting.call_id, person="fay", answer="approve")
        assert again.state is State.WAITING, "fay was asked about a red one, and now it goes beyond a limit"
        assert (await runtime.vote(waiting.call_id, person="fay", answer="approve")).ok
        report = await runtime.verify()
        assert report.ok, report.findings

    async def test_nor_does_one_for_what_is_not_asked_for_any_more(self, runtime, world):
        red = approve("red", "finance", when='facts.payment.memo == "red"')
        sure = "  - {id: sure, when: facts.payment.memo == 'green', then: require_confirmation}\n"
        world.policies(payments=limited(self.ASKS, rules=red + sure))
        await runtime.reload_policies(by="lee")
        world.bank.payments["pay_1"].memo = "red"
        waiting = await pays(runtime, 1)
        world.bank.payments["pay_1"].memo = "green"
        again = await runtime.vote(waiting.call_id, person="fay", answer="approve")
        assert [one["requirement"] for one in again.waiting] == ["confirmation"]
        assert (await pays(runtime, 2)).ok
        world.bank.payments["pay_1"].memo = ""
        assert (await runtime.confirm(waiting.call_id, subject="kay")).state is State.WAITING, "fay has voted, but not on this"
        assert (await runtime.vote(waiting.call_id, person="fay", answer="approve")).ok
        report = await runtime.verify()
        assert report.ok, report.findings

    async def test_a_sum_that_no_event_could_hold_is_denied(self, runtime):
        assert (await pays(runtime, 1)).ok
        outcome = await pays(runtime, 2, "90071992547409.91")
        assert (outcome.state, outcome.error.code) == (State.DENIED, "denied")
        assert (await runtime.verify()).ok

    async def test_below_the_sum_shown_it_is_not(self, runtime, world):
        world.bank.plan.append(raising(Retryable("busy", after=600)))
        first = await pays(runtime, 1)
        waiting = await pays(runtime, 2, "70.00")
        await runtime.cancel(first.call_id, by="sam")
        assert (await runtime.vote(waiting.call_id, person="fay", answer="approve")).ok
        assert await held(runtime) == {BUDGET: 7000} and (await runtime.verify()).ok
