"""A handler that runs on past its deadline may still have its effect: its settle time starts when it has ended."""

from __future__ import annotations

import asyncio

from ..audit import State
from .advance import restore
from .call import Call
from .clock import MICROSECOND
from .finding_out import answered
from .journal import Conflict
from .work import Lingering, Parts, commit, move

POLL = 1.0
TRIES = 8


async def watch(parts: Parts, call_id: str, left: Lingering) -> None:
    """Keep the look-up of an unknown effect away until its handler has ended; an answer that comes late is taken."""
    settle = parts.catalog[left.told.action].effect.settle
    while not left.task.done():
        if (call := await _unknown(parts, call_id, left)) is None:
            return
        if call.settle_at is not None and call.settle_at < parts.clock.now() + settle // MICROSECOND // 2:
            await _postpone(parts, call, settle // MICROSECOND)
        await asyncio.wait({left.task}, timeout=min(POLL, settle.total_seconds() / 4))
    if left.task.cancelled():
        return  # it was told to stop, and has: what it sent before was counted from then
    for _ in range(TRIES):
        if (call := await _unknown(parts, call_id, left)) is None:
            return
        try:
            await _end(parts, call, left)
        except Conflict:
            continue
        return


async def _unknown(parts: Parts, call_id: str, left: Lingering) -> Call | None:
    """Give the call while it is still this attempt whose outcome is not known."""
    call = await parts.store.find(call_id)
    return call if call and call.state is State.UNKNOWN and call.attempt == left.told.attempt else None


async def _postpone(parts: Parts, call: Call, settle: int) -> None:
    try:
        await move(parts, call, (), settle_at=parts.clock.now() + settle)
    except Conflict:
        return  # it is looked at again in a moment


async def _end(parts: Parts, call: Call, left: Lingering) -> None:
    action = parts.catalog[call.action]
    if left.task.exception() is not None:
        await _postpone(parts, call, action.effect.settle // MICROSECOND)
        return
    work = await restore(parts, call, action)
    if (late := answered(work, left.told, left.task.result())) is not None:
        await commit(parts, late)
