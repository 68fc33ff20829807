"""Refunds, from the model's message to the provider's ledger."""

import asyncio
import json
import shutil

import httpx
import pytest

from remit.errors import ApprovalNotOpen, NotAnApprover
from tests.stories.shop import POLICIES, opened


async def test_a_small_refund_of_the_customers_own_payment_is_done_at_once(shop):
    lamp = shop.bought(shop.ada, 4900)

    outcome, answer = await shop.ask_and_answer(
        shop.ada, "refund_payment", payment_id=lamp, amount={"value": "49.00", "currency": "EUR"}, reason="duplicate"
    )

    assert outcome.ok
    assert shop.refunds(lamp) == [4900]
    [block] = answer["content"]
    told = json.loads(block["content"])
    assert (answer["role"], block["type"], told["state"]) == ("user", "tool_result", "succeeded")
    assert told["result"]["amount"] == {"value": "49.00", "currency": "EUR"}
    [entry] = shop.provider.ledger()
    assert (entry.call, entry.reference) == (outcome.call_id, outcome.reference), "the ledger names the call, and the log the refund"


async def test_a_model_that_asks_again_gets_the_first_outcome_and_nobody_is_paid_twice(shop):
    lamp = shop.bought(shop.ada, 4900)

    first = await shop.refund(shop.ada, lamp, "20.00")
    again = await shop.refund(shop.ada, lamp, "20.00")
    together = await asyncio.gather(*(shop.refund(shop.ada, lamp, "20.00") for _ in range(10)))

    assert not first.repeated
    assert all(one.repeated and one.call_id == first.call_id and one.result == first.result for one in [again, *together])
    assert shop.refunds(lamp) == [2000]


async def test_control_without_remit_the_same_requests_pay_twice(shop):
    """Each tool call has an id of its own, so an idempotency key made of it does not help."""
    lamp = shop.bought(shop.ada, 4900)
    async with httpx.AsyncClient(base_url=shop.provider.url, headers={"Authorization": "Bearer sk_test_naive"}, trust_env=False) as api:
        for tool_call in ("toolu_1", "toolu_2"):
            await api.post("/v1/refunds", data={"payment_intent": lamp, "amount": "2000"}, headers={"Idempotency-Key": tool_call})
    assert shop.refunds(lamp) == [2000, 2000]


async def test_a_second_partial_refund_waits_for_the_customer_to_confirm_it(shop):
    lamp = shop.bought(shop.ada, 4900)
    await shop.refund(shop.ada, lamp, "20.00")

    second = await shop.refund(shop.ada, lamp, "10.00")

    assert [one["requirement"] for one in second.waiting] == ["confirmation"]
    assert shop.refunds(lamp) == [2000]
    with pytest.raises(NotAnApprover):
        await shop.runtime.confirm(second.call_id, subject=shop.bo.subject)
    assert (await shop.runtime.confirm(second.call_id, subject=shop.ada.subject)).ok
    assert shop.refunds(lamp) == [2000, 1000]


@pytest.mark.parametrize("dialect", ["anthropic", "openai", "gemini"])
async def test_wrong_arguments_are_answered_so_that_the_next_call_can_be_right(shop, dialect):
    lamp = shop.bought(shop.ada, 4900)
    amount = {"value": 20.5, "currency": "EUR"}

    wrong = await shop.ask(shop.ada, "refund_payment", dialect, payment=lamp, amount=amount, reason="duplicate")

    assert (wrong.state, wrong.error.retry) == ("rejected", "fix_arguments")
    by_path = {one.path: one for one in wrong.error.field_errors}
    assert by_path["payment"].suggestion == "did you mean `payment_id`?"
    assert "payment_id" in by_path
    assert "decimal text" in by_path["amount.value"].expected
    assert shop.refunds(lamp) == []
    amount["value"] = "20.50"
    assert (await shop.ask(shop.ada, "refund_payment", dialect, payment_id=lamp, amount=amount, reason="duplicate")).ok
    assert shop.refunds(lamp) == [2050]


