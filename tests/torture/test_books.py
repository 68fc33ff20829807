"""The books notice what does not agree: each of these is a lie about what the provider did."""

import dataclasses

import pytest

from tests.torture.__main__ import report, summed
from tests.torture.books import Refunded, compare
from tests.torture.paying import PATIENT
from tests.torture.starts import Case
from tests.torture.steered import Steered


@pytest.fixture
async def done(place):
    """A refund that was asked for and done."""
    time = Steered()
    async with place.desk().open(clock=time.clock, **PATIENT) as runtime:
        case = Case(runtime, "lookup", place.customer, place.payment(), place.sandbox.url, time)
        await case.end((await case.ask())[0])
        yield runtime, place.refunds(case.payment)


async def test_what_was_done_once_agrees(done):
    runtime, refunds = done
    books = await compare(runtime, refunds)
    assert books.agree and books.calls == 1 and not books.unknown["once"]


async def test_a_refund_that_was_made_twice_does_not(done):
    runtime, refunds = done
    assert (await compare(runtime, refunds * 2)).doubles == {refunds[0].payment: 2}


async def test_a_refund_that_was_never_made_is_lost(done):
    runtime, _ = done
    books = await compare(runtime, [])
    assert len(books.lost) == 1 and not books.agree


@pytest.mark.parametrize("call", [None, "call_of_nobody"])
async def test_a_refund_that_names_no_call_of_the_log_is_unsaid_and_its_own_is_lost(done, call):
    runtime, refunds = done
    books = await compare(runtime, [dataclasses.replace(refunds[0], call=call)])
    assert len(books.unsaid) == len(books.lost) == 1 and not books.agree


async def test_a_refund_of_another_payment_than_the_log_says_is_lost(done):
    runtime, refunds = done
    books = await compare(runtime, [Refunded("pi_other", refunds[0].call)])
    assert len(books.lost) == 1 and not books.agree


def test_the_report_adds_up_what_was_counted_under_one_name():
    from datetime import UTC, datetime

    sums = summed([{"what": "a", "kills": 2, "doubles": 0, "seconds": 1.0}, {"what": "a", "stops": 3, "doubles": 1, "seconds": 0.5}])
    text = report(sums, {"passed": 7, "failed": 0}, 12_000, {"cores": 2}, datetime(2026, 1, 2, tzinfo=UTC))
    assert "| a | 5 |  | 1 |  |  | 2 |" in text
    assert "2026-01-02" in text and "7 passed" in text and "failed" not in text and "- cores: 2" in text and "schedules: 12,000" in text
