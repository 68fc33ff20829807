"""Every recorded decision follows from its recorded inputs by the bundle of then: ten thousand of them, and one that does not is named."""

import asyncio

import pytest

from remit.audit import verify
from remit.runtime.logs import DatabaseLog, Reproduction
from tests.runtime.bank import PAYING, Payment, asks, session

DECISIONS = 10_000
AT_ONCE = 64
EUROS = 'arguments.amount.currency == "EUR" && arguments.amount.minor'
RULES = f"""
policy: payments
actions: {PAYING}
rules:
  - {{id: small, when: '{EUROS} <= 9000', then: allow}}
  - {{id: odd, when: '{EUROS} % 7 == 3 && facts.payment.customer == subject.id', then: deny, reason: An odd amount.}}
  - {{id: large, when: '{EUROS} > 6000', then: require_approval, approval: {{by: finance, votes: 1, within: 4h}}}}
  - {{id: disputed, when: facts.payment.disputed, then: deny}}
"""


async def decided(world, runtime, count):
    """Make so many calls, of every amount between 1 cent and 100 euros, of a hundred customers; each is decided once."""
    world.bank.payments |= {
        f"pay_n{number}": Payment(customer=f"customer-{number % 100}", disputed=number % 11 == 0) for number in range(count)
    }

    async def ask(first):
        for number in range(first, count, AT_ONCE):
            minor = number * 7919 % 10_000 + 1
            call = asks(payment=f"pay_n{number}", euros=f"{minor // 100}.{minor % 100:02}")
            await runtime.submit(call, session(subject=f"customer-{number % 100}"))

    await asyncio.gather(*(ask(first) for first in range(AT_ONCE)))


def checked(runtime, decide=None):
    with DatabaseLog(runtime.parts) as log:
        return verify(log, decide=decide or Reproduction(log.bundles(), runtime._shapes))


def first_decision(world):
    """Give the place of the first decision in the log."""
    return world.sql("SELECT min(leaf_index) FROM event WHERE kind = 'call.decided'")[0][0]


@pytest.mark.on_files("the verifier reads leaves alike from both")
@pytest.mark.timeout(180)
async def test_ten_thousand_decisions_are_reproduced_as_they_were_recorded(world):
    world.policies(payments=RULES)
    async with world.running() as runtime:
        await decided(world, runtime, DECISIONS)
        await runtime._sequencer.catch_up()
        report = checked(runtime)
        assert report.ok, report.findings
        assert (report.reproduced, report.attested, report.uncovered) == (DECISIONS, 0, 0)
        states = dict(world.sql("SELECT state, count(*) FROM call GROUP BY state"))
        assert min(states[state] for state in ("succeeded", "denied", "waiting")) > 500, states


@pytest.fixture
async def few(world):
    world.policies(payments=RULES)
    async with world.running() as runtime:
        await decided(world, runtime, 200)
        await runtime._sequencer.catch_up()
        yield runtime


async def test_control_of_the_same_log_one_decision_that_differs_is_named(world, few):
    """One decision in two hundred is given out differently by whoever decides again."""
    with DatabaseLog(few.parts) as log:
        again, made = Reproduction(log.bundles(), few._shapes), []

    def differently(inputs, digest):
        made.append(again(inputs, digest))
        return {**made[-1], "allowed": not made[-1]["allowed"]} if len(made) == 100 else made[-1]

    report = checked(few, differently)
    (found,) = report.findings
    ((place,),) = world.sql("SELECT leaf_index FROM event WHERE kind = 'call.decided' ORDER BY leaf_index LIMIT 1 OFFSET 99")
    assert (found.code, found.leaf, report.reproduced) == ("decision_differs", place, 199)


async def test_control_a_bundle_that_was_changed_reproduces_nothing_and_the_first_place_is_named(world, few):
    place = first_decision(world)
    assert await world.change("UPDATE bundle SET sources = replace(sources, '9000', '9001')") == 1
    report = checked(few)
    assert (report.first.code, report.first.leaf, report.reproduced) == ("decision_unreproducible", place, 0)
    assert "was changed" in report.first.message and report.found == 200
