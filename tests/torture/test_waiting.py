"""Whoever waits for a call with a bound is answered when the time is over, whatever the call does at that moment."""

import asyncio
import time

import pytest

from remit.audit import State
from tests.torture.paying import PATIENT
from tests.torture.starts import STARTS, Case
from tests.torture.steered import Steered


@pytest.mark.parametrize("moves", [False, True])
async def test_a_wait_is_over_in_time_even_if_the_call_moves_just_then(place, moves):
    clock = Steered()
    async with place.desk().open(clock=clock.clock, **PATIENT) as runtime:
        case = Case(runtime, "lookup", place.customer, place.payment("approved"), place.sandbox.url, clock)
        call_id = await STARTS["approved"].prepare(case)
        waits = asyncio.create_task(runtime.wait(call_id, 0.1))
        await asyncio.sleep(0.05)
        if moves:
            asyncio.get_running_loop().call_later(0.01, runtime.parts.announce, call_id)
        time.sleep(0.2)  # so that both are due in one turn of the loop
        done, _ = await asyncio.wait({waits}, timeout=3)
        waits.cancel()
        assert done and waits.result().state is State.WAITING
