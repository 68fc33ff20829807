"""What goes wrong in the middle: answers that get lost, and a process that is killed."""

import asyncio

import pytest

from remit.cli.demo import life
from remit.cli.demo.scenes.refunds import refund
from remit.cli.demo.stage import stage
from remit.cli.demo.wire import message
from remit.sandbox.faults import Fault


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.ERROR_AFTER])
async def test_an_answer_that_gets_lost_is_unknown_until_the_same_key_or_a_look_settles_it(shop, fault):
    vase = shop.bought(shop.ada, 2500)
    shop.provider.order(fault)

    unknown = await shop.refund(shop.ada, vase, "25.00")

    assert (unknown.state, unknown.to_json()["error"]["retry"]) == ("unknown", "never")
    assert "not known" in unknown.message()
    assert (await shop.refund(shop.ada, vase, "25.00")).call_id == unknown.call_id, "asking again meanwhile starts nothing"
    settled = await shop.runtime.wait(unknown.call_id, 20)
    assert settled.ok
    assert shop.refunds(vase) == [2500]
    assert len({one.key for one in shop.provider.written()}) == 1, "every request had one key"


async def test_a_request_that_never_arrived_is_made_once_it_is_safe(shop):
    vase = shop.bought(shop.ada, 2500)
    shop.provider.order(Fault.DROPPED)

    unknown = await shop.refund(shop.ada, vase, "25.00")

    assert (unknown.state, shop.refunds(vase)) == ("unknown", [])
    assert (await shop.runtime.wait(unknown.call_id, 20)).ok
    assert shop.refunds(vase) == [2500]


async def test_a_process_that_is_killed_between_intent_and_answer_is_recovered_by_another_and_pays_once(tmp_path):
    async with stage(tmp_path / "desk", None) as set_stage:
        account, rug = set_stage.account, set_stage.goods.rug
        await set_stage.runtime.close()
        account.order(Fault.SLOW, seconds=30)
        asked = message("gemini", [("fc_1", *refund(rug, "40.00"))])
        async with life.begun(set_stage.folder, "gemini", asked, set_stage.bo) as doomed, asyncio.timeout(30):
            while not account.refunded(rug):
                await asyncio.sleep(0.02)
            doomed.kill()
        assert doomed.returncode < 0

        await set_stage.runtime.start()  # this process, which was not there; nobody hands it the message again
        [call] = [one for one in await set_stage.runtime.calls() if one.action == "refund_payment"]
        settled = await set_stage.runtime.wait(call.id, 60)

        moves = [event["change"][1] for event in (await set_stage.runtime.view(call.id)).events if event["change"]]
        assert not call.final, "it died in the middle"
        assert settled.ok
        assert moves[:2] == ["executing", "unknown"]
        assert [str(amount) for amount in account.refunded(rug)] == ["40.00 EUR"]
        assert (await set_stage.runtime.verify()).ok
