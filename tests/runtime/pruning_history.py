"""A log with an old half and a young half, for tests of retention."""

from __future__ import annotations

from typing import Any

from remit import Retention, Runtime
from tests.runtime.bank import World, asks, says, session

KEPT = Retention("200d")
MANY = 150
"""Notes, which are two blocks of leaves and more."""


async def busy(runtime: Runtime, many: int = MANY, **more: Any) -> None:
    """Write notes."""
    for number in range(many):
        await runtime.submit(says(f"note {number}"), session(**more))


async def grown(runtime: Runtime, world: World) -> tuple[str, str]:
    """Let a refund and notes be old, and another refund young; gives the two."""
    first = await runtime.submit(asks(tag="t1"), session())
    await busy(runtime)
    world.time.pass_(days=201)
    last = await runtime.submit(asks(payment="pay_2", tag="t2"), session())
    await runtime._sequencer.catch_up()
    assert first.call_id and last.call_id
    return first.call_id, last.call_id


def first_leaf(world: World) -> int:
    """Give the first leaf that is there."""
    found: int = world.sql("SELECT min(leaf_index) FROM event")[0][0]
    return found
