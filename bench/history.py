"""What a call costs over an empty database and over one with a long history, in turn: it should not grow."""

from __future__ import annotations

import os
from pathlib import Path

from remit import Runtime
from remit.runtime.advance import FIRST
from remit.runtime.effects import claim_writes
from remit.runtime.execution import execute_and_settle
from remit.runtime.phases import start_attempt
from remit.runtime.receive import Submission, parse, receive
from remit.runtime.statements import Write, add_call
from remit.runtime.work import Work, new_id, record

from .sampling import Measurement, Sizes, median, timed
from .workload import next_call, open_runtime, submit, submit_many

CHUNK = 50
AT_ONCE = 100
"""Calls of history in one commit."""
FLAT = 1.3


async def fill(runtime: Runtime, calls: int) -> None:
    """Write finished calls: one is taken through the phases, and then recorded again and again as another.

    Each has its own ids, keys and person, and four leaves, commitments and sealed openings of its own, by the writer that every call uses.
    """
    parts = runtime.parts
    sample = await _finished(runtime)
    for begun in range(0, calls, AT_ONCE):
        writes: list[Write] = []
        for number in range(begun, min(begun + AT_ONCE, calls)):
            owner = await parts.vault.subject(f"earlier_customer_{number % 1_000}")
            key, now = os.urandom(32), parts.clock.now()
            call = (
                sample.evolve(owner=owner)
                .on_call(id=new_id("call", now), subject=owner.pseudonym, effect_key=key, idempotency=os.urandom(32), created_at=now)
                .call
            )
            recorded, events = record(parts, call, sample.drafts, owner)
            hold = (call.tenant, key, 1, call.id, call.fingerprint, owner.pseudonym)
            writes += [add_call(recorded), Write("effect.hold", hold), *events]
        await parts.store.commit(writes)


async def _finished(runtime: Runtime) -> Work:
    """Take a call through all phases without writing anything of it."""
    parts = runtime.parts
    tool_call, session = next_call()
    submission = Submission(tool_call=tool_call, session=session, key=tool_call.id)
    action, arguments = parse(parts, submission)
    work = await receive(parts, submission, action, arguments)
    for phase in FIRST[:-2]:
        work = await phase(parts, work)
    return await execute_and_settle(parts, start_attempt(parts, claim_writes(work)))


async def measure(sizes: Sizes, folder: Path) -> Measurement:
    """Take one call over each in turn, and then rounds of many callers over each in turn."""
    measured = Measurement(f"A call after {sizes.history:,} calls, beside one over an empty database")
    filled = await open_runtime(folder / "filled")
    writing = await timed(lambda: fill(filled, sizes.history))
    placing = await timed(filled.close)  # places the last events under a checkpoint
    measured.notes.append(f"The history of {sizes.history:,} calls was written in {writing:,.0f} s, and placed in {placing:,.0f} s more.")
    empty, filled = await open_runtime(folder / "empty"), await open_runtime(folder / "filled")
    try:
        await _in_turn(measured, sizes, empty, filled)
    finally:
        await empty.close()
        await filled.close()
    return measured


async def _in_turn(measured: Measurement, sizes: Sizes, empty: Runtime, filled: Runtime) -> None:
    async def singly() -> list[tuple[float, float]]:
        return [(await timed(lambda: submit(empty)), await timed(lambda: submit(filled))) for _ in range(min(CHUNK, sizes.one_at_a_time))]

    await singly()
    pairs = [pair for _ in range(max(1, sizes.one_at_a_time // CHUNK)) for pair in await measured.sample(singly)]
    _compare(measured, "one caller", [1e3 * one for one, _ in pairs], [1e3 * other for _, other in pairs])

    async def together(runtime: Runtime) -> float:
        return 1e3 * await timed(lambda: submit_many(runtime, sizes.calls, 64)) / sizes.calls

    rounds = [
        [await measured.sample(lambda runtime=runtime: together(runtime)) for runtime in (empty, filled)] for _ in range(sizes.rounds)
    ]
    _compare(measured, "64 callers", [one for one, _ in rounds], [other for _, other in rounds])


def _compare(measured: Measurement, who: str, empty: list[float], filled: list[float]) -> None:
    ratio = median(filled) / median(empty)
    measured.add(f"{who}, empty database, median", median(empty), "ms a call")
    measured.add(f"{who}, with its history, median", median(filled), "ms a call")
    measured.add(f"{who}, ratio", ratio, "times", target=f"≤ {FLAT}", met=ratio <= FLAT)
