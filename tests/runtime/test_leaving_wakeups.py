"""A process that serves may leave calls that rest to processes that work."""

import asyncio

from remit.audit import State
from tests.runtime.asking import approve, asking, waits
from tests.runtime.bank import comes_to


async def test_what_rests_is_left_to_another_process_and_answers_are_taken_all_the_same(world):
    asking(world, approve("large", "finance"))
    async with world.running(wakeups=False) as serving:
        call_id, other = await waits(serving), await waits(serving, payment="pay_2")
        world.time.pass_(hours=5)
        await asyncio.sleep(0.3)  # thirty looks, were there any
        assert (await serving.get(call_id)).state is State.WAITING
        async with world.running(people=False):
            await comes_to(serving, call_id, State.EXPIRED)
            await comes_to(serving, other, State.EXPIRED)
        fresh = await waits(serving, payment="pay_3")
        assert (await serving.vote(fresh, person="fay", answer="approve")).state is State.SUCCEEDED
