"""A call is explained by the bundle of then and the inputs that were recorded: what each rule saw, and that it gives the same answer."""

import pytest

from remit.errors import AuditError, CallError, CallNotFound
from tests.runtime.bank import ALLOW, LARGE, NOTES, asks, session


async def test_each_rule_with_its_place_and_what_it_saw(runtime):
    call_id = (await runtime.submit(asks("transfer", euros=LARGE), session())).call_id
    found = await runtime.explain(call_id)
    rules = {one.rule: one for one in found.explanation.rules}
    assert found.reproduced and found.bundle.author == "the folder at start"
    assert {name: one.result for name, one in rules.items()} == {"payments/disputed": False, "payments/large": True, "payments/small": True}
    large = rules["payments/large"]
    assert (large.path, large.line) == ("payments.yaml", 8)
    assert large.values == {"arguments.amount.currency": "EUR", "arguments.amount.minor": 9900}
    assert found.to_json()["rules"][0]["values"] == {"facts.payment.disputed": False}


async def test_a_call_of_before_is_explained_by_the_bundle_of_then(runtime, world):
    call_id = (await runtime.submit(asks("transfer"), session())).call_id
    world.policies(payments=ALLOW.replace("100000", "1"), notes=NOTES)
    digest = await runtime.reload_policies(by="fay")
    found = await runtime.explain(call_id)
    assert found.reproduced and found.explanation.decision.allowed and found.bundle.digest != digest


async def test_the_last_decision_counts(runtime, world):
    call_id = (await runtime.submit(asks("transfer", euros=LARGE), session())).call_id
    world.bank.payments["pay_1"].disputed = True
    await runtime.vote(call_id, person="fay", answer="approve")
    assert not (await runtime.explain(call_id)).explanation.decision.allowed


async def test_control_a_record_that_was_changed_is_not_reproduced(runtime, world):
    call_id = (await runtime.submit(asks("jot") | {"name": "jot", "arguments": {"text": "x"}}, session())).call_id
    sql = """UPDATE event SET leaf = blob(replace(text(leaf), '"allowed":true', '"allowed":false')) WHERE kind = 'call.decided'"""
    assert await world.change(sql) == 1
    assert not (await runtime.explain(call_id)).reproduced


async def test_what_was_never_decided_or_is_sealed_is_not_explained(runtime, world):
    with pytest.raises(CallNotFound):
        await runtime.explain("call_0")
    halted = (await runtime.submit(asks("transfer", "pay_99"), session())).call_id
    with pytest.raises(CallError, match="never decided"):
        await runtime.explain(halted)
    call_id = (await runtime.submit(asks("transfer"), session())).call_id
    assert await world.change("DELETE FROM opening")
    with pytest.raises(AuditError, match="sealed"):
        await runtime.explain(call_id)