async def test_a_model_that_can_not_repair_its_call_is_told_to_stop(shop):
    said = [(await shop.ask(shop.ada, "refund_payment", payment="?")).error.retry for _ in range(3)]
    assert said == ["fix_arguments", "fix_arguments", "never"]


async def test_somebody_elses_payment_looks_just_like_one_that_does_not_exist(shop):
    coat = shop.bought(shop.bo, 6000)

    foreign, missing = await shop.refund(shop.ada, coat, "20.00"), await shop.refund(shop.ada, "pi_missing", "20.00")

    said = [{name: value for name, value in one.to_json().items() if name != "call"} for one in (foreign, missing)]
    assert said[0] == said[1]
    assert (foreign.state, foreign.error.code) == ("denied", "not_found")
    assert shop.refunds(coat) == []
    recorded = str((await shop.runtime.view(foreign.call_id)).events)
    assert "6000" not in recorded, "what belongs to Bo is not recorded in a call of Ada's"
    assert (await shop.refund(shop.bo, coat, "20.00")).ok, "the control: whose payment it is gets it"


async def test_a_refund_over_the_limit_waits_for_finance_and_runs_once(shop):
    sofa = shop.bought(shop.ada, 18000)

    waiting = await shop.refund(shop.ada, sofa, "180.00")
    asked_again = await shop.refund(shop.ada, sofa, "180.00")

    assert (waiting.state, waiting.waiting[0]["for"]) == ("waiting", "approval by finance")
    assert (asked_again.call_id, asked_again.repeated) == (waiting.call_id, True)
    [shown] = await shop.runtime.inbox()
    assert shown.arguments["amount"] == {"currency": "EUR", "minor": 18000}
    with pytest.raises(NotAnApprover):
        await shop.runtime.vote(waiting.call_id, person="gus", answer="approve")
    assert shop.refunds(sofa) == []

    done = await shop.runtime.vote(waiting.call_id, person="fay", answer="approve", digest=shown.digest)

    assert done.ok
    with pytest.raises(ApprovalNotOpen):
        await shop.runtime.vote(waiting.call_id, person="fay", answer="approve")
    assert shop.refunds(sofa) == [18000]


async def test_control_without_the_rule_the_same_refund_does_not_wait(tmp_path):
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    rules = policies / "refunds.yaml"
    text = rules.read_text()
    rules.write_text(text[: text.index("  - id: large")] + text[text.index("  - id: not_in_euro") :])
    async with opened(tmp_path, policies) as shop:
        sofa = shop.bought(shop.ada, 18000)
        assert (await shop.refund(shop.ada, sofa, "180.00")).ok
        assert shop.refunds(sofa) == [18000]


async def test_an_approval_that_was_given_while_nobody_ran_survives_a_restart_and_runs_once(shop):
    sofa = shop.bought(shop.ada, 18000)
    waiting = await shop.refund(shop.ada, sofa, "180.00")

    await shop.restart()
    assert (await shop.runtime.get(waiting.call_id)).state == "waiting"
    done = await shop.runtime.vote(waiting.call_id, person="fay", answer="approve")
    await shop.restart()

    assert done.ok
    assert (await shop.runtime.get(waiting.call_id)).result == done.result
    assert (await shop.refund(shop.ada, sofa, "180.00")).repeated
    assert shop.refunds(sofa) == [18000]


async def test_what_a_person_rejects_never_runs_and_the_model_is_told_not_to_repeat_it(shop):
    sofa = shop.bought(shop.ada, 18000)
    waiting = await shop.refund(shop.ada, sofa, "180.00")

    declined = await shop.runtime.vote(waiting.call_id, person="fay", answer="reject", reason="It was delivered.")

    assert (declined.state, declined.error.retry) == ("declined", "never")
    assert "delivered" not in json.dumps(declined.to_json()), "what staff say among themselves is not for the model"
    assert shop.refunds(sofa) == []
