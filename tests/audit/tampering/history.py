"""A database with something of everything in it, written by the runtime itself."""

from __future__ import annotations

from pathlib import Path

from tests.runtime.bank import LARGE, World, asks, lost, says, session


async def told(folder: Path) -> World:
    """Let calls be allowed, agreed to, denied, sent again and written down, with a checkpoint after each."""
    world = World.make(folder)
    async with world.running() as runtime:
        await runtime._sequencer.catch_up()
        await runtime.submit(asks("refund", "pay_1", "10.00"), session())
        await runtime._sequencer.catch_up()
        waiting = await runtime.submit(asks("transfer", "pay_2", LARGE), session())
        await runtime._sequencer.catch_up()
        await runtime.vote(waiting.call_id, person="fay", answer="approve", reason="It was broken.")
        await runtime._sequencer.catch_up()
        await runtime.submit(asks("refund", "pay_3", "5000.00"), session())
        await runtime.submit(says("a note"), session())
        await runtime._sequencer.catch_up()
        world.bank.plan.append(lost)
        await runtime.submit(asks("cheque", "pay_4", "20.00"), session())
        await runtime._sequencer.catch_up()
    return world
